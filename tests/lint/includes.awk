# tests/lint/includes.awk - compares #include lines with includes.table.
# Usage: awk -f includes.awk includes.table FILE...   (paths from the top of the tree)

function matches(name, glob)
{
	gsub(/[.+]/, "\\\\&", glob)
	gsub(/\*/, ".*", glob)
	return name ~ ("^" glob "$")
}

function is_third_party(name, i)
{
	for (i = 1; i <= n_third; i++)
		if (matches(name, third[i]))
			return 1
	return 0
}

# The patterns of the last row that fits file; "" if none does.
function patterns_of(file, i, found)
{
	found = ""
	for (i = 1; i <= n_rows; i++)
		if (matches(file, row_glob[i])) {
			found = row_patterns[i]
			row_name = row_glob[i]
		}
	return found
}

# kind is "<" or "\"".
function may_include(patterns, kind, name, list, n, i, p, ok)
{
	ok = 0
	n = split(patterns, list, " ")
	for (i = 1; i <= n; i++) {
		p = list[i]
		if (p == "anything")
			ok = 1
		else if (p == "<libc>")
			ok = ok || (kind == "<" && !is_third_party(name) && name !~ /^pageclient\//)
		else if (p ~ /^</)
			ok = ok || (kind == "<" && matches(name, substr(p, 2, length(p) - 2)))
		else if (p ~ /^!/)
			ok = ok && !matches(name, substr(p, 2))
		else if (kind == "\"" || p ~ /^pageclient\//)
			ok = ok || matches(name, p)
	}
	return ok
}

FILENAME == ARGV[1] {
	if ($0 ~ /^#/ || $0 !~ /\|/)
		next
	split($0, half, "|")
	gsub(/ /, "", half[1])
	if (half[1] == "third-party") {
		n_third = split(half[2], third, " ")
	} else {
		row_glob[++n_rows] = half[1]
		row_patterns[n_rows] = half[2]
	}
	next
}

FNR == 1 {
	patterns = patterns_of(FILENAME)
	if (patterns == "")
		printf "%s:1: no row of tests/lint/includes.table fits this file\n", FILENAME
}

patterns != "" && /^[ \t]*#[ \t]*include[ \t]*[<"]/ {
	kind = ($0 ~ /^[^"]*</) ? "<" : "\""
	name = $0
	sub(/^[^<"]*[<"]/, "", name)
	sub(/[>"].*$/, "", name)
	if (!may_include(patterns, kind, name))
		printf "%s:%d: %s may not include %s%s\n", FILENAME, FNR, row_name, kind, \
			name (kind == "<" ? ">" : "\"")
}
