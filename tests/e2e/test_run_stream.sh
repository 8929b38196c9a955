#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test: long=300
#
# `vine run PROC -`: standard input goes through a stream to standard output, and comes back by tools
# that know nothing of us.
. "$(dirname "$0")/lib.sh"
[ -x "$VINE_BUILD_DIR/vine-appliance" ] || skip "libvine-runtime was not built"
for tool in zstd gzip sha256sum; do
    command -v "$tool" >/dev/null || skip "$tool is not installed"
done
busy='--overprovisioned --blocked-reactor-notify-ms 10000' # others use these processors too

# What cannot be is said.
printf 'good\n' >good
expect 2 "$vine" run zstd --sums -o out - <good
said 'goes to standard output alone'
expect 2 "$vine" run zstd --deadline 1s - <good
said 'takes no --key and no --deadline'
expect 2 "$vine" run zstd - <good
said 'has no streams at this appliance'

# shellcheck disable=SC2086
serve $busy --workers 2
expect 2 "$vine" run zstd -a "$address" --level 99 - <good
said 'levels 1 to 19'
expect 2 "$vine" run copy -a "$address" - <good
said 'has no streams at this appliance'

: >file0
printf 'x' >file1
seq 700000 | sed 's/$/ is a number/' >file2 # some 15 MB
head -c 3000000 /dev/urandom >file3
for file in file0 file1 file2 file3; do
    "$vine" run zstd -a "$address" - <"$file" >made 2>said || fail "zstd of $file"
    zstd -q -d -c made | cmp - "$file" || fail "zstd of $file is something else"
    "$vine" run unzstd -a "$address" - <made 2>said | cmp - "$file" || fail "unzstd of $file"
    "$vine" run gzip -a "$address" --level 3 - <"$file" >made 2>said || fail "gzip of $file"
    gzip -d -c <made | cmp - "$file" || fail "gzip of $file is something else"
    "$vine" run gunzip -a "$address" - <made 2>said | cmp - "$file" || fail "gunzip of $file"
    # What others made comes back, too.
    zstd -q -c "$file" >made
    "$vine" run unzstd -a "$address" - <made 2>said | cmp - "$file" || fail "unzstd of zstd's"
    gzip -c "$file" >made
    "$vine" run gunzip -a "$address" - <made 2>said | cmp - "$file" || fail "gunzip of gzip's"
    "$vine" run sha256 -a "$address" - <"$file" >made 2>said || fail "sha256 of $file"
    sha256sum <"$file" | cmp - made || fail "sha256 of $file is something else"
    # A file of several chunks is a session of tasks: its digest is that of the stream, too.
    "$vine" run sha256 -a "$address" --chunk 64K "$file" >made 2>said || fail "sha256 of $file"
    sha256sum "$file" | cmp - made || fail "sha256 of $file is something else"
done

# Of a pipe, piece by piece, and of a length that no task may have.
count=100
[ -z "${VINE_TEST_LONG:-}" ] || count=1200
size=$(head -c "${count}M" /dev/zero | "$vine" run zstd -a "$address" - |
    "$vine" run unzstd -a "$address" - | wc -c)
[ "$size" = $((count * 1048576)) ] || fail "$size of $count MiB came back"

# What is wrong is told, and where.
zstd -q -c file2 | head -c 1000 >made
expect 1 "$vine" run unzstd -a "$address" - <made
said 'the frame that begins at byte 0 has no end'
expect 1 "$vine" run gunzip -a "$address" - <good
said 'no member begins at byte 0'

# Who reads no more ends it, and nobody else.
head -c 100M /dev/zero | "$vine" run gzip -a "$address" - 2>said | head -c 10 >/dev/null
[ "$("$vine" run sha256 -a "$address" good 2>said)" = "$(sha256sum good)" ] || fail 'behind that'
stop

# Whose appliance ends, or dies, has lost its stream, and is told so; what was made before is there.
mkfifo source
has_all() { [ "$(wc -c <made)" -eq 3000000 ]; }
for signal in KILL TERM; do
    # shellcheck disable=SC2086
    serve $busy --workers 2 --drain 1
    "$vine" run unzstd -a "$address" - <source >made 2>"$scratch/said" &
    running=$!
    exec 4>source
    zstd -q -c file3 >&4
    until_true has_all
    kill -s "$signal" "$serving"
    code=0
    wait "$running" || code=$?
    exec 4>&-
    [ "$code" = 75 ] || fail "status $code behind $signal"
    said 'the stream was lost with the appliance'
    cmp made file3 || fail "what came before $signal"
    wait "$serving" || :
    serving=
done
