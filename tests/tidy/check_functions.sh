# SPDX-License-Identifier: Apache-2.0
# A function beyond 80 lines does more than one thing, and one of more than six parameters wants a
# struct. Functions are laid out with their braces in the first column; what lies before is their
# head. What include/vine declares keeps the parameters with which it was published; a test's helper
# may list its case.

check() {
    published=$(code $(c_files include) | grep -oE '\bvine_[a-z0-9_]+\(' | tr -d '(' | sort -u)
    code $(c_files src include vmm procedures keys tools appliance server examples tests bench) |
        awk -v published="$(echo $published)" -v lines_max=80 -v parameters_max=6 '
            # The parameters of a head: one more than the commas in its last parentheses.
            function count_parameters(head,    at, depth, count, mark) {
                count = 1
                for (at = length(head); at > 0; at--) {
                    mark = substr(head, at, 1)
                    if (mark == ")") depth++
                    if (mark == "(" && --depth == 0) break
                    if (mark == "," && depth == 1) count++
                }
                match(substr(head, 1, at - 1), /[A-Za-z0-9_]+$/)
                name = substr(head, RSTART, RLENGTH)
                return count
            }
            {
                match($0, /^[^:]*:[0-9]+:/)
                place = substr($0, 1, RLENGTH - 1)
                text = substr($0, RLENGTH + 1)
                split(place, parts, ":")
                line = parts[2]
            }
            text ~ /^\{/ {
                parameters = count_parameters(head)
                if (parameters > parameters_max && place !~ /^tests\// &&
                    index(" " published " ", " " name " ") == 0)
                    print place ": " name " takes " parameters " parameters"
                first = line + 1
            }
            text ~ /^\}/ && first {
                if (line - first > lines_max)
                    print place ": " name " has " line - first " lines"
                first = 0
            }
            { head = text ~ /^#|[;}] *$/ ? "" : head text }'
}

plant() {
    {
        printf 'int vine__planted(int a, int b, int c, int d, int e, int f, int (*g)(int, int))\n{\n'
        awk 'BEGIN { for (i = 0; i < 81; i++) print "    a++;" }'
        printf '    return a;\n}\n'
    } >src/utils/planted.c
    # Both are to be found: it looks for the one that is missing, if one is.
    check >"$scratch/lines"
    expected='src/utils/planted.c:2: vine__planted takes 7 parameters'
    if ! grep -qF 'src/utils/planted.c:85: vine__planted has 82 lines' "$scratch/lines"; then
        expected='src/utils/planted.c:85: vine__planted has 82 lines'
    fi
}
