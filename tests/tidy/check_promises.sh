# SPDX-License-Identifier: Apache-2.0
# docs/promises.md: each row of its tables names, in backquotes, at least one file of tests/ or bench/
# that is there, and every such file that it names is there.

check() {
    [ -f docs/promises.md ] || { echo "docs/promises.md is not there"; return; }
    grep -oE '`(tests|bench|examples|scripts)/[A-Za-z0-9_./-]+' docs/promises.md | tr -d '`' | sort -u |
        while read -r path; do
            [ -e "$path" ] || echo "docs/promises.md names $path, which is not there"
        done
    awk '
        /^\|/ {
            if (/^\|[ :|-]*$/) { rows = 1; next }
            if (rows && !/`(tests|bench)\//) print "docs/promises.md:" FNR ": no test or benchmark shows this"
            next
        }
        { rows = 0 }' docs/promises.md
}

plant() {
    mkdir -p docs
    printf '\n| promise | shown by |\n|---|---|\n| it flies | `tests/unit/test_flying.c` |\n' >>docs/promises.md
    expected='tests/unit/test_flying.c, which is not there'
}
