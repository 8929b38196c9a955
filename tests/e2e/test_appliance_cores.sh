#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `vine appliance` is a program on reactors, with their options; a plain loop serves where that is not
# there.
. "$(dirname "$0")/lib.sh"
[ -x "$VINE_BUILD_DIR/vine-appliance" ] || skip "libvine-runtime was not built"
busy='--overprovisioned --blocked-reactor-notify-ms 10000' # others use these processors too

printf 'good\n' >good
good=$(sha256sum good)
works() {
    [ "$("$vine" run sha256 -a "$address" good 2>said)" = "$good" ] || fail "$1: no right sum"
}

# What is wrong with options is told before anything is served.
expect 2 "$vine" appliance --listen "$address" --smp nonsense
said "--smp: 'nonsense' is not what it takes"
expect 2 "$vine" appliance --listen "$address" --smp
said 'the N is missing'
expect 2 "$vine" appliance --listen "$address" --isolate nothing
said 'best, pku, mprotect and none'
expect 2 "$vine" appliance --listen "$address" --heap 5K
said 'power of two'
expect 2 "$vine" appliance --listen "$address" --shm 3
said 'no option --shm'
[ ! -e "$address" ] || fail "something was served in spite of it"

# ready CORES OPTION...: it says on how many cores it is, and serves.
ready() {
    wanted=$1
    shift
    # shellcheck disable=SC2086
    serve $busy "$@"
    case $line in
    *"($wanted, 1 worker)") ;;
    *) fail "not on $wanted: $line" ;;
    esac
    works "$wanted"
}
ready '1 core' --workers 1
stop
# Each serves what is its part, and a pipe that is open while it drains.
ready '3 cores' --workers 1 --smp 3
for i in 1 2 3 4 5 6; do
    "$vine" run sha256 -a "$address" good >sum$i 2>said$i &
    running="${running:-} $!"
done
# Words, to be split.
# shellcheck disable=SC2086
for pid in $running; do wait $pid || fail "one of several on three cores"; done
for i in 1 2 3 4 5 6; do [ "$(cat sum$i)" = "$good" ] || fail "a sum on three cores"; done
stop
ready '1 core' --workers 1 --isolate none --heap 16K --run-limit 0 --spin 1 --reactor-backend epoll
kill -USR1 "$serving"
until IFS= read -r line <&3 && case $line in *'core 0'*) true ;; *) false ;; esac; do :; done
works 'after its state was asked for'
stop

# Programs are told of the cores, and shells and readers of the options.
if command -v jq >/dev/null; then
    # shellcheck disable=SC2086
    "$vine" appliance --json --smp 2 $busy --listen "$address" >events 2>said &
    serving=$!
    until_true grep -q '"event":"listening"' events
    [ "$(jq .cores events)" = 2 ] || fail "no cores in $(cat events)"
    stop 3</dev/null
    "$vine" help appliance --json | jq -e '.options[] | select(.name == "smp") | .default == "1"' \
        >/dev/null || fail "help --json does not know --smp"
fi
"$vine" appliance --help >shown
grep -q -- '--smp N .*how many cores' shown || fail "--help does not know --smp: $(cat shown)"
"$vine" help --man appliance | grep -q 'smp' || fail "the man page does not know --smp"
"$vine" help --complete -- appliance --cpus | grep -q '^--cpuset' || fail "--cpuset is not completed"
"$vine" appliance --explain-start --topology 'core:4 pu:1' --smp 2 >shown || fail "a start shown"
grep -q 'processors' shown || fail "no start is explained: $(cat shown)"

# A named segment is served by a core, too.
socket=$address address=file:$scratch/segment
ready '1 core' --workers 1
stop
address=$socket

# Where the program is not there, a plain loop serves, and has none of these options.
cp "$vine" alone
vine=$scratch/alone
serve --workers 1
case $line in *'(1 worker)') ;; *) fail "on cores: $line" ;; esac
works 'the command alone'
stop
expect 2 "$vine" appliance --listen "$address" --smp 2
said 'vine-appliance is not beside this command'
