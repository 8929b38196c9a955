# SPDX-License-Identifier: Apache-2.0
# test: timeout=1200 long
# clang-tidy, with the checks of .clang-tidy, over what ships.

command -v clang-tidy >/dev/null 2>&1 || skip "clang-tidy is not here (package: clang-tidy)"

# analyse FLAG...: the files on standard input.
analyse() {
    xargs -P "$(nproc)" -n 8 sh -c 'flags=$1; shift; clang-tidy --quiet "$@" -- $flags 2>/dev/null' \
        sh "$flags $*"
}

check() {
    flags="-std=gnu17 -D_GNU_SOURCE= -DVINE_VERSION=\"0\" -I$root/include -I$root/src -I$root/tools -I$root/procedures -I$root/services -I$root/keys -I$root"
    c_files ${only:-src vmm procedures services keys tools appliance server} | grep '\.c$' >"$scratch/files"
    # What is for one kind of processor is read as the compiler for that kind does, with its headers.
    {
        grep -vE '_(x86_64|aarch64)\.c$' "$scratch/files" | analyse
        for machine in x86_64 aarch64; do
            if [ "$machine" = "$(uname -m)" ]; then
                grep "_$machine\.c$" "$scratch/files" | analyse
            elif [ -d "/usr/$machine-linux-gnu/include" ]; then
                grep "_$machine\.c$" "$scratch/files" |
                    analyse "--target=$machine-linux-gnu -isystem /usr/$machine-linux-gnu/include"
            fi
        done
    } | grep -E ': (warning|error): ' | sed "s|^$root/||" | sort -u
}

plant() {
    mkdir -p planted
    printf 'int f(int *p);\nint f(int *p)\n{\n    if (!p)\n        return *p;\n    return 0;\n}\n' \
        >planted/planted.c
    only=planted
    expected='planted/planted.c:5:'
}
