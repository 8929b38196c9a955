#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A program that is started without standard input, output or error: nothing of its own comes to
# stand there, and what cannot be read or written is said as that, if it can be.
. "$(dirname "$0")/lib.sh"

no_pipe_was_broken() {
    "$vine" pipes -a "$address" >shown || fail "pipes: $?"
    if grep protocol shown; then fail "a pipe was broken"; fi
}

printf 'good\n' >good
serve

# Results that go nowhere are an error of who prints them, and none of the appliance's.
expect 1 "$vine" run sha256 -a "$address" good >&-
said 'standard output'
expect 1 "$vine" procs -a "$address" >&-
said 'standard output'
"$vine" run zstd -a "$address" -o out good <&- >&- 2>&- || fail "nothing is needed for files: $?"
[ -s out/good.zst ] || fail "no result"
no_pipe_was_broken
stop

[ -x "$VINE_BUILD_DIR/vine-appliance" ] || exit 0
busy='--overprovisioned --blocked-reactor-notify-ms 10000' # others use these processors too
# shellcheck disable=SC2086
serve $busy
expect 1 "$vine" run zstd -a "$address" - <&- >made
said 'standard input'
expect 1 "$vine" run zstd -a "$address" - <good >&-
said 'standard output'
"$vine" run zstd -a "$address" - <good 2>&- >made || fail "no standard error: $?"
no_pipe_was_broken
stop

# An appliance itself.
# shellcheck disable=SC2086
"$vine" appliance --listen "$address" $busy <&- >&- 2>&- &
serving=$!
until_true test -S "$address"
"$vine" run sha256 -a "$address" good >made || fail "by an appliance without streams: $?"
for fd in 0 1 2; do
    [ "$(readlink "/proc/$serving/fd/$fd")" = /dev/null ] || fail "descriptor $fd is its own"
done
