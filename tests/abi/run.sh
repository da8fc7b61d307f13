#!/bin/sh
# tests/abi/run.sh BUILD-DIR - what programs rely on once they are compiled.
#
#   symbols     libpageclient.so exports tests/abi/symbols.list, with those versions, and nothing else
#   soname      libpageclient.so.0, never unloaded (-z nodelete), its TLS pointer initial-exec
#   static      libpageclient.a defines the same names and nothing else that is global
#   layout      tests/abi/layout.c
#   languages   the public header alone, warnings as errors: C99 to C17, C++11 to C++20, each compiler that is there
#   probes      the tracepoints in the ELF notes are those of include/paged/probes.def, with as many arguments
#   fast path   inlined pairs, of order 0 and of any, have no lock prefix and call the slow functions only
#
# Prints "ok", "FAIL" or "skipped" for each and ends with "N passed, N failed"; exit 1 if any failed.
set -u
LC_ALL=C
export LC_ALL

here=$(cd "$(dirname "$0")" && pwd) || exit 1
root=$here/../..
if [ $# -ne 1 ] || [ ! -d "$1" ]; then
	echo "usage: tests/abi/run.sh BUILD-DIR" >&2
	exit 2
fi
build=$1
shared=$build/client/libpageclient.so
static=$build/client/libpageclient.a
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0

# report NAME: failed if anything was written to $tmp/out.
report() {
	if [ -s "$tmp/out" ]; then
		cat "$tmp/out"
		echo "FAIL $1"
		failed=$((failed + 1))
	else
		echo "ok   $1"
		passed=$((passed + 1))
	fi
}

# Sanitizers and coverage put symbols of their own into what they build.
ours() {
	grep -Ev '^(__(asan|ubsan|tsan|sanitizer|gcov|odr_asan|start|stop|llvm)|_fini|_init|__odr|_\.stapsdt)'
}

wanted() {
	grep -v '^#' "$here/symbols.list" | sort
}

exported() {
	nm -D --defined-only --with-symbol-versions "$shared" |
		awk '$2 != "A" { name = $3; sub("@@?", " ", name); print name }' | ours | sort
}

check_symbols() {
	wanted >"$tmp/wanted"
	exported >"$tmp/exported"
	comm -23 "$tmp/wanted" "$tmp/exported" | sed 's/^/missing: /'
	comm -13 "$tmp/wanted" "$tmp/exported" | sed 's/^/not in symbols.list: /'
}

check_soname() {
	readelf -d "$shared" >"$tmp/dynamic"
	grep -q 'SONAME.*\[libpageclient\.so\.0\]' "$tmp/dynamic" || echo "the soname is not libpageclient.so.0"
	grep -q 'NODELETE' "$tmp/dynamic" || echo "not linked with -z nodelete"
	readelf --dyn-syms -W "$shared" | grep 'pageclient_fast_v1' | grep -q TLS ||
		echo "pageclient_fast_v1 is not thread-local"
}

check_static() {
	wanted | sed 's/ .*//' >"$tmp/wanted"
	nm -g --defined-only "$static" | awk 'NF == 3 { print $3 }' | ours | sort >"$tmp/exported"
	comm -23 "$tmp/wanted" "$tmp/exported" | sed 's/^/missing: /'
	comm -13 "$tmp/wanted" "$tmp/exported" | sed 's/^/global, and none of ours: /'
}

check_layout() {
	cc -std=c11 -D_GNU_SOURCE -I"$root/include" -fsyntax-only "$here/layout.c" 2>&1
}

# compile COMPILER STANDARD SUFFIX: the header, then the same without the inline path.
compile() {
	for define in PAGECLIENT_TEST PAGECLIENT_NO_INLINE; do
		printf '#define %s 1\n#include <pageclient/pageclient.h>\n' "$define" >"$tmp/header.$3"
		"$1" -std="$2" -O2 -I"$root/include" -Wall -Wextra -Wpedantic -Werror -c "$tmp/header.$3" \
			-o "$tmp/header.o" 2>&1 || echo "$1 -std=$2 with $define"
	done
}

check_languages() {
	for compiler in gcc clang; do
		command -v "$compiler" >/dev/null || continue
		for standard in c99 c11 c17; do
			compile "$compiler" "$standard" c
		done
	done
	for compiler in g++ clang++; do
		command -v "$compiler" >/dev/null || continue
		for standard in c++11 c++14 c++17 c++20; do
			compile "$compiler" "$standard" cc
		done
	done
}

check_fast_path() {
	cc -std=c11 -O2 -I"$root/include" -c "$here/pair.c" -o "$tmp/pair.o" || return
	objdump -dr --no-show-raw-insn "$tmp/pair.o" >"$tmp/pair.s"
	grep -E '[[:space:]](lock|xchg|mfence|syscall|cpuid)([[:space:]]|$)' "$tmp/pair.s" |
		grep -v 'xchg *%ax,%ax' # a nop
	grep -E 'R_[A-Z0-9_]+' "$tmp/pair.s" | grep -Ev 'pageclient_(alloc_slow|free_slow|fast_v1)' |
		grep -E 'PLT|PC32|CALL|JUMP' | sed 's/^/calls something else: /'
	grep -q 'pageclient_alloc_slow' "$tmp/pair.s" || echo "the pair is not inlined"
}

# "provider name number-of-arguments", as the list has it and as the notes have it.
wanted_probes() {
	sed -n 's/^PROBE(\([a-z]*\), \([a-z_]*\), "\([^"]*\)".*/\1 \2 \3/p' "$root/include/paged/probes.def" |
		awk '{ print $1, $2, NF - 2 }' | sort
}

built_probes() {
	readelf -n -W "$shared" "$build/daemon/host/paged" | awk '
		{ sub(".*Provider: ", "Provider: ") }
		$1 == "Provider:" { provider = $2 }
		$1 == "Name:" { name = $2 }
		$1 == "Arguments:" { print provider, name, NF - 1 }' | sort -u
}

check_probes() {
	wanted_probes >"$tmp/wanted"
	built_probes >"$tmp/built"
	[ -s "$tmp/wanted" ] || echo "no list of probes"
	comm -23 "$tmp/wanted" "$tmp/built" | sed 's/^/missing: /'
	comm -13 "$tmp/wanted" "$tmp/built" | sed 's/^/not in probes.def: /'
}

for name in symbols soname static layout languages probes fast_path; do
	if [ "$name" = probes ] && ! grep -q 'PAGED_HAVE_SDT:INTERNAL=1' "$build/CMakeCache.txt"; then
		echo "skipped probes: built without sys/sdt.h"
		continue
	fi
	if [ "$name" = static ] && [ ! -f "$static" ]; then
		echo "skipped static: $static is not built"
		continue
	fi
	"check_$name" >"$tmp/out" 2>&1
	report "$name"
done
echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
