#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make install` lays down of libvine-runtime is complete, and a program of somebody else builds
# against it, shared and from the archive.
set -eu
[ -e "$VINE_BUILD_DIR/libvine-runtime.a" ] || { echo "libvine-runtime was not built"; exit 77; }
command -v pkg-config >/dev/null || { echo "pkg-config is not here (package: pkg-config)"; exit 77; }
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
DESTDIR=$scratch/root cmake --install "$VINE_BUILD_DIR" --prefix /usr/local >"$scratch/log" ||
    { cat "$scratch/log"; exit 1; }
cd "$scratch/root/usr/local"
lib=$(find . -name libvine-runtime.a -exec dirname {} \;)
PKG_CONFIG_PATH=$PWD/$lib/pkgconfig
export PKG_CONFIG_PATH

expect() {
    [ -e "$1" ] || { echo "not installed: $1"; find . | sort; exit 1; }
}
expect "$lib/libvine-runtime.so.0.1.0"
expect "$lib/pkgconfig/vine-runtime.pc"
objdump -p "$lib/libvine-runtime.so" | grep -q 'SONAME *libvine-runtime\.so\.0$' ||
    { echo "wrong soname of libvine-runtime"; exit 1; }
cat >"$scratch/reactors.c" <<'PROGRAM'
#include <stdlib.h>
#include <vine/runtime.h>

static int begin(int argc, char **argv)
{
    void *block = malloc(100);

    (void)argv;
    free(block);
    return block != NULL && vine_core() == 0 ? 40 + argc : 1;
}

int main(int argc, char **argv)
{
    const struct vine_options options = {.size_bytes = sizeof(options), .operands = "WORD"};

    return vine_main(argc, argv, &options, begin);
}
PROGRAM
run_it() {
    code=0
    "$1" --overprovisioned --smp=2 operand || code=$?
    [ "$code" = 42 ] || { echo "$1 ended with $code"; exit 1; }
}
eval "set -- $(pkg-config --cflags --libs vine-runtime)"
"${VINE_C_COMPILER:-cc}" -Wall -Wextra -Werror -o "$scratch/reactors" "$scratch/reactors.c" "$@"
(LD_LIBRARY_PATH=$PWD/$lib; export LD_LIBRARY_PATH; run_it "$scratch/reactors")
# Both of ours from their archives, and what they need as pkg-config says.
eval "set -- $(pkg-config --static --cflags --libs vine-runtime |
    sed 's/-l\(vine[^ ]*\)/-l:lib\1.a/g')"
"${VINE_C_COMPILER:-cc}" -Wall -Wextra -Werror -o "$scratch/archived" "$scratch/reactors.c" "$@"
! objdump -p "$scratch/archived" | grep -q 'NEEDED *libvine' || { echo "not from archives"; exit 1; }
run_it "$scratch/archived"
