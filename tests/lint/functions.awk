# tests/lint/functions.awk - functions of more than MAX lines, signature and braces counted.
# Usage: awk -v max=70 -f functions.awk FILE...
#
# Relies on the format that clang-format keeps: the body's braces stand alone in column 1, and what
# else starts in column 1 is a declaration, a comment, a directive or a label.

FNR == 1 {
	signature = 0
	opened = 0
}

opened {
	if ($0 == "}") {
		if (FNR - opened + 1 > max)
			printf "%s:%d: function of %d lines, more than %d\n", FILENAME, opened, \
				FNR - opened + 1, max
		opened = 0
		signature = 0
	}
	next
}

$0 == "{" {
	opened = signature ? signature : FNR
	next
}

# The first line of a run that does not end before the brace.
/^[A-Za-z_]/ && !signature { signature = FNR }
/;[ \t]*$/ || /^$/ || /^#/ || /\*\/[ \t]*$/ || /^}/ { signature = 0 }
