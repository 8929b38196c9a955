#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `sudo make install` installs what was built, and has what was not built by who called sudo: what
# lies below out/ stays theirs. And who cannot write there is told so, and shown no old log.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cp -R "$VINE_SOURCE_DIR/Makefile" "$VINE_SOURCE_DIR/scripts" "$scratch"
cd "$scratch"
fail() {
    echo "FAILED: $*"
    cat log
    exit 1
}

# What would need root, or minutes, only says that it was called.
printf '#!/bin/sh\n' >scripts/packages
mkdir bin
cat >bin/cmake <<'CMAKE'
#!/bin/sh
echo "cmake $1 as ${AS:-root}" >>log
mkdir -p out/release
case $1 in
--build) touch out/release/vine && chmod +x out/release/vine ;;
--install) touch out/release/install_manifest.txt ;;
esac
CMAKE
cat >bin/sudo <<'SUDO'
#!/bin/sh
[ "$1 $2 $4" = '-H -u --' ] || exit 1
AS=$3
export AS
shift 4
exec "$@"
SUDO
printf '#!/bin/sh\necho "${USER_ID:-0}"\n' >bin/id
chmod +x bin/*
PATH=$scratch/bin:$PATH
unset MAKEFLAGS MFLAGS MAKELEVEL

# did LINE...: since the last time, this and nothing else was called.
did() {
    printf '%s\n' "$@" >wanted
    cmp -s log wanted || fail "instead of: $*"
    : >log
}
SUDO_USER=caller make install DESTDIR="$scratch/root"
did 'cmake --preset as caller' 'cmake --build as caller' 'cmake --install as root'
SUDO_USER=caller make install DESTDIR="$scratch/root"
did 'cmake --install as root'
USER_ID=1000 make install DESTDIR="$scratch/root"
did 'cmake --preset as root' 'cmake --build as root' 'cmake --install as root'

rm -rf out
mkdir -p out/release/build.log
if scripts/build release all 1 2>said; then
    fail "it builds without a log"
fi
grep -q '^build: cannot write out/release/build.log: ' said || fail "says: $(cat said)"
[ "$(wc -l <said)" = 1 ] || fail "says more: $(cat said)"
