#!/usr/bin/env bash
# tests/docs/run.sh BUILD-DIR [DOCUMENT...] - each command line of docs/ is run, and prints what the document says.
#
# By default all documents that have any, and the reference pages are compared with what they are generated
# from. A document runs in an empty folder and in `pagectl run`, so that it has a daemon of its own that leaves
# nothing; programs, library and headers are those of an installed tree, made from BUILD-DIR. Needs no
# privilege. A document has 120 s.
set -u
LC_ALL=C
export LC_ALL
here=$(cd "$(dirname "$0")" && pwd) || exit 1
root=$(cd "$here/../.." && pwd) || exit 1
build=$(cd "${1:?usage: run.sh BUILD-DIR [DOCUMENT...]}" && pwd) || exit 1
shift
tmp=$(mktemp -d "${TMPDIR:-/tmp}/paged-docs-XXXXXX") || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0

report() {
	if [ "$1" -eq 0 ]; then passed=$((passed + 1)); else failed=$((failed + 1)); fi
}

reference() {
	"$root/docs/reference/generate.sh" "$build" "$tmp/reference" &&
		diff -ru --exclude=generate.sh "$root/docs/reference" "$tmp/reference" && return 0
	echo "docs/reference is not what the code says: ./dev reference writes it anew"
	return 1
}

# The first program of the README, as it says for an installed library.
readme() {
	local out
	awk '/^```c$/ { on = 1; next } /^```/ && on { exit } on' "$root/README.md" >"$tmp/hello.c"
	# shellcheck disable=SC2046
	cc "$tmp/hello.c" $(pkg-config --cflags --libs pageclient) -o "$tmp/hello" &&
		out=$(pagectl run --size 16M -- "$tmp/hello") && [[ $out == 'frame '*': Hello, pages!' ]] && return 0
	echo "README.md: its first program does not do what it says"
	return 1
}

# A document that says what is not so has to fail: a wrong text, a status, a text where none should be. And one
# that is right has to pass.
controls() {
	local out
	cat >"$tmp/wrong.md" <<'END'
```console
$ echo one
two
$ false
$ echo something
$ printf 'a\nb\nc\n'
a
...
c
```
END
	out=$(bash "$here/document.sh" "$tmp/wrong.md")
	case $out in
	*': 4 commands, 3 failed') return 0 ;;
	esac
	printf 'the runner of documents does not see what is wrong:\n%s\n' "$out"
	return 1
}

can_unshare() { unshare --user --map-root-user --mount --ipc --pid --fork --mount-proc true 2>/dev/null; }

# run_document FILE
run_document() {
	local folder
	if grep -q '^[$] unshare ' "$1" && ! can_unshare; then
		echo "skipped: $1: this kernel lets no user have namespaces"
		return 0
	fi
	folder=$(mktemp -d "$tmp/document-XXXXXX") || return 1
	(
		cd "$folder" || exit 1
		HOME=$folder timeout --kill-after=10 120 \
			pagectl run --size 64M -- bash "$here/document.sh" "$1" </dev/null
	)
}

if ! cmake --install "$build" --prefix "$tmp/prefix" >"$tmp/install.log" 2>&1; then
	cat "$tmp/install.log"
	exit 1
fi
library=$(dirname "$(find "$tmp/prefix" -name 'libpageclient.so' | head -n 1)")
export PATH=$tmp/prefix/bin:$tmp/prefix/sbin:$PATH
export LD_LIBRARY_PATH=$library PKG_CONFIG_PATH=$library/pkgconfig
export XDG_RUNTIME_DIR=$tmp TERM=xterm
unset PAGED_SOCKET NO_COLOR

if [ $# -eq 0 ]; then
	controls
	report $?
	readme
	report $?
	reference
	report $?
	mapfile -t documents < <(cd "$root" && grep -lE '^```console( terminal)?$' docs/*.md docs/howto/*.md)
	set -- "${documents[@]}"
fi
for document in "$@"; do
	case $document in /*) ;; *) document=$root/$document ;; esac
	run_document "$document"
	report $?
done
printf '%d passed, %d failed\n' "$passed" "$failed"
[ "$failed" -eq 0 ]
