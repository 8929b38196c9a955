#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# An agent stands between applications and an appliance, and none of them sees it: not in what they
# get, not when one of them dies. And when it or the appliance does, they are told.
. "$(dirname "$0")/lib.sh"

far=$scratch/far.sock
near=$scratch/near.sock
agent=

# await PID FILE PATTERN [COUNT]: until it has said so, so many times.
await() {
    until_true sh -c '[ "$(grep -c -e "$1" "$2")" -ge "$3" ] || ! kill -0 "$4"' - \
        "$3" "$2" "${4:-1}" "$1"
    grep -q -e "$3" "$2" || fail "$(cat "$2")"
}

# What the last one said is not what this one says.
agent() {
    rm -f agent-says
    "$vine" agent --appliance "$far" --listen "$near" "$@" >events 2>agent-says &
    agent=$!
    await $agent agent-says ready
}

# The appliance, whose events tell what reaches it.
appliance() {
    rm -f far-says
    "$vine" appliance --listen "$far" --json "$@" >far-events 2>far-says &
    serving=$!
    await $serving far-says ready
}

# end PID: by SIGTERM, well.
end() {
    kill -TERM "$1"
    code=0
    wait "$1" || code=$?
    [ "$code" = 0 ] || fail "it ended with $code: $(cat agent-says far-says)"
}

gone() {
    kill -KILL "$1"
    wait "$1" 2>/dev/null || :
}

mkdir src
for i in $(seq 20); do head -c $((i * 5000)) /dev/urandom >"src/random-$i"; done
for i in $(seq 8); do seq $((i * 4000)) >"src/numbers-$i"; done
: >src/empty
head -c 3000000 /dev/zero >src/zeros
(cd src && sha256sum ./*) >sums

# Nobody to pass anything on to.
expect 69 "$vine" agent --appliance "$far" --listen "$near"
said 'far.sock'
[ ! -e "$near" ] || fail "an agent without an appliance listens"
expect 2 "$vine" agent --workers 0
expect 69 "$vine" agent --appliance "$far" --listen "$near" --json >events
grep -q '"event":"stopped".*"error":.*"exit_status":69' events || fail "says $(cat events)"

# One that waits for it. What it offers is what is offered there.
"$vine" agent --appliance "$far" --listen "$near" --wait --json >events 2>agent-says &
agent=$!
await $agent agent-says 'waiting for it'
appliance --workers 2
await $agent agent-says ready
grep -q '"event":"listening".*"appliance":".*far.sock"' events || fail "says $(cat events)"
"$vine" procs -a "$far" --json >there
"$vine" procs -a "$near" --json >here
# But for streams, which do not go through an agent, and that is said.
sed 's/"has_streams": *true/"has_streams": false/' there | cmp - here ||
    fail "the procedures are described in another way"
expect 2 "$vine" run zstd -a "$near" - <sums
said 'has no streams at this appliance'

# Results are those of plain tools: in one task a file, in sessions, for several at once.
(cd src && "$vine" run sha256 -a "$near" ./*) >shown 2>said
cmp sums shown || fail "other sums"
running=
for i in 1 2 3 4; do
    "$vine" run zstd --sums --verify --chunk 256K -a "$near" -o "out-$i" src 2>"said-$i" &
    running="$running $!"
done
for pid in $running; do wait "$pid" || fail "one of several: $(cat said-*)"; done
for i in 1 2 3 4; do
    (cd src && sha256sum --quiet -c "../out-$i/SHA256SUMS") || fail "sums of $i"
    for file in src/*; do
        zstd -q -d -c "out-$i/${file#src/}.zst" | cmp - "$file" || fail "$file of $i"
    done
done
rm -rf out-*

# What is wrong with a task is what the far side says.
head -c 1000 /dev/urandom >garbage.zst
expect 1 "$vine" run unzstd -a "$near" garbage.zst -o bad
"$vine" run unzstd -a "$far" garbage.zst -o bad 2>direct && fail "garbage is undone"
sed 's/far.sock/near.sock/; /tasks\{0,1\};/d; s/ in [0-9].*//' direct >wanted
sed '/tasks\{0,1\};/d; s/ in [0-9].*//' said >got
cmp wanted got || fail "another reason"

# An application that is killed at work, again and again, ends over there too: its sessions and its
# tasks, within the time that any appliance takes; others go on.
"$vine" run zstd --level 19 --sums -a "$near" -o out src 2>said-steady &
steady=$!
for i in $(seq 20); do
    rm -rf killed
    "$vine" run zstd --level 19 --chunk 256K -a "$near" -o killed src 2>said &
    running=$!
    until_true test -d killed
    gone $running
done
wait $steady || fail "who was not killed: $(cat said-steady)"
(cd src && sha256sum --quiet -c ../out/SHA256SUMS) || fail "sums of who was not killed"
until_true sh -c '[ "$(grep -c pipe_closed events)" = "$(grep -c pipe_opened events)" ]'
rm -rf out killed

# The appliance dies. Who is at work finds it out and comes back with it; the agent stays, says so
# once, and refuses whoever comes meanwhile.
"$vine" run zstd --level 19 --chunk 256K --sums --reconnect 100 -a "$near" -o out src 2>said &
running=$!
until_true sh -c 'ls out/*.zst'
gone $serving
await $agent agent-says 'lost the appliance'
expect 69 "$vine" run sha256 -a "$near" src/empty
mkdir procs
cp "$VINE_BUILD_DIR/tests/plugins/version_1.so" procs/version.so
appliance --workers 2 --procs procs
await $agent agent-says 'is back'
code=0
wait $running || code=$?
[ "$code" = 0 ] || fail "status $code after the appliance came back: $(cat said)"
(cd src && sha256sum --quiet -c ../out/SHA256SUMS) || fail "sums after a loss"
zstd -q -d -c out/zeros.zst | cmp - src/zeros || fail "a chunk is lost or doubled"
[ "$(grep -c 'lost the appliance' agent-says)" = 1 ] || fail "it says it more than once"
grep -q '"event":"appliance_lost".*"error":"VINE_EPEERLOST"' events || fail "no event of the loss"
grep -q '"event":"appliance_back".*"procedures":11' events || fail "no event of the return"

# It came back with another procedure, and comes again without it.
"$vine" procs -a "$near" --json >here
"$vine" procs -a "$far" --json >there
sed 's/"has_streams": *true/"has_streams": false/' there | cmp - here ||
    fail "what it came back with is not offered"
end $serving
await $agent agent-says 'lost the appliance' 2
appliance --workers 2
await $agent agent-says 'is back' 2
"$vine" procs -a "$near" --json >here
grep -q version here && fail "what it has no more is offered"
"$vine" run sha256 -a "$near" src/empty >/dev/null 2>said || fail "after it came back twice"

# A task that hangs over there: who waited for it is killed, and its worker here is free again.
end $serving
await $agent agent-says 'lost the appliance' 3
cp "$VINE_BUILD_DIR/tests/plugins/hang.so" procs/version.so
VINE_TEST_HANGS=$scratch/hangs
export VINE_TEST_HANGS
appliance --workers 2 --procs procs
await $agent agent-says 'is back' 3
"$vine" run sha256 -a "$near" src/random-20 >/dev/null 2>said &
running=$!
until_true sh -c 'test -e hangs || ! kill -0 "$0"' $running
[ -e hangs ] || fail "it does not hang: $(cat said)"
gone $running
end $agent
grep -q 'stopped; .* lost' agent-says || fail "no lost application is told of: $(cat agent-says)"
[ ! -e "$near" ] || fail "its socket outlives it"
gone $serving

# The agent dies: whoever has a pipe to it finds it lost, and another takes its place.
appliance --workers 2
agent
"$vine" run zstd --level 19 --chunk 256K --sums --reconnect 100 -a "$near" -o again src 2>said &
running=$!
until_true sh -c 'ls again/*.zst'
gone $agent
agent
code=0
wait $running || code=$?
[ "$code" = 0 ] || fail "status $code after the agent came back: $(cat said)"
(cd src && sha256sum --quiet -c ../again/SHA256SUMS) || fail "sums after the agent was lost"

# It drains: what it has taken ends, and of what is too much for a moment the rest is not taken.
mkdir more
seq 8000000 >more/numbers
"$vine" run zstd --level 19 --chunk 256K --reconnect 0 --json -a "$near" -o drained src more \
    >shown 2>said &
running=$!
until_true sh -c 'ls drained/*.zst'
end $agent
agent=
code=0
wait $running || code=$?
[ "$code" = 75 ] || fail "status $code after the agent drained: $(cat said)"
find drained -name '*.zst' -print0 | xargs -0 zstd -q -t || fail "a half result"
no_leftovers drained
end $serving
serving=
grep -q '"event":"pipe_closed".*"error":"VINE_EPROTOCOL"' far-events && fail "the agent broke it"
exit 0
