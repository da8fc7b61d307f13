#!/bin/sh
# packaging/man/pagectl.sh PAGECTL - pagectl(1) as scdoc, from what the program itself says in its help.
set -eu
pagectl=$1

escape() { sed 's/[\\_*`<>~#]/\\&/g'; }

# Lines that are indented, and those behind "Options:", stay as they are.
body() {
	awk 'NR > 2' | awk '
		function end() { if (literal) print "```"; literal = 0 }
		/^Options:/ { options = 1 }
		/^  / && !literal { print "\n```"; literal = 1 }
		!/^  / && literal && !/^$/ { end(); print "" }
		literal { print substr($0, 3); next }
		{ gsub(/[\\_*`<>~#]/, "\\\\&"); print }
		END { end() }'
}

cat <<'HEAD'
pagectl(1)

# NAME

pagectl - looks into a running paged, and changes limits and sizes

# SYNOPSIS

*pagectl* COMMAND [OPTION]...

# DESCRIPTION

HEAD
"$pagectl" --help | awk 'NR > 2' | awk '/^Commands:/ { exit } { print }' | escape
echo 'Everybody who may connect to the daemon may look; root and the user of the daemon may do.'
"$pagectl" --help | awk '/^The daemon is found/ { on = 1 } on' | sed '1i\\' | escape
printf '\n# COMMANDS\n\n'
"$pagectl" --help | awk '/^Commands:/ { on = 1; next } /^$/ { on = 0 } on && /^  [a-z]/ { print $1 }' |
	while read -r command; do
		[ "$command" = help ] && continue
		printf '\n## '
		"$pagectl" help "$command" | sed -n '1s/^usage: //p' | escape
		echo
		"$pagectl" help "$command" | body
	done
cat <<'TAIL'

# SEE ALSO

*paged*(8), *paged.conf*(5), *pageclient*(7)
TAIL
