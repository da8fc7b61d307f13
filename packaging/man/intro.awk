# packaging/man/intro.awk - the essay at the head of pageclient.h as scdoc: the overview of pageclient(7).
#
# "Word. Text" at the beginning of a paragraph makes a heading of its own; indented lines stay as they are.
function escape(text) {
	gsub(/[\\_`<>~#]/, "\\\\&", text)
	sub(/^[-.|]/, "\\\\&", text) # or it begins a list, a table, a request
	return text
}
function end() {
	if (literal) print "```\n"
	literal = 0
}
NR == 1 { next }
/\*\/[ \t]*$/ { last = 1; sub(/[ ]*\*\/[ \t]*$/, "") }
{ sub(/^ \*[ ]?/, "") }
/^  / { if (!literal) { print "\n```"; literal = 1 } print substr($0, 3); next }
{ end() }
was_empty && /^[A-Z][a-z]+\. / {
	title = toupper($1)
	sub(/\.$/, "", title)
	print "## " title "\n"
	sub(/^[A-Z][a-z]+\. /, "")
}
{ print escape($0); was_empty = $0 == "" }
last { end(); print ""; exit }
