# SPDX-License-Identifier: Apache-2.0
# Banned calls, by the table tests/tidy/banned.

check() {
    code $(c_files src include vmm procedures keys tools appliance server examples tests bench) >"$scratch/code"
    awk -F '\t' '
        FNR == NR {
            if (/^#/ || NF == 0) next
            if (NF != 4) print FILENAME ":" FNR ": four columns, please"
            count++
            pattern[count] = $1; where[count] = $2; except[count] = $3; instead[count] = $4
            next
        }
        {
            at = index($0, ":")
            file = substr($0, 1, at - 1)
            rest = substr($0, at + 1)
            at = index(rest, ":")
            line = substr(rest, 1, at - 1)
            text = substr(rest, at + 1)
            if (file != previous) {
                previous = file
                live = 0
                for (i = 1; i <= count; i++)
                    if (file ~ where[i] && (except[i] == "-" || file !~ except[i])) rule[++live] = i
            }
            for (i = 1; i <= live; i++)
                if (match(text, pattern[rule[i]]))
                    print file ":" line ": " substr(text, RSTART, RLENGTH) " is banned here; use " instead[rule[i]]
        }' tests/tidy/banned "$scratch/code"
}

plant() {
    mkdir -p src/core/planted
    printf 'void f(char *a) /* strtok( */\n{\n    strcpy(a, "gets(");\n}\n' >src/core/planted/planted.c
    printf 'volatile sig_atomic_t good;\nchar *volatile said;\n' >src/core/planted/volatile.c
    # A name that begins as the one exception does is none.
    [ "$(check | grep -c 'planted/volatile.c:1: ')" = 0 ] || return
    check | grep -q 'planted/volatile.c:2: ' || return
    expected='src/core/planted/planted.c:3: '
}
