#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What each procedure makes of a tree, checked by plain tools: odd names, empty and sparse files,
# many chunks; by an appliance of the command's own, a named one, and in this process.
. "$(dirname "$0")/lib.sh"

mkdir -p src/sub/deeper src/empty-folder
printf 'hello\n' >src/plain
: >src/empty
head -c 3000000 /dev/urandom >src/sub/random
yes 'the same line again and again' | head -c 5000000 >src/sub/deeper/lines
truncate -s 4000000 src/sparse
printf 'x' | dd of=src/sparse bs=1 seek=2500000 conv=notrunc status=none
printf 'a' >"src/with blank "
printf 'b' >"src/$(printf 'new\nline')"
printf 'c' >"src/back\\slash"
printf 'd' >"src/$(printf 'not-utf8-\377\376')"
printf 'e' >"src/$(printf 'return\r')"
printf 'f' >src/-dash
head -c 1048576 /dev/urandom >src/one-chunk
files=$(find src -type f | tr -cd / | wc -c) # not a count of lines: names have newlines
count=$(find src -type f -exec printf . \; | wc -c)

same_tree() {
    diff -r "$1" "$2" >"$scratch/said" 2>&1 || fail "$1 and $2 differ"
}

# how OPTIONS: all of it in one way.
all() {
    rm -rf out back gz copy
    expect 0 "$vine" run zstd --sums src -o out "$@"
    [ "$(find out -name '*.zst' -exec printf . \; | wc -c)" = "$count" ] ||
        fail "results are missing"
    find out -name '*.zst' -print0 | xargs -0 zstd -q -t || fail "zstd -t"
    zstd -q -d -c out/sub/deeper/lines.zst | cmp - src/sub/deeper/lines || fail "zstd -d"
    (cd src && sha256sum --quiet -c ../out/SHA256SUMS) || fail "sha256sum -c"
    [ "$(wc -l <out/SHA256SUMS)" = "$count" ] || fail "SHA256SUMS has another count"
    no_leftovers out

    expect 0 "$vine" run gzip src -o gz --verify "$@"
    find gz -name '*.gz' -print0 | xargs -0 gzip -t || fail "gzip -t"
    gzip -d -c gz/sub/random.gz | cmp - src/sub/random || fail "gzip -d"

    expect 0 "$vine" run copy src -o copy --verify "$@"
    rm copy/.vine-run
    mkdir copy/empty-folder # no file, no folder
    same_tree src copy

    "$vine" run sha256 src "$@" 2>said | LC_ALL=C sort >own || fail "sha256"
    find src -type f -print0 | xargs -0 sha256sum | LC_ALL=C sort >theirs
    cmp own theirs || fail "sha256sum prints something else"
    "$vine" run blake2b src "$@" 2>said | LC_ALL=C sort >own || fail "blake2b"
    find src -type f -print0 | xargs -0 b2sum -l 256 | LC_ALL=C sort >theirs
    cmp own theirs || fail "b2sum prints something else"
}

# expand OPTIONS: and back.
expand() {
    rm -rf back out gz
    expect 0 "$vine" run zstd src -o out "$@"
    : >out/other
    expect 0 "$vine" run unzstd out -o back --verify --chunk 64K "$@"
    said "other: its name does not end in .zst; passed over"
    said ', 1 passed over'
    rm back/.vine-run
    mkdir back/empty-folder
    same_tree src back
    rm -rf back
    expect 0 "$vine" run gzip src -o gz "$@"
    expect 0 "$vine" run gunzip gz -o back --verify "$@"
    rm back/.vine-run
    mkdir back/empty-folder
    same_tree src back
    # One frame of plain zstd's own, larger than a chunk, and its bomb.
    rm -rf back one
    mkdir one
    head -c 60000000 /dev/zero | zstd -q -c >one/zeros.zst
    cat src/sub/random src/sub/random | zstd -q -c >one/twice.zst
    expect 0 "$vine" run unzstd one -o back --chunk 256K "$@"
    head -c 60000000 /dev/zero | cmp - back/zeros || fail "unzstd of zeros"
    cat src/sub/random src/sub/random | cmp - back/twice || fail "unzstd of random bytes"
}

all --in-process
all
all --chunk 4K --jobs 3
expand
serve --workers 2
all --appliance "$address"
VINE_APPLIANCE=$address expand
stop

# The output of hashes has an order: that of arguments, then of names.
"$vine" run crc32 src/sub src/plain 2>said >first
"$vine" run crc32 --jobs 1 src/sub src/plain 2>said >second
cmp first second || fail "the order changes"
[ "$(sed -n '$s/.* //p' first)" = src/plain ] || fail "arguments are out of order"

# A name on its own, through links too.
ln -s src/plain to-plain
ln -s src to-src
[ "$("$vine" run sha256 to-plain 2>said)" = "$(sha256sum to-plain)" ] || fail "a link as argument"
expect 0 "$vine" run zstd to-plain to-src/sub/random -o byname
[ "$(find byname -name '*.zst' | LC_ALL=C sort | tr '\n' ' ')" = \
    'byname/random.zst byname/to-plain.zst ' ] ||
    fail "files land elsewhere"

# Hashes into a list need no result files.
expect 0 "$vine" run sha256 --sums src -o listed
(cd src && sha256sum --quiet -c ../listed/SHA256SUMS) || fail "sha256 --sums"

# Levels.
expect 0 "$vine" run zstd --level 19 src/sub/deeper -o high
expect 0 "$vine" run gzip --level 1 src/sub/deeper -o low
[ "$(stat -c %s high/lines.zst)" -le "$(stat -c %s out/sub/deeper/lines.zst)" ] || fail "level 19"
gzip -d -c low/lines.gz | cmp - src/sub/deeper/lines || fail "level 0"

# JSON, a line a file; names that are not UTF-8 have their bytes too.
"$vine" run sha256 --json src 2>said >lines || fail "--json"
[ "$(wc -l <lines)" = $((count + 1)) ] || fail "--json has another count of lines"
grep -q '"file_hex":"7372632f6e6f742d757466382dfffe"' lines || fail "no bytes of a name"
grep -q '"file":"src/new\\nline"' lines || fail "no escaped newline"
tail -n 1 lines | grep -q '"summary":true' || fail "no summary"
