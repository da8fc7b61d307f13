#!/bin/sh
# tests/abi/abidiff.sh BUILD-DIR [--update] - do programs that were linked yesterday run today?
#
# Compares libpageclient.so, types of the public headers included, with the dump that is kept beside this file: anything
# that differs fails, additions as well. A change that was meant, and that old programs survive (a new function, a new
# field behind the last), is taken over with --update. Exit 77 where there is no abidiff, or no debug information.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
headers=$here/../../include/pageclient
dump=$here/libpageclient.abi
if [ $# -lt 1 ] || [ ! -f "$1/client/libpageclient.so" ]; then
	echo "usage: tests/abi/abidiff.sh BUILD-DIR [--update]" >&2
	exit 2
fi
library=$1/client/libpageclient.so
if ! command -v abidiff >/dev/null || ! command -v abidw >/dev/null; then
	echo "skipped abidiff: not installed (package abigail-tools)"
	exit 77
fi
if ! readelf -S "$library" | grep -q '\.debug_info'; then
	echo "skipped abidiff: $library has no debug information"
	exit 77
fi
tmp=$(mktemp -d) || exit 1
trap 'rm -rf "$tmp"' EXIT
trap 'exit 1' HUP INT TERM

# What the public headers say of the library, without the folders of the machine that it was made on.
if ! abidw --headers-dir "$headers" --drop-private-types --drop-undefined-syms --exported-interfaces-only \
	--no-comp-dir-path --no-corpus-path --out-file "$tmp/raw" "$library"; then
	echo "FAIL abidiff: abidw does not understand $library"
	exit 1
fi
sed -E "s/(path|filepath)='([^']*\/)?([^'\/]*)'/\1='\3'/g; s/ (line|column)='[0-9]*'//g" "$tmp/raw" >"$tmp/now.abi"
if [ "${2:-}" = --update ]; then
	cp "$tmp/now.abi" "$dump" && echo "written: $dump"
	exit
fi
abidiff "$dump" "$tmp/now.abi" && echo "ok   abidiff" && exit 0
echo "FAIL abidiff: see above; if old programs survive it: tests/abi/abidiff.sh $1 --update"
exit 1
