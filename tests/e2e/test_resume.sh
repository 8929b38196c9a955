#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A second run skips what is whole and unchanged, and does what is not; interrupted or killed runs
# leave nothing half-done and are taken up.
. "$(dirname "$0")/lib.sh"

mkdir -p src/sub
for i in 1 2 3 4 5 6 7 8 9; do
    head -c 200000 /dev/urandom >src/file$i
done
head -c 2500000 /dev/urandom >src/sub/large

# summary WORD: the number before it in the summary line.
summary() {
    sed -n "s/.*[ ,:]\([0-9,]*\)\( files\)\{0,1\} $1.*/\1/p" said | head -n 1
}

expect 0 "$vine" run zstd --sums src -o out
[ "$(summary done)" = 10 ] || fail "not all were done: $(summary done)"
cp out/SHA256SUMS first
touch -r out/file1.zst stamp
expect 0 "$vine" run zstd --sums src -o out
[ "$(summary unchanged)" = 10 ] || fail "not all were skipped"
[ ! out/file1.zst -nt stamp ] || fail "a result was written again"
cmp first out/SHA256SUMS || fail "sums of what was skipped are gone"

# Each kind of difference.
head -c 200000 /dev/urandom >src/file1 # contents
rm out/file2.zst
printf 'half' >out/file3.zst
cp -p src/file4 src/file4.new && mv src/file4.new src/file4 # another file, same size and time
: >src/new
expect 0 "$vine" run zstd --sums src -o out
[ "$(summary done)" = 5 ] || fail "of five differences were done: $(summary done)"
(cd src && sha256sum --quiet -c ../out/SHA256SUMS) || fail "sums are not renewed"
find out -name '*.zst' -print0 | xargs -0 zstd -q -t || fail "results are not renewed"
expect 0 "$vine" run zstd --sums --level 7 src -o out
[ "$(summary done)" = 11 ] || fail "another level does not count"

# Sums that an earlier run did not make are made.
rm -rf out
expect 0 "$vine" run zstd src -o out
expect 0 "$vine" run zstd --sums src -o out
(cd src && sha256sum --quiet -c ../out/SHA256SUMS) || fail "sums were skipped"

# Two at once: the second is told.
rm -rf out
mkdir out
(
    flock -x 9
    expect 75 "$vine" run zstd src -o out
    said 'another'
) 9<out

# A signal, while something is under way: as soon as a first result is there.
mkdir many
head -c 10000000 /dev/urandom >many/z-large
for i in $(seq 200); do
    head -c 20000 /dev/urandom >many/file$i
done
for signal in INT TERM; do
    rm -rf out
    env --default-signal=INT "$vine" run zstd --level 19 --sums many -o out 2>said &
    running=$!
    until_true test -e out/file1.zst
    kill -"$signal" "$running"
    code=0
    wait "$running" || code=$?
    case $signal in INT) wanted=130 ;; TERM) wanted=143 ;; esac
    [ "$code" = "$wanted" ] || fail "$signal: ended with $code"
    no_leftovers out
    [ ! -e out/SHA256SUMS ] || fail "$signal: sums of a half run"
    [ -z "$(ls "$XDG_RUNTIME_DIR/vine")" ] || fail "$signal: the appliance's socket is left"
    find out -name '*.zst' -print0 | xargs -0 zstd -q -t || fail "$signal: a half result"
done
made=$(find out -name '*.zst' | wc -l)
expect 0 "$vine" run zstd --level 19 --sums many -o out
[ "$(summary unchanged)" = "$made" ] || fail "of $made results were skipped: $(summary unchanged)"
(cd many && sha256sum --quiet -c ../out/SHA256SUMS) || fail "sums of a resumed run"

# kill -9: nobody cleans up, and nothing needs it; the appliance goes with its command.
rm -rf out
"$vine" run zstd --level 19 many -o out 2>said &
running=$!
# With the second one there, the first one is recorded.
until_true test -e out/file1.zst
until_true test -e out/file10.zst
kill -KILL "$running"
wait "$running" 2>/dev/null || :
find out -name '*.zst' -print0 | xargs -0 zstd -q -t || fail "killed: a half result"
until_true sh -c '[ -z "$(ls "$XDG_RUNTIME_DIR/vine")" ]'
expect 0 "$vine" run zstd --level 19 many -o out
[ -n "$(summary unchanged)" ] || fail "killed: nothing was skipped"
no_leftovers out
find out -name '*.zst' -print0 | xargs -0 zstd -q -t || fail "resumed: a half result"
