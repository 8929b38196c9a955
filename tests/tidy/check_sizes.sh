# SPDX-License-Identifier: Apache-2.0
# A file beyond 450 lines is worth a thought; beyond 800 it is two.

check() {
    for file in $(c_files src include vmm procedures keys tools appliance examples tests bench); do
        lines=$(wc -l <"$file")
        if [ "$lines" -gt 800 ]; then
            echo "$file: $lines lines; split it by noun"
        elif [ "$lines" -gt 450 ]; then
            echo "note: $file has $lines lines"
        fi
    done
    for file in $(c_files src include vmm procedures keys tools appliance examples tests bench); do
        LC_ALL=C awk '{
            gsub(/[\200-\277]/, "") # further bytes of one character
            if (length($0) > 100) print FILENAME ":" FNR ": " length($0) " columns"
        }' "$file"
    done
}

plant() {
    awk 'BEGIN { for (i = 0; i < 801; i++) print "/* line */" }' >src/utils/planted.c
    expected='src/utils/planted.c: 801 lines'
}
