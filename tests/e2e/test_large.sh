#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test: long=1800
#
# Many small files, and one that is larger than any buffer. The long run has 100,000 and 3 GiB.
. "$(dirname "$0")/lib.sh"

if [ -n "${VINE_TEST_LONG:-}" ]; then
    folders=100 each=1000 size=3221225473
else
    folders=10 each=300 size=100000001
fi

mkdir -p many
seq $folders | while read -r i; do
    mkdir "many/$i"
    seq $each | awk -v folder="many/$i" '
        { file = folder "/" $1; print folder, $1 > file; close(file) }'
done
expect 0 "$vine" run zstd --sums many -o out
[ "$(find out -name '*.zst' | wc -l)" = $((folders * each)) ] || fail "results are missing"
(cd many && sha256sum --quiet -c ../out/SHA256SUMS) || fail "sums of many"
find out -name '*.zst' -print0 | xargs -0 zstd -q -t || fail "zstd -t of many"
expect 0 "$vine" run zstd --sums many -o out
said "$(printf '%s' $((folders * each)) | sed 's/\(...\)$/,\1/') unchanged"
rm -rf many out

# Mostly holes, so that the disk need not hold it; some bytes here and there.
truncate -s $size large
for at in 0 1048575 50000000 $((size - 7)); do
    printf 'here: %s' "$at" | head -c 7 | dd of=large bs=1 seek="$at" conv=notrunc status=none
done
expect 0 "$vine" run zstd --sums large -o out
sha256sum --quiet -c out/SHA256SUMS || fail "sum of a large file"
zstd -q -d -c out/large.zst | cmp - large || fail "zstd -d of a large file"
expect 0 "$vine" run unzstd out/large.zst -o back
cmp back/large large || fail "unzstd of a large file"
[ "$("$vine" run sha256 large 2>said)" = "$(cat out/SHA256SUMS)" ] || fail "sha256 of a large file"

# Memory stays bounded: far below the file's size. Sanitizers take their own. Its peak so far only
# rises, so the last look before the end is close to all of it.
if [ -z "${VINE_SANITIZE:-}" ]; then
    "$vine" run copy --in-process large -o copied 2>said &
    running=$!
    peak=0
    while now=$(sed -n 's/^VmHWM:[^0-9]*\([0-9]*\) kB$/\1/p' "/proc/$running/status") &&
        [ -n "$now" ]; do
        peak=$now
        command sleep 0.01
    done
    wait "$running" || fail "copy"
    [ "$peak" -gt 0 ] || fail "its memory was never seen"
    [ "$peak" -lt 400000 ] || fail "it took $peak KiB"
fi
