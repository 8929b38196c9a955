#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What an operator sees of an appliance: vine procs --stats and vine pipes, as a person and as JSON.
. "$(dirname "$0")/lib.sh"

printf 'good\n' >good
head -c 300000 /dev/urandom >bad.zst
serve

# Nothing was done yet; then some, of which one failed.
"$vine" procs --stats -a "$address" >shown || fail "procs --stats: $?"
grep -q '^sha256 *0 *0 *- *- *- *- *- *0 B *0 B$' shown || { cat shown; fail "an unused procedure"; }
"$vine" run sha256 -a "$address" good >/dev/null 2>&1 || fail "sha256"
expect 1 "$vine" run unzstd -a "$address" -o out bad.zst
said 'bad.zst: no frame begins at byte 0: the input is not what'
"$vine" procs -s -a "$address" >shown || fail "procs -s: $?"
grep -q '^ *waited: *ran:$' shown || { cat shown; fail "no head"; }
grep -q '^sha256 *1 *0 *[0-9.]*[mun]*s ' shown || { cat shown; fail "sha256 is not counted"; }
grep -q '^unzstd *0 *[1-9]' shown || { cat shown; fail "a failure is not counted"; }

# Who was there, and who is.
"$vine" pipes -a "$address" >shown || fail "pipes: $?"
[ "$(grep -c 'closed .* ago by its application$' shown)" = 4 ] || { cat shown; fail "four are over"; }
grep -q "^ *[0-9]* vine  *$(id -un) .* of 256 MiB  (this command)\$" shown ||
    { cat shown; fail "the command does not see itself"; }
if command -v jq >/dev/null; then
    "$vine" procs --stats --json -a "$address" >shown
    jq -e '.[] | select(.name == "sha256") | .tasks == 1 and .errors == 0 and .bytes_in == 5
        and .run.p50_ns > 0 and .run.max_ns >= .run.p99_ns and .queued.total_ns > 0' \
        shown >/dev/null || { cat shown; fail "statistics in JSON"; }
    "$vine" pipes --json -a "$address" >shown
    jq -e 'map(select(.state == "open")) | length == 1 and .[0].own and .[0].uid == '"$(id -u)" \
        shown >/dev/null || { cat shown; fail "open pipes in JSON"; }
    jq -e 'any(.[]; .state == "closed" and .tasks == 1 and .bytes_in == 5 and .reason == ""
        and has("closed_ns") and (has("error") | not))' shown >/dev/null ||
        { cat shown; fail "closed pipes in JSON"; }
fi

# One that is killed stands there with the reason; while it is there it is told of too.
"$vine" bench --seconds 60 -a "$address" >/dev/null 2>&1 &
holder=$!
until "$vine" pipes -a "$address" | grep -q " $holder "; do :; done
kill -KILL "$holder"
wait "$holder" 2>/dev/null || :
until "$vine" pipes -a "$address" >shown && grep -q 'closed .* ago: the other side is gone: ' shown; do :; done

# What its books say of them: nothing is wrong, and what the bench has in flight is told.
"$vine" bench --seconds 60 -a "$address" >/dev/null 2>&1 &
holder=$!
until "$vine" doctor --segment "$address" >shown && grep -q "process $holder," shown; do :; done
grep -q '^0 inconsistencies in 2 pipes$' shown || { cat shown; fail "the books of two pipes"; }
"$vine" doctor --segment "$address" --json >shown || fail "doctor --segment --json: $?"
grep -q '"inconsistency_count": 0' shown || { cat shown; fail "the books in JSON"; }
kill -KILL "$holder"
wait "$holder" 2>/dev/null || :
expect 69 "$vine" doctor --segment "$scratch/nobody"

# Another user is told of its own pipes alone, and may ask for sums.
if [ "$(id -u)" = 0 ]; then
    (
        become_other
        chmod 666 "$address"
        $as "$vine" pipes -a "$address" >shown || fail "pipes of another user: $?"
        [ "$(grep -c '^ *[0-9]' shown)" = 1 ] || { cat shown; fail "another user sees others"; }
        grep -q '(this command)$' shown || { cat shown; fail "it is not its own"; }
        $as "$vine" doctor --segment "$address" >shown || fail "doctor of another user: $?"
        [ "$(grep -c '^pipe ' shown)" = 1 ] || { cat shown; fail "another user sees other books"; }
        $as "$vine" procs --stats -a "$address" >shown || fail "statistics of another user: $?"
        grep -q '^sha256 *1 ' shown || fail "sums are told to all"
    ) || exit 1
fi
stop

# At a named segment, and without an appliance of one's own.
address=$scratch/segment
serve --listen "file:$scratch/segment"
"$vine" pipes -a "file:$scratch/segment" >shown || fail "at a named segment: $?"
grep -q '(this command)$' shown || { cat shown; fail "at a named segment"; }
stop
"$vine" pipes >shown || fail "embedded: $?"
[ "$(grep -c '^ *[0-9]' shown)" = 1 ] || { cat shown; fail "embedded"; }
expect 69 "$vine" pipes -a "$scratch/nobody"
expect 2 "$vine" pipes extra
