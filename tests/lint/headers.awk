# tests/lint/headers.awk - each header is guarded by its path, as DAEMON_CORE_BUDDY_H.
# Usage: awk -f headers.awk FILE...
#
# include/ is no part of the name, and include/x/x.h is X_H.

function guard_of(file, part, n)
{
	sub(/^include\//, "", file)
	n = split(file, part, "/")
	if (n == 2 && part[2] == part[1] ".h" && was_public)
		file = part[2]
	gsub(/[^A-Za-z0-9]/, "_", file)
	return toupper(file)
}

function finish()
{
	if (name != "" && step < 2)
		printf "%s:%d: the guard should be #ifndef %s and #define %s\n", name, line, want, want
}

FNR == 1 {
	finish()
	name = FILENAME
	was_public = (name ~ /^include\//)
	want = guard_of(name)
	step = 0
	line = 1
}

/^#/ && step == 0 {
	line = FNR
	step = ($1 == "#ifndef" && $2 == want) ? 1 : -1
	next
}

/^#/ && step == 1 { step = ($1 == "#define" && $2 == want) ? 2 : -1 }

END { finish() }
