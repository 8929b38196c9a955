#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# An appliance that is told to go, goes: whatever its procedures do. And it serves as many pipes as
# the limit of descriptors allows, and says how many those are.
. "$(dirname "$0")/lib.sh"

mkdir procs
cp "$VINE_BUILD_DIR/tests/plugins/hang.so" procs
VINE_TEST_HANGS=$scratch/hangs
export VINE_TEST_HANGS

# hangs FILE [OPTION...]: have a task hang, then tell the appliance to go.
hangs() {
    file=$1
    shift
    rm -f hangs
    serve --procs procs --workers 1 "$@"
    "$vine" run sha256 --reconnect 1 -a "$address" "$file" >/dev/null 2>&1 &
    running=$!
    until_true test -e hangs
    kill -TERM "$serving"
}

gone() {
    code=0
    wait "$serving" || code=$?
    serving=
    [ "$code" = 1 ] || fail "$1: the appliance ended with $code"
    grep -q 'does not end' <&3 || fail "$1: it does not say why"
    wait "$running" && fail "$1: a task that never ended ended well"
    return 0
}

head -c 100000 /dev/urandom >long
printf 'short' >short
hangs long --drain 1
gone 'a worker that hangs'
hangs short --drain 1
gone 'a loop that hangs'
# Without a limit, the second signal does it, once the first one has been taken.
hangs long --drain 0
until_true sh -c '! "$0" procs -a "$1"' "$vine" "$address" >/dev/null
kill -TERM "$serving"
gone 'a second signal'

# What a second signal ends in the middle goes on with the next appliance, as what dies with it does.
cp "$VINE_BUILD_DIR/tests/plugins/given_up.so" procs/hang.so
rm -f hangs
serve --procs procs --workers 1 --drain 0
"$vine" run sha256 --reconnect 100 -a "$address" long >sums 2>told &
running=$!
until_true test -e hangs
kill -TERM "$serving"
until_true sh -c '! "$0" procs -a "$1"' "$vine" "$address" >/dev/null
kill -TERM "$serving"
wait "$serving" || fail "the appliance ended with $?, though its task was given up"
serving=
serve --workers 1
wait "$running" || fail "a file that was given up did not go on: $(cat told)"
sha256sum -c --quiet sums || fail 'it is not what it should be'
stop

# The soft limit is raised to the hard one, in silence if that is enough.
raised() {
    limit=$(sed -n 's/^Max open files *\([0-9]*\) .*/\1/p' "/proc/$serving/limits")
    [ "$limit" = "$1" ] || fail "$limit open files instead of $1"
}
hard=$(ulimit -Hn)
ulimit -Sn 64
serve
raised "$hard"
stop
(
    ulimit -Hn 256
    serve
    raised 256
    IFS= read -r line <&3
    case $line in *"256 open files"*"about 48 pipes"*) ;; *) fail "says: $line" ;; esac
    stop
)
