# SPDX-License-Identifier: Apache-2.0
#
# Prints the lines of C files as FILE:LINE:TEXT, without comments and without what is in quotes.
FNR == 1 { inside = 0 }
{
    rest = $0
    text = ""
    while (rest != "") {
        if (inside) {
            at = index(rest, "*/")
            if (!at) { rest = ""; break }
            rest = substr(rest, at + 2)
            inside = 0
            continue
        }
        if (!match(rest, /["']|\/\*|\/\//)) { text = text rest; break }
        text = text substr(rest, 1, RSTART - 1)
        mark = substr(rest, RSTART, RLENGTH)
        rest = substr(rest, RSTART + RLENGTH)
        if (mark == "/*") { inside = 1; text = text " "; continue }
        if (mark == "//") break
        quoted = mark == "\"" ? match(rest, /^([^"\\]|\\.)*"/) : match(rest, /^([^'\\]|\\.)*'/)
        rest = quoted ? substr(rest, RLENGTH + 1) : ""
        text = text mark mark
    }
    print FILENAME ":" FNR ":" text
}
