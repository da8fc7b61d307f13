#!/bin/sh
# tests/abi/install.sh BUILD-DIR - what an installed tree says of itself is true wherever it was installed.
#
# Installs below a prefix that the build was not configured with, moves the tree, and compiles README's first program
# with what pkg-config says each time.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
if [ $# -ne 1 ] || [ ! -d "$1" ]; then
	echo "usage: tests/abi/install.sh BUILD-DIR" >&2
	exit 2
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0

report() {
	if [ "$2" -eq 0 ]; then
		echo "ok   $1"
		passed=$((passed + 1))
	else
		cat "$tmp/out"
		echo "FAIL $1"
		failed=$((failed + 1))
	fi
}

# Compiles $tmp/hello.c against the tree at $1.
compile() {
	pc=$(dirname "$(find "$1" -name pageclient.pc)")
	prefix=$(PKG_CONFIG_PATH=$pc pkg-config --variable=prefix pageclient) &&
		[ "$(cd "$prefix" && pwd -P)" = "$(cd "$1" && pwd -P)" ] &&
		flags=$(PKG_CONFIG_PATH=$pc PKG_CONFIG_ALLOW_SYSTEM_CFLAGS=1 pkg-config --cflags --libs pageclient) &&
		${CC:-cc} -Wl,--unresolved-symbols=ignore-in-shared-libs "$tmp/hello.c" $flags -o "$tmp/hello"
}

# The first program of README.
awk '/^```c$/ { inside = 1; next } /^```$/ { if (inside) exit } inside' "$here/../../README.md" >"$tmp/hello.c"
cmake --install "$1" --prefix "$tmp/first place" >"$tmp/out" 2>&1
report "cmake --install --prefix" $?
mv "$tmp/first place" "$tmp/first" && compile "$tmp/first" >"$tmp/out" 2>&1
report "pkg-config below another prefix" $?
mv "$tmp/first" "$tmp/second" && compile "$tmp/second" >"$tmp/out" 2>&1
report "pkg-config of a tree that was moved" $?

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
