#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `vine appliance --take-over`: a run goes on while the appliance that it uses is replaced, again and
# again, by one on two reactors and by one on one, and by a further one while the first still waits
# for a stream; where nobody serves it just serves; and who does not ask for it is refused.
. "$(dirname "$0")/lib.sh"
[ -x "$VINE_BUILD_DIR/vine-appliance" ] || skip "libvine-runtime was not built"
busy='--overprovisioned --blocked-reactor-notify-ms 10000' # others use these processors too

mkdir files
for i in $(seq 60); do
    head -c 300000 /dev/urandom >"files/$i"
done

# shellcheck disable=SC2086
serve $busy --take-over
expect 75 "$vine" appliance --listen "$address"
"$vine" run sha256 -a "$address" files/* >sums 2>said &
runs=$!
for cores in 2 1 2 1; do
    was=$serving
    # shellcheck disable=SC2086
    serve $busy --take-over --smp $cores
    code=0
    wait "$was" || code=$?
    [ "$code" = 0 ] || fail "the one before ended with $code"
done
# All of them again, by the last one.
"$vine" run sha256 -a "$address" files/* >again 2>said || fail "the last one does not serve"
code=0
wait "$runs" || code=$?
[ "$code" = 0 ] || fail "the run ended with $code"
sha256sum files/* >wanted
for found in sums again; do
    sort "$found" >sorted
    sort wanted | cmp - sorted || fail "$found: no right sums"
done

# begin_stream: a third of it is written.
begin_stream() {
    "$vine" run gzip - -a "$address" <into >long.gz 2>said &
    streams=$!
    exec 4>into
    head -c 1000000 long >&4
}

# end_stream: the rest is, and it has to be whole.
end_stream() {
    tail -c 2000000 long >&4
    exec 4>&-
    code=0
    wait "$streams" || code=$?
    [ "$code" = 0 ] || fail "the stream ended with $code"
    gzip -dc long.gz | cmp - long || fail "the stream is not what was written"
}

# A stream goes on where it began, beside what comes to the successor, and is whole.
head -c 3000000 /dev/urandom >long
mkfifo into
begin_stream
was=$serving
# shellcheck disable=SC2086
serve $busy --take-over --smp 2 4>&-
"$vine" run sha256 -a "$address" files/1 >sums 2>said || fail "new pipes do not come to the successor"
kill -0 "$was" || fail "the one before did not wait for the stream"
end_stream
code=0
wait "$was" || code=$?
[ "$code" = 0 ] || fail "the one before ended with $code"
stop

# Two in a row: the one in between ends, the last one alone has the address, and is left the pipe at
# last.
# shellcheck disable=SC2086
serve $busy
begin_stream
first=$serving
# shellcheck disable=SC2086
serve $busy --take-over 4>&-
was=$serving
# shellcheck disable=SC2086
serve $busy --take-over --smp 2 4>&-
code=0
wait "$was" || code=$?
[ "$code" = 0 ] || fail "the one in between ended with $code"
"$vine" run sha256 -a "$address" files/1 >sums 2>said || fail "new pipes do not come to the last one"
kill -0 "$first" || fail "the first one did not wait for the stream"
end_stream
code=0
wait "$first" || code=$?
[ "$code" = 0 ] || fail "the first one ended with $code"
"$vine" run sha256 -a "$address" files/1 >sums 2>said || fail "the address went with the first one"
stop
[ ! -e "$address" ] || fail "the socket is left"

# One for which the former has no patience is told so, and why.
# shellcheck disable=SC2086
serve $busy --handover 1
begin_stream
was=$serving
# shellcheck disable=SC2086
serve $busy --take-over 4>&-
code=0
wait "$was" || code=$?
[ "$code" = 0 ] || fail "the one before ended with $code"
code=0
wait "$streams" || code=$?
exec 4>&-
[ "$code" != 0 ] || fail "a lost stream ended well"
said 'another appliance takes over'
stop
[ ! -e "$address" ] || fail "the socket is left"
[ ! -e "$address.lock" ] || fail "its lock is left"
