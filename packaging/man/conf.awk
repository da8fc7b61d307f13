# packaging/man/conf.awk - the keys of paged.conf(5), as scdoc, from packaging/paged.conf.
#
# That file is what the daemon prints of its own list (a unit test compares them), so the page cannot be of another version.
# A key is a block "# what it means ... #key = default"; a section that is itself behind a '#' has its keys together.
function escape(text) {
	gsub(/[\\_*`<>~]/, "\\\\&", text)
	sub(/^[-.|]/, "\\\\&", text) # or it begins a list, a table, a request
	return text
}
function flush() {
	if (about != "") print escape(about) "\n"
	about = ""
}
FNR <= 2 { next } # what the file says of itself
/^\[/ {
	print "# " $0 "\n"
	in_example = 0
	about = ""
	next
}
/^#\[/ { # a section of which there may be several
	title = $0
	sub(/^#/, "", title)
	name = title
	sub(/ .*/, "", name)
	print "# " escape(name ~ /zone/ ? "[zone NAME]" : "[client MATCH]") "\n"
	flush()
	print "```\n" title
	in_example = 1
	next
}
in_example && /^#[a-z_]+ =/ { print substr($0, 2); next }
in_example { print "```\n"; in_example = 0 }
/^#[a-z_]+ = / {
	key = substr($0, 2)
	sub(/ =.*/, "", key)
	value = $0
	sub(/^[^=]*= */, "", value)
	printf "*%s* = %s\n\t%s\n\n", escape(key), escape(value), escape(about)
	about = ""
	next
}
/^# / { about = about (about == "" ? "" : " ") substr($0, 3); next }
END { if (in_example) print "```\n" }
