# SPDX-License-Identifier: Apache-2.0
# All C and C++ is laid out as .clang-format says; but for `} *self;`, where clang-format 14 takes the
# star for a product (scripts/lay-out).

command -v clang-format >/dev/null 2>&1 || skip "clang-format is not here (package: clang-format)"

check() {
    c_files src include vmm procedures services keys tools appliance server examples tests bench |
        xargs "$root/scripts/lay-out" --check | sed "s|^$root/||"
}

plant() {
    find src include vmm procedures services keys tools appliance server examples tests bench \
        -name '*.[ch]' ! -path '*/utils/*' -delete # some of them will do
    printf 'int  f( void );\n' >src/utils/planted.c
    expected='src/utils/planted.c: not laid out'
}
