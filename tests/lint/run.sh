#!/bin/sh
# tests/lint/run.sh [-C ROOT] [ARCHIVE] - the rules of the style that a machine can hold us to.
#
#   include table    tests/lint/includes.table
#   own header       a .c file includes its own header first
#   header guards    by path
#   function size    at most 70 lines
#   file size        at most 500 lines
#   format           clang-format, where it is installed (the public headers align their columns by hand)
#   core purity      ARCHIVE (default: build/dev/daemon/core/libpaged_core.a) needs memory functions,
#                    paged_panic() and the layout helpers of shm, and nothing else
#   session heap     the session's archive, in the folder beside it, asks for no heap: a step has the
#                    memory that it was given at the start
#
# In a tree of git's it looks at files that were added to it, elsewhere at all.
# Prints each violation as file:line: message, and ends with "N passed, N failed"; exit 1 if any failed.
# What cannot be run here is "skipped", and said.
set -u
LC_ALL=C
export LC_ALL

MAX_FUNCTION=70
MAX_FILE=500

here=$(cd "$(dirname "$0")" && pwd) || exit 1
root=$here/../..
if [ "${1:-}" = -C ]; then
	root=$2
	shift 2
fi
archive=${1:-}
case $archive in
'' | /*) ;;
*) archive=$PWD/$archive ;;
esac
cd "$root" || exit 1

tracked=
out=$(mktemp) || exit 1
trap 'rm -f "$out" "$tracked"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0

# report NAME: what the check left in $out decides.
report() {
	if [ -s "$out" ]; then
		cat "$out"
		echo "FAIL $1"
		failed=$((failed + 1))
	else
		echo "ok   $1"
		passed=$((passed + 1))
	fi
}

# Only what git knows counts, where the tree is one of git's: not what somebody tries out in it.
if [ "$(git rev-parse --show-toplevel 2>/dev/null)" = "$(pwd -P)" ]; then
	tracked=$(mktemp) || exit 1
	git ls-files --cached | sort -u >"$tracked"
fi

known() {
	if [ -n "$tracked" ]; then comm -12 - "$tracked"; else cat; fi
}

# files PATTERN...: the sources with such names, without what is built, generated or test data.
files() {
	names=
	for pattern in "$@"; do
		names="$names -o -name $pattern"
	done
	set -f # the patterns are find's
	# shellcheck disable=SC2086
	find . \( -path ./.git -o -path ./build -o -path './build-*' -o -path './tests/*/data' \
		-o -path './tests/*/corpus' -o -path ./third_party \) -prune \
		-o -type f \( -name '' $names \) -print | sed 's,^\./,,' | sort | known
	set +f
}

check_own_header() {
	for c in $(files '*.c'); do
		own=${c%.c}.h
		[ -f "$own" ] || continue
		awk -v own="$own" '
			/^[ \t]*#[ \t]*include/ {
				if (index($0, "\"" own "\"") == 0)
					printf "%s:%d: the first include should be \"%s\"\n", FILENAME, FNR, own
				found = 1
				exit
			}
			END { if (!found) printf "%s:1: includes nothing; the first should be \"%s\"\n", FILENAME, own }
		' "$c"
	done
}

check_file_size() {
	for f in $(files '*.c' '*.h' '*.def' '*.proto' '*.sh' '*.awk' '*.py' '*.cmake' CMakeLists.txt); do
		n=$(wc -l <"$f")
		[ "$n" -le $MAX_FILE ] || echo "$f:$((MAX_FILE + 1)): file of $n lines, more than $MAX_FILE"
	done
}

# The first place of each file that clang-format would change.
check_format() {
	# shellcheck disable=SC2046
	clang-format --dry-run --Werror $(files '*.c' '*.h' | grep -v '^include/pageclient/') 2>&1 |
		awk -F: '/code should be clang-formatted/ && !seen[$1]++ {
			print $1 ":" $2 ": clang-format would change this"
		}'
}

# Undefined symbols of the archive that no member of it defines. Names as __popcountdi2 are the
# compiler's own arithmetic.
check_purity() {
	nm -A "$1" | awk '
		{
			name = $NF
			kind = $(NF - 1)
		}
		kind == "U" { if (!(name in needs)) needs[name] = $1; next } # $1 is "archive:member:"
		kind ~ /^[A-TV-Z]$/ { has[name] = 1 }
		END {
			allowed = "^(memcpy|memset|memmove|memcmp|__mem[a-z]*_chk|__stack_chk_fail|paged_panic" \
				"|__[a-z]+[sdt]i[23]|_GLOBAL_OFFSET_TABLE_|__(asan|ubsan|tsan|sanitizer|gcov)_.*" \
				"|shm_(meta|state)_plan|shm_ctl_slots_offset|magazine_slots_(first|max)" \
				"|page_state_name|migratetype_name|counter_(name|unit|text))$"
			for (name in needs)
				if (!(name in has) && name !~ allowed)
					printf "%s1: the core may not need the symbol %s\n", needs[name], name
		}' | sort
}

# Each step of the session is on somebody's steady path.
check_heap() {
	nm -A "$1" | awk '
		NF > 1 && $(NF - 1) == "U" &&
		$NF ~ /^(__)?(malloc|calloc|realloc|reallocarray|free|aligned_alloc|posix_memalign|strn?dup|v?asprintf|getline|f(d|mem)?open)(_chk)?$/ {
			printf "%s1: the session may not need the symbol %s\n", $1, $NF
		}' | sort -u
}

sources=$(files '*.c' '*.h')
headers=$(files '*.h')
if [ -z "$sources" ] || [ -z "$headers" ]; then
	echo "$root: no sources here"
	echo "0 passed, 1 failed"
	exit 1
fi

# shellcheck disable=SC2086
{
	awk -f "$here/includes.awk" "$here/includes.table" $sources >"$out"
	report "include table"
	check_own_header >"$out"
	report "own header first"
	awk -f "$here/headers.awk" $headers >"$out"
	report "header guards"
	awk -v max=$MAX_FUNCTION -f "$here/functions.awk" $sources >"$out"
	report "functions of at most $MAX_FUNCTION lines"
	check_file_size >"$out"
	report "files of at most $MAX_FILE lines"
}

if command -v clang-format >/dev/null; then
	check_format >"$out"
	report "clang-format"
else
	echo "skip clang-format: not installed"
fi

if [ -z "$archive" ] && [ -f build/dev/daemon/core/libpaged_core.a ]; then
	archive=build/dev/daemon/core/libpaged_core.a
fi
if [ -z "$archive" ]; then
	echo "skip core purity: build/dev/daemon/core/libpaged_core.a is not built"
elif [ ! -f "$archive" ]; then
	echo "$archive:1: no such archive" >"$out"
	report "core purity"
else
	check_purity "$archive" >"$out"
	report "core purity"
fi

session=${archive%/core/libpaged_core.a}/session/libpaged_session.a
if [ -f "$session" ]; then
	check_heap "$session" >"$out"
	report "session heap"
else
	echo "skip session heap: $session is not built"
fi

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
