#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Appliances that are not there, are there twice, go, and come back.
. "$(dirname "$0")/lib.sh"

mkdir src
printf 'good\n' >src/good
good=$(sha256sum src/good)

# Nobody: however it is named, and nothing is started instead.
expect 69 "$vine" run sha256 --appliance "$scratch/nobody.sock" src
said 'nobody.sock'
expect 69 env VINE_APPLIANCE=nobody "$vine" run sha256 src
mkdir -p "$XDG_CONFIG_HOME/vine"
printf 'appliance %s\n' "$scratch/nobody.sock" >"$XDG_CONFIG_HOME/vine/vine.conf"
expect 69 "$vine" run sha256 src
expect 69 "$vine" procs
rm "$XDG_CONFIG_HOME/vine/vine.conf"
printf 'appliance = %s\n' "$scratch/nobody.sock" >"$HOME/.vinetalk"
expect 69 "$vine" run sha256 src
rm "$HOME/.vinetalk"
: >not-a-socket
expect 69 "$vine" run sha256 --appliance "$scratch/not-a-socket" src
[ "$("$vine" run sha256 src/good 2>said)" = "$good" ] || fail "nothing named, and nothing done"

# One there, by path and by name.
serve
[ "$("$vine" run sha256 -a "$address" src/good 2>said)" = "$good" ] || fail "a named appliance"
"$vine" procs -a "$address" >listed
for procedure in noop copy sha256 blake2b crc32 xxh3 zstd unzstd gzip gunzip; do
    grep -q "^$procedure  " listed || fail "$procedure is not offered"
done
"$vine" procs -a "$address" --json >listed
grep -q '"name": "level"' listed || fail "procs --json"

# What it is told of shares and times, by options and by files.
for wrong in '--shares user:0' '--shares user:0=0' '--shares exe:vine=5' '--dispatch-max 5' \
    '--dispatch-max fast'; do
    # Words, to be split.
    # shellcheck disable=SC2086
    expect 2 "$vine" appliance --listen "$scratch/other.sock" $wrong
done
said 'takes a time with its unit'
stop
serve --shares "user:$(id -u)=200" --shares "exe:$vine=50" --dispatch-max 1ns
[ "$("$vine" run sha256 -a "$address" src/good 2>said)" = "$good" ] || fail "with shares"
"$vine" procs --stats --json -a "$address" >listed
grep -q '"long_runs": [1-9]' listed || fail "--dispatch-max tells of nothing"
expect 2 "$vine" run sha256 -a "$address" --deadline 5 src/good
expect 1 "$vine" run sha256 -a "$address" --deadline 1ns src/good
said 'VINE_EDEADLINE\|deadline'
[ "$("$vine" run sha256 -a "$address" --deadline 1h src/good 2>said)" = "$good" ] ||
    fail "within a deadline"
stop
serve

# One that lives and does not answer: a time-out, which is another thing than nobody.
kill -STOP "$serving"
expect 75 "$vine" run sha256 -a "$address" src
said 'does not answer (ETIMEDOUT)'
kill -CONT "$serving"
[ "$("$vine" run sha256 -a "$address" src/good 2>said)" = "$good" ] || fail "it goes on"

# A second one does not take the place of a live one, which goes on.
expect 75 "$vine" appliance --listen "$address"
said 'cannot listen'
[ "$("$vine" run sha256 -a "$address" src/good 2>said)" = "$good" ] || fail "the live one was hurt"

# A dead one's socket is taken over.
kill -KILL "$serving"
wait "$serving" 2>/dev/null || :
[ -S "$address" ] || fail "no stale socket to test with"
expect 69 "$vine" run sha256 -a "$address" src
serve
[ "$("$vine" run sha256 -a "$address" src/good 2>said)" = "$good" ] || fail "taken over"
stop
[ ! -e "$address" ] || fail "the socket outlives its appliance"

# Lost on the way, and nobody comes: 75, nothing half-done.
head -c 10000000 /dev/urandom >src/large
for i in $(seq 50); do printf '%s\n' "$i" >src/a$i; done
serve --workers 1
"$vine" run zstd --level 19 --reconnect 1 -a "$address" src -o out 2>said &
running=$!
until_true test -e out/a1.zst
kill -KILL "$serving"
wait "$serving" 2>/dev/null || :
code=0
wait "$running" || code=$?
[ "$code" = 75 ] || fail "status $code after the appliance was lost"
no_leftovers out
find out -name '*.zst' -print0 | xargs -0 zstd -q -t || fail "a half result"

# Lost on the way, and another comes: it ends as if nothing had been.
rm -rf out
serve --workers 1
"$vine" run zstd --level 19 --sums --reconnect 100 -a "$address" src -o out 2>said &
running=$!
until_true test -e out/a1.zst
kill -KILL "$serving"
wait "$serving" 2>/dev/null || :
serve
code=0
wait "$running" || code=$?
[ "$code" = 0 ] || fail "status $code after the appliance came back"
said 'lost'
find out -name '*.zst' -print0 | xargs -0 zstd -q -t || fail "a half result"
(cd src && sha256sum --quiet -c ../out/SHA256SUMS) || fail "sums after a loss"
zstd -q -d -c out/large.zst | cmp - src/large || fail "a chunk is lost or doubled"

# However it ends before its time, what it tells is what is there: also what was taken before an
# appliance drained, and what had ended behind a file that had not.
# tells STATUS: a run with that exit status has told of each result.
tells() {
    code=0
    wait "$running" || code=$?
    [ "$code" = "$1" ] || fail "status $code instead of $1: $(cat shown said)"
    there=$(find out -name '*.zst' | wc -l)
    [ "$(grep -c '"status":"done"' shown)" = "$there" ] || fail "$there results, not as many told of"
    grep -q "\"done\":$there,.*\"exit_status\":$1}" shown || fail "$there results, and other counts"
    [ "$1" != 75 ] || grep -q '"error":"cannot open a pipe to .*,"exit_status"' shown ||
        fail "it does not say what ended it: $(tail -n 1 shown)"
    no_leftovers out
}
begin() {
    rm -rf out
    "$vine" run zstd --level 19 --reconnect 0 --json -a "$address" src -o out \
        >shown 2>said &
    running=$!
    until_true test -e out/a1.zst
}
mv src/large large
head -c 5000000 large >src/0-first
truncate -s 30G src/z-last
stop
serve --workers 2
begin
kill -TERM "$serving"
tells 75
wait "$serving" || fail "the appliance that drained ended with $?"
[ -e out/0-first.zst ] || fail "what was taken before it drained is not there"
serve --workers 2
begin
kill -INT "$running"
tells 130
said 'interrupted'
rm src/0-first src/z-last
mv large src/large

# One that drains is as good as lost.
rm -rf out
"$vine" run zstd --level 19 --reconnect 100 -a "$address" src -o out 2>said &
running=$!
until_true test -e out/a1.zst
stop
serve
code=0
wait "$running" || code=$?
[ "$code" = 0 ] || fail "status $code after the appliance drained and came back"
zstd -q -d -c out/large.zst | cmp - src/large || fail "a chunk is lost or doubled"

# Our own one is lost: another is started.
rm -rf out
"$vine" run zstd --level 19 src -o out 2>said &
running=$!
until_true test -e out/a1.zst
kill -KILL $(cat "/proc/$running/task/$running/children")
code=0
wait "$running" || code=$?
[ "$code" = 0 ] || fail "status $code after its own appliance was lost"
zstd -q -d -c out/large.zst | cmp - src/large || fail "a chunk is lost or doubled"
stop

# A named segment that the configuration describes: nothing but ~/.vinetalk says where.
printf 'shm_file %s\nshm_size 16M\n' "$scratch/segment" >"$HOME/.vinetalk"
address=segment
serve_there() {
    rm -f says
    mkfifo says
    "$vine" appliance "$@" >says 2>&1 &
    serving=$!
    exec 3<says
    IFS= read -r line <&3
    case $line in *ready*segment*) ;; *) fail "with a named segment: $line$(cat <&3)" ;; esac
}
serve_there
expect 0 "$vine" run zstd --sums --verify src -o named
(cd src && sha256sum --quiet -c ../named/SHA256SUMS) || fail "sums over a named segment"
expect 75 "$vine" appliance
said 'in use'
stop
expect 69 "$vine" run sha256 src
# It made the name, and takes it away; also one that an appliance which was killed has left behind.
# What was there before stays.
[ ! -e segment ] || fail "the segment's file outlives its appliance"
serve_there
kill -KILL "$serving"
wait "$serving" 2>/dev/null || :
[ -e segment ] || fail "no file that was left behind to test with"
serve_there
stop
[ ! -e segment ] || fail "the file that a killed one left behind stays"
: >segment
serve_there
stop
[ -e segment ] || fail "a file that was there before is removed"
rm "$HOME/.vinetalk"
name=vine-test-segment-$$
serve_there --listen "shm:$name"
[ "$("$vine" run sha256 -a "shm:$name" src/good 2>said)" = "$good" ] || fail "over shm:"
stop
[ ! -e "/dev/shm/$name" ] || fail "the name in shared memory outlives its appliance"

# What it says at its end: the work that it did, and not what its pipes asked it for.
# says_at_its_end LINE
says_at_its_end() {
    stop
    IFS= read -r line <&3 || line=
    [ "$line" = "vine appliance: stopped; $1" ] || fail "it ends with '$line'"
}
serve
says_at_its_end 'nobody came'
printf x >small
serve
expect 0 "$vine" run sha256 -a "$address" small >/dev/null
says_at_its_end '1 pipe served, 1 task done'
