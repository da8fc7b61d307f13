# packaging/man/header.awk - a manual page of section 3 from a group of functions in pageclient.h, as scdoc.
#
#   awk -v group="frames" -v page=pageclient_alloc -v what="take and give back frames" -f header.awk pageclient.h
#   awk -v group="frames" -v list=1 -f header.awk pageclient.h          the functions of the group, one a line
#
# A group begins with a comment "--- NAME ---"; what else that comment says introduces it. A comment stands before the
# functions that it is about, or behind one that has none. Lines of it that are indented are tables and programs, and stay
# as they are.
function escape(text) {
	gsub(/[\\_*`<>~#]/, "\\\\&", text)
	sub(/^[-.|]/, "\\\\&", text) # or it begins a list, a table, a request
	return text
}

# A comment without its stars.
function strip(line) {
	sub(/^[ \t]*\/\*[ ]?/, "", line)
	sub(/[ ]*\*\/[ \t]*$/, "", line)
	sub(/^ \*[ ]?/, "", line)
	return line
}

function print_text(text,   n, line, i, literal) {
	n = split(text, line, "\n")
	for (i = 1; i <= n; i++) {
		if (line[i] ~ /^  / && !literal) { print "\n```"; literal = 1 }
		if (line[i] !~ /^  / && literal) { print "```\n"; literal = 0 }
		print literal ? substr(line[i], 3) : escape(line[i])
	}
	if (literal) print "```"
	print ""
}

# A prototype without what stands behind it; what does is kept in trailing.
function prototype(line) {
	trailing = ""
	if (match(line, /;[ \t]*\/\*.*\*\/[ \t]*$/)) {
		trailing = substr(line, RSTART + 1)
		sub(/^[ \t]*\/\*[ ]?/, "", trailing)
		sub(/[ ]*\*\/[ \t]*$/, "", trailing)
		line = substr(line, 1, RSTART)
	}
	gsub(/[ \t]+/, " ", line)
	gsub(/\* /, "*", line)
	return line
}

function function_name(line) {
	match(line, /pageclient_[a-z_0-9]+\(/)
	return substr(line, RSTART, RLENGTH - 1)
}

/^\/\* --- / {
	header = $0
	sub(/^\/\* --- /, "", header)
	sub(/ ---.*/, "", header)
	inside = header == group
	in_comment = $0 !~ /\*\//
	is_intro = inside
	text = ""
	about = 0
	next
}
/^#ifdef __cplusplus/ { inside = 0 }
!inside { next }

in_comment || /^\/\*/ {
	if (!in_comment) { text = ""; about = 0; is_intro = 0 }
	line = strip($0)
	if (!(is_intro && text == "" && line == "")) text = text (text == "" ? "" : "\n") line
	in_comment = $0 !~ /\*\//
	if (!in_comment && is_intro) { intro = text; text = "" }
	next
}
/pageclient_[a-z_0-9]+\(.*\);/ {
	line = prototype($0)
	name[++n] = function_name(line)
	synopsis[n] = line
	said[n] = text != "" && about ? "" : text
	beside[n] = trailing
	about = 1
	shares[n] = text != "" && said[n] == ""
	next
}
/^[ \t]*$/ { text = ""; about = 0 }

END {
	if (list) {
		for (i = 1; i <= n; i++) print name[i]
		exit n == 0
	}
	printf "%s(3)\n\n# NAME\n\n", page
	for (i = 1; i <= n; i++) printf "%s%s", escape(name[i]), i < n ? ", " : ""
	printf " - %s\n\n# SYNOPSIS\n\n```\n#include <pageclient/pageclient.h>\n\n", what
	for (i = 1; i <= n; i++) print synopsis[i]
	print "\ncc ... $(pkg-config --cflags --libs pageclient)\n```\n\n# DESCRIPTION\n"
	if (intro != "") print_text(intro)
	for (i = 1; i <= n; i++) {
		if (!shares[i]) {
			heading = "## " escape(name[i]) "()"
			for (k = i + 1; k <= n && shares[k]; k++) heading = heading ", " escape(name[k]) "()"
			print heading "\n"
		}
		if (said[i] != "") print_text(said[i])
		if (said[i] == "" && beside[i] != "") printf "%s\\_%s: %s\n\n", "pageclient", escape(substr(name[i], 12)), escape(beside[i])
	}
	print "# ERRORS\n"
	print "What any call may return, and what each error means, is in *pageclient*(7). *pageclient\\_error*(3) has a"
	print "sentence for the last error of the calling thread.\n"
	print "# SEE ALSO\n\n*pageclient*(7), *pagectl*(1), *paged*(8)"
}
