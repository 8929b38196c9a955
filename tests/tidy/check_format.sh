# SPDX-License-Identifier: Apache-2.0
# test: timeout=300
# All C and C++ is laid out as .clang-format says.

command -v clang-format >/dev/null 2>&1 || skip "clang-format is not here (package: clang-format)"

check() {
    c_files src include vmm procedures tools examples tests bench | xargs clang-format --dry-run 2>&1 |
        sed -n "s|^$root/||; /warning: code should be clang-formatted/p"
}

plant() {
    printf 'int  f( void );\n' >src/utils/planted.c
    expected='src/utils/planted.c:1:'
}
