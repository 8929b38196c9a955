#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# An output that cannot be written, or no further: named, exit 1, no half file under a final name.
. "$(dirname "$0")/lib.sh"

mkdir src
head -c 600000 /dev/urandom >src/a
head -c 6000000 /dev/urandom >src/b
printf 'small' >src/c

# A folder that cannot be made, and one that is a file.
expect 1 "$vine" run zstd src -o /proc/self/none/out
said '/proc/self/none/out'
: >file
expect 1 "$vine" run zstd src -o file
said 'file: '
expect 1 "$vine" run zstd src -o file/below
said 'file/below: '
mkdir -m 555 closed
chmod 755 . src
chmod 644 src/*
(
    become_other
    expect 1 $as "$vine" run zstd src -o closed/out
    expect 1 $as "$vine" run zstd src -o closed
    said 'closed: '
)

# check_full: what is to be found after a run whose second file did not fit.
check_full() {
    said 'src/b: cannot write its result'
    said "$1"
    [ ! -e out/b.zst ] || fail "a half result"
    no_leftovers out
    [ ! -e out/SHA256SUMS ] || fail "sums of a run that could not be ended"
    find out -name '*.zst' -print0 | xargs -0 -r zstd -q -t || fail "a half result"
}

# A file that may not grow: the limit counts for the pipe's memory too, so it is done in process.
rm -rf out
expect 1 sh -c 'ulimit -f 2048; exec "$0" run zstd --in-process src -o out' "$vine"
said 'src/b: cannot write its result'
[ ! -e out/b.zst ] || fail "a half result"
no_leftovers out
zstd -q -t out/a.zst out/c.zst || fail "what fits is not done"

# A disk that takes 2 MiB: simulated, then, where one may be mounted, a real one.
rm -rf out
expect 1 env LD_PRELOAD="$VINE_BUILD_DIR/tests/plugins/full_disk.so" VINE_TEST_DISK_BYTES=2097152 \
    ASAN_OPTIONS=verify_asan_link_order=0 "$vine" run zstd --sums src -o out
check_full 'No space left'

mount_in() {
    VINE=$vine "$@" sh -eu -c '
        mount -t tmpfs -o size=2m none out || exit 99
        code=0
        "$VINE" run zstd --sums src -o out/here 2>said || code=$?
        echo "$code" >code
        cp -r out/here ended'
}
rm -rf out
mkdir out
if mount_in unshare -m 2>/dev/null || mount_in unshare -rm 2>/dev/null; then
    [ "$(cat code)" = 1 ] || fail "status $(cat code) with a full disk"
    rm -rf out
    mv ended out
    check_full 'No space left'
fi

# Standard output that is full: results that nobody has.
expect 1 sh -c '"$0" run sha256 src >/dev/full' "$vine"
said 'standard output: cannot write: No space left'
