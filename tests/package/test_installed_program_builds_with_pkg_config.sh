#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# What `make install` lays down is complete, and a program of somebody else builds against it.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
DESTDIR=$scratch/root cmake --install "$VINE_BUILD_DIR" --prefix /usr/local >"$scratch/log" ||
    { cat "$scratch/log"; exit 1; }
cd "$scratch/root/usr/local"
lib=$(find . -name libvine.a -exec dirname {} \;)

expect() {
    [ -e "$1" ] || { echo "not installed: $1"; find . | sort; exit 1; }
}
for header in "$VINE_SOURCE_DIR"/include/vine/*.h; do
    expect "include/vine/${header##*/}"
done
expect "$lib/libvine.a"
expect "$lib/libvine.so.0.1.0"
expect "$lib/pkgconfig/vine.pc"
[ "$(readlink "$lib/libvine.so")" = libvine.so.0 ]
[ "$(readlink "$lib/libvine.so.0")" = libvine.so.0.1.0 ]
objdump -p "$lib/libvine.so" | grep -q 'SONAME *libvine\.so\.0$' || { echo "wrong soname"; exit 1; }
if [ -n "${VINE_COMMAND:-}" ]; then
    expect bin/vine
    expect lib/vine/vine-init
    expect share/man/man1/vine.1
    for verb in $(bin/vine help | sed -n '/^Verbs/,/^$/s/^  \([a-z ]*[a-z]\)  .*/\1/p' |
        tr ' ' -) guest pool vm client; do
        expect "share/man/man1/vine-$verb.1"
    done
    expect share/bash-completion/completions/vine
    expect share/zsh/site-functions/_vine
    expect share/fish/vendor_completions.d/vine.fish
    bin/vine --version
fi

cat >"$scratch/program.c" <<'PROGRAM'
#include <stdio.h>
#include <string.h>
#include <vine/error.h>

int main(void)
{
    puts(vine_error_name(VINE_EPEERLOST));
    return strcmp(vine_error_name(VINE_EPEERLOST), "VINE_EPEERLOST");
}
PROGRAM
command -v pkg-config >/dev/null || { echo "pkg-config is not here (package: pkg-config)"; exit 77; }
PKG_CONFIG_PATH=$PWD/$lib/pkgconfig
export PKG_CONFIG_PATH
[ "$(pkg-config --modversion vine)" = 0.1.0 ]

# Shared and static. What pkg-config says is quoted for a shell.
eval "set -- $(pkg-config --cflags --libs vine)"
"${VINE_C_COMPILER:-cc}" -Wall -Wextra -Werror -o "$scratch/shared" "$scratch/program.c" "$@"
LD_LIBRARY_PATH=$PWD/$lib "$scratch/shared"
ldd "$scratch/shared" >"$scratch/ldd" 2>&1 || :
grep -q 'libvine\.so\.0 ' "$scratch/ldd" || { cat "$scratch/ldd"; exit 1; }
"${VINE_C_COMPILER:-cc}" -static -Wall -Wextra -Werror -o "$scratch/static" "$scratch/program.c" "$@"
"$scratch/static"

# The same without LD_LIBRARY_PATH: first for a program that knows the place...
"${VINE_C_COMPILER:-cc}" -o "$scratch/knows" "$scratch/program.c" "$@" "-Wl,-rpath,$PWD/$lib"
env -u LD_LIBRARY_PATH "$scratch/knows"

# ...then as README has it, where ldconfig was run: with our tree in the place of /usr/local, and a
# cache of the loader's in the place of this machine's. Nobody outside of the name space sees it.
PATH=$PATH:/sbin:/usr/sbin
unset LD_LIBRARY_PATH PKG_CONFIG_PATH
root=$scratch/root
grep -q '^int main' "$VINE_SOURCE_DIR/examples/hello.c"
cat >"$scratch/as_readme" <<AS_README
set -e
mount --bind "$root/usr/local" /usr/local
ldconfig -C "$scratch/cache"
mount --bind "$scratch/cache" /etc/ld.so.cache
cd "$scratch"
cc -w "$VINE_SOURCE_DIR/examples/hello.c" -lvine -o hello
ldd ./hello | grep -q '/usr/local/.*libvine' || { ldd ./hello; exit 1; }
[ -x /usr/local/bin/vine ] || exit 0
mkfifo says
/usr/local/bin/vine appliance --listen "$scratch/my.sock" 2>says &
trap 'kill \$!' EXIT
exec 3<says
read -r line <&3
./hello "$scratch/my.sock" | grep '  hello\$'
AS_README
if command -v ldconfig >/dev/null && unshare -rm mount --bind /tmp /mnt 2>/dev/null; then
    unshare -rm sh "$scratch/as_readme"
else
    echo "note: no name space to be had: README's lines were not tried"
fi
