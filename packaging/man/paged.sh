#!/bin/sh
# packaging/man/paged.sh PAGED TEMPLATE - paged(8) as scdoc: the template, with the options as the program itself has them.
set -eu
awk -v paged="$1" '
	!/^@OPTIONS@$/ { print; next }
	{
		print "```"
		while ((("\"" paged "\" --help") | getline line) > 0)
			if (line ~ /^  -/ || line ~ /^     /) print substr(line, 3)
		print "```"
	}' "$2"
