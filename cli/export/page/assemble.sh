#!/bin/sh
# The page as C strings: index.html with the style and the scripts in it, and a policy that allows these
# by their digests and nothing else. Prints it. No more is needed than every Debian has.
set -eu
cd "$(dirname "$0")"

# SHA-256 of the input in base64, as a Content-Security-Policy has it.
digest() {
	octal=$(sha256sum | awk '
		function number(i) { return index("0123456789abcdef", substr($1, i, 1)) - 1 }
		{ for (i = 1; i < 64; i += 2) printf "\\%03o", 16 * number(i) + number(i + 1) }')
	# shellcheck disable=SC2059 # octal digits
	printf "$octal" | base64
}

# A browser takes what stands between the tags, the first newline included.
script=$({ echo; cat history.js charts.js page.js; } | digest)
style=$({ echo; cat page.css; } | digest)
policy="default-src 'none'; script-src 'sha256-$script'; style-src 'sha256-$style'; img-src data:; connect-src 'self'; base-uri 'none'; form-action 'none'"

# A string of a line each.
constant() {
	echo "static const char $1[] ="
	sed -e 's/\\/\\\\/g' -e 's/"/\\"/g' -e 's/^/	"/' -e 's/$/\\n"/'
	echo '	"";'
}

page=$(sed -e "s|@POLICY@|$policy|" -e '/@STYLE@/{
r page.css
d
}' -e '/@SCRIPT@/{
r history.js
r charts.js
r page.js
d
}' index.html)

echo "static const char page_policy_text[] = \"$policy\";"
printf '%s\n' "$page" | sed '/@DATA@/,$d' | constant page_head
printf '%s\n' "$page" | sed '1,/@DATA@/d' | constant page_tail
