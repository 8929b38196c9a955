# SPDX-License-Identifier: Apache-2.0
# A file beyond 450 lines is worth a thought; beyond 800 it is two.

check() {
    c_files src include vmm procedures keys tools appliance server examples tests bench |
        LC_ALL=C xargs awk '
            function look_at_file() {
                if (lines > 800) print name ": " lines " lines; split it by noun"
                else if (lines > 450) print "note: " name " has " lines " lines"
            }
            FNR == 1 { look_at_file(); name = FILENAME }
            {
                lines = FNR
                gsub(/[\200-\277]/, "") # further bytes of one character
                if (length($0) > 100) print FILENAME ":" FNR ": " length($0) " columns"
            }
            END { look_at_file() }'
}

plant() {
    awk 'BEGIN { for (i = 0; i < 801; i++) print "/* line */" }' >src/utils/planted.c
    expected='src/utils/planted.c: 801 lines'
}
