#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Input that is not as one would like: what can be done is done, what cannot is named, exit 1.
. "$(dirname "$0")/lib.sh"

mkdir -p src/sub
printf 'good\n' >src/good
good=$(sha256sum src/good)

# Links that loop and dangle, fifos, sockets, devices: passed over inside a tree, none is opened.
ln -s .. src/sub/up
ln -s loop src/loop
ln -s nowhere src/dangling
mkfifo src/fifo
ln -s /dev/zero src/zero
expect 0 timeout 60 "$vine" run sha256 src >own
[ "$(cat own)" = "$good" ] || fail "something else than the file was hashed"
said 'src/fifo: a fifo'
expect 0 "$vine" run copy src -o copied
[ "$(find copied -type f ! -name .vine-run)" = copied/good ] || fail "something else was copied"

# The same as arguments are failures.
expect 1 timeout 60 "$vine" run sha256 src/fifo /dev/null src/loop src/missing src/good >own
[ "$(cat own)" = "$good" ] || fail "the rest is not done"
said 'src/fifo'
said '/dev/null'
said 'src/loop'
said 'src/missing: No such file'

# Unreadable ones.
(
    become_other
    mkdir mine
    chmod 777 mine
    printf 'secret' >src/unreadable
    chmod 0 src/unreadable
    mkdir -m 0 src/closed
    expect 1 $as "$vine" run sha256 src >own
    said 'src/unreadable: Permission denied'
    said 'src/closed: Permission denied'
    [ "$(cat own)" = "$good" ] || fail "the readable one is not done"
    expect 1 $as "$vine" run zstd src/good src/unreadable --sums -o mine/half
    said 'src/unreadable: Permission denied'
    zstd -q -t mine/half/good.zst || fail "the readable one is not compressed"
    [ "$(cat mine/half/SHA256SUMS)" = "${good%src/good}good" ] || fail "sums of the readable one"
    [ "$(find mine/half -name '*.zst')" = mine/half/good.zst ] ||
        fail "a result of what cannot be read"
)
rm -rf src/unreadable src/closed

# Compressed data that is none, or is cut short; the rest is done.
mkdir packed
zstd -q src/good -o packed/a.zst
head -c 100000 /dev/urandom | zstd -q -c >whole.zst
head -c 50000 whole.zst >packed/b.zst
printf 'this is not zstd' >packed/c.zst
: >packed/d.zst
gzip -c src/good | head -c 10 >packed/e.gz
expect 1 "$vine" run unzstd packed -o back
said 'packed/b.zst'
said 'packed/c.zst'
[ "$(find back -type f ! -name .vine-run)" = back/a ] ||
    fail "results of nonsense: $(find back -type f)"
no_leftovers back
expect 1 "$vine" run gunzip packed/e.gz -o back
said 'packed/e.gz'
[ ! -e back/e ] || fail "a result of half a file"

# A file that changes all the time is read twice, then named; others are done. Where the writer did
# not get a turn during both, the next run will see it.
head -c 30000000 /dev/urandom >src/changing
sh -c 'while :; do printf x >>src/changing; done' &
writer=$!
code=0
while [ "$code" = 0 ]; do
    "$vine" run sha256 src >own 2>said || code=$?
done
[ "$code" = 1 ] || fail "status $code with a file that changes"
kill "$writer"
wait "$writer" 2>/dev/null || :
said 'src/changing: changed while it was read; once more'
said 'src/changing: changed while it was read, twice'
[ "$(cat own)" = "$good" ] ||
    fail "the quiet one is not done, or the changing one is printed"

# Results that would take what is not theirs.
mkdir -p taken/sub
printf 1 >taken/SHA256SUMS
printf 2 >taken/.vine-run
printf 3 >taken/sub/SHA256SUMS
expect 1 "$vine" run copy --sums taken -o taken-out
said 'taken/SHA256SUMS: '
said 'taken/.vine-run: '
[ "$(cat taken-out/sub/SHA256SUMS)" = 3 ] || fail "the one further down has its own place"
(cd taken && sha256sum --quiet -c ../taken-out/SHA256SUMS) ||
    fail "sums beside a name that is taken"
expect 1 "$vine" run copy src/good -o src
said 'its own place'
mkdir -p way-out/good.zst
expect 1 "$vine" run zstd src/good -o way-out
said 'src/good: '
no_leftovers way-out

# OUT inside of the tree is not taken for a source.
expect 0 "$vine" run zstd src -o src/out
expect 0 "$vine" run zstd src -o src/out
[ -z "$(find src/out -name '*.zst.zst')" ] || fail "results were compressed"
