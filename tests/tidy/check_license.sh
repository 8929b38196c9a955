# SPDX-License-Identifier: Apache-2.0
# Each source file says its licence on its first line (scripts: on the second).

check() {
    find src include vmm procedures keys tools appliance server examples tests bench scripts cmake Makefile CMakeLists.txt \
        packages.list $builds -o -type f \( -name '*.[ch]' -o -name '*.cpp' -o -name '*.sh' \
        -o -name '*.cmake' -o -name '*.awk' -o -name '*.pml' -o -name CMakeLists.txt -o -name Makefile \
        -o -path 'scripts/*' -o -name packages.list \) -print 2>/dev/null >"$scratch/sources"
    # Of an empty file awk sees no line.
    xargs awk 'FNR <= 2 && /SPDX-License-Identifier: Apache-2\.0/ { print FILENAME }
        FNR == 2 { nextfile }' <"$scratch/sources" | grep -vxFf - "$scratch/sources" |
        sed 's/$/: no SPDX line/'
    grep -q 'Apache License' LICENSE || echo "LICENSE: not there"
}

plant() {
    echo 'int planted;' >src/utils/planted.c
    expected='src/utils/planted.c: no SPDX line'
}
