#!/bin/sh
# tests/lint/selftest.sh - does run.sh find what it is there to find? A lint that looks at nothing
# passes too.
#
# Builds small trees in a temporary directory, one clean and one with each violation once, and
# compares what run.sh prints about them.
set -u

here=$(cd "$(dirname "$0")" && pwd) || exit 1
top=$(mktemp -d) || exit 1
trap 'rm -rf "$top"' EXIT
trap 'exit 1' HUP INT TERM
passed=0
failed=0

# expect NAME TEXT: run.sh's output has a line that starts with TEXT.
expect() {
	if awk -v text="$2" 'index($0, text) == 1 { found = 1 } END { exit !found }' "$top/out"; then
		passed=$((passed + 1))
	else
		echo "FAIL $1: no line starts with: $2"
		failed=$((failed + 1))
	fi
}

# header PATH GUARD BODY
header() {
	printf '#ifndef %s\n#define %s\n%s\n#endif\n' "$2" "$2" "$3" >"$1"
}

# statements N: as many lines
statements() {
	awk -v n="$1" 'BEGIN { for (i = 0; i < n; i++) print "\tx++;" }'
}

mkdir -p "$top/good/daemon/core" "$top/good/include/paged" "$top/good/tests/unit"
cp "$here/../../.clang-format" "$top/good/"
header "$top/good/daemon/core/a.h" DAEMON_CORE_A_H 'int a(int x);'
header "$top/good/include/paged/paged.h" PAGED_H 'int b(int x);'
{
	printf '#include "daemon/core/a.h"\n\n#include "paged/paged.h"\n\n#include <stdint.h>\n\n'
	printf 'int a(int x)\n{\n'
	statements 66
	printf '\treturn x;\n}\n'
} >"$top/good/daemon/core/a.c"
printf '#include <stdlib.h>\n' >"$top/good/tests/unit/t.c"
printf 'void *memset(void *, int, unsigned long);\nint helper(int);\nvoid *f(void *p)\n{\n\treturn memset(p, helper(0), 4000);\n}\n' >"$top/f.c"
printf 'int helper(int);\nint helper(int x)\n{\n\treturn x;\n}\n' >"$top/helper.c"
printf 'void *malloc(unsigned long);\nvoid *g(void);\nvoid *g(void)\n{\n\treturn malloc(9);\n}\n' >"$top/g.c"
for c in f helper g; do
	${CC:-cc} -O0 -c "$top/$c.c" -o "$top/$c.o" || exit 1
done
ar rc "$top/pure.a" "$top/f.o" "$top/helper.o"
ar rc "$top/impure.a" "$top/f.o" "$top/helper.o" "$top/g.o"

"$here/run.sh" -C "$top/good" "$top/pure.a" >"$top/out"
status=$?
[ $status -eq 0 ] || cat "$top/out"
[ $status -eq 0 ] && passed=$((passed + 1)) || failed=$((failed + 1))
expect "a clean tree passes" "ok   core purity"

# In a tree of git's only what is added counts.
if command -v git >/dev/null; then
	cp -r "$top/good" "$top/git"
	git -C "$top/git" init -q && git -C "$top/git" add .
	printf 'int x;\n' >"$top/git/hello.c"
	"$here/run.sh" -C "$top/git" "$top/pure.a" >"$top/out"
	status=$?
	[ $status -eq 0 ] || cat "$top/out"
	[ $status -eq 0 ] && passed=$((passed + 1)) || failed=$((failed + 1))
	git -C "$top/git" add hello.c
	"$here/run.sh" -C "$top/git" "$top/pure.a" >"$top/out"
	expect "an added file counts" 'hello.c:1: no row'
fi

cp -r "$top/good" "$top/bad"
cd "$top/bad" || exit 1
mkdir -p shm daemon/session somewhere examples
printf '#include <stdlib.h>\n#include "daemon/core/a.h"\n#include "shm/view.h"\n' >daemon/core/a.c
printf '#include "b.h"\n#include <uv.h>\n' >shm/b.c
printf '#include "daemon/wire/wire.h"\n#include <errno.h>\n' >daemon/session/s.c
printf '#include <pageclient/pageclient.h>\n#include "shm/view.h"\n' >examples/e.c
printf 'int x;\n' >somewhere/c.c
header daemon/core/wrong.h CORE_WRONG_H ''
printf '#pragma once\n' >daemon/core/pragma.h
{
	printf 'struct x {\n\tint y;\n};\n\nint long_one(int x,\n\t     int y)\n{\n'
	statements 68
	printf '}\n'
} >shm/long.c
awk 'BEGIN { for (i = 0; i < 501; i++) print "/* */" }' >shm/large.c
printf 'int   y;\n' >shm/format.c

"$here/run.sh" -C "$top/bad" "$top/impure.a" >"$top/out" && {
	echo "FAIL a bad tree passes"
	failed=$((failed + 1))
}
expect "core without stdlib" 'daemon/core/a.c:1: daemon/core/* may not include <stdlib.h>'
expect "core without the view" 'daemon/core/a.c:3: daemon/core/* may not include "shm/view.h"'
expect "own header first" 'daemon/core/a.c:1: the first include should be "daemon/core/a.h"'
expect "paths from the top" 'shm/b.c:1: shm/* may not include "b.h"'
expect "shm without uv" 'shm/b.c:2: shm/* may not include <uv.h>'
expect "session without wire" 'daemon/session/s.c:1: daemon/session/* may not include "daemon/wire/wire.h"'
expect "examples are public" 'examples/e.c:2: examples/* may not include "shm/view.h"'
expect "every folder has a row" 'somewhere/c.c:1: no row'
expect "guard by path" 'daemon/core/wrong.h:1: the guard should be #ifndef DAEMON_CORE_WRONG_H'
expect "no pragma" 'daemon/core/pragma.h:1: the guard should be #ifndef DAEMON_CORE_PRAGMA_H'
expect "function size" 'shm/long.c:5: function of 72 lines, more than 70'
expect "file size" 'shm/large.c:501: file of 501 lines, more than 500'
expect "core purity" "$top/impure.a:g.o:1: the core may not need the symbol malloc"
mkdir -p "$top/lib/core" "$top/lib/session"
cp "$top/pure.a" "$top/lib/core/libpaged_core.a"
cp "$top/impure.a" "$top/lib/session/libpaged_session.a"
"$here/run.sh" -C "$top/good" "$top/lib/core/libpaged_core.a" >"$top/heap" && {
	echo "FAIL a session with a heap passes"
	failed=$((failed + 1))
}
grep -q "libpaged_session.a:g.o:1: the session may not need the symbol malloc" "$top/heap" || {
	echo "FAIL session heap"
	failed=$((failed + 1))
}
if command -v clang-format >/dev/null; then
	expect "format" 'shm/format.c:1: clang-format would change this'
fi
expect "the count" "0 passed, "

echo "$passed passed, $failed failed"
[ "$failed" -eq 0 ]
