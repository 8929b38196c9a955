# SPDX-License-Identifier: Apache-2.0
# No #if inside a function: CMake chooses whole files. Functions are laid out with their braces in
# the first column, so what lies between such braces is a body.

check() {
    for file in $(c_files src include vmm procedures keys tools appliance server); do
        awk '
            /^\{/ { body = 1 }
            /^\}/ { body = 0 }
            body && /^[ \t]*#[ \t]*(if|ifdef|ifndef|elif|else)/ {
                print FILENAME ":" FNR ": " $0 " inside a function"
            }' "$file"
    done
}

plant() {
    printf 'int f(void)\n{\n#ifdef __linux__\n    return 1;\n#endif\n}\n' >src/utils/planted.c
    expected='src/utils/planted.c:3: '
}
