# SPDX-License-Identifier: Apache-2.0
#
# For the tests of `vine serve`, on top of lib.sh: a service that listens at $port.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
[ -x "$VINE_BUILD_DIR/vine-serve" ] || skip "libvine-runtime was not built"

descriptors= # what the service may have; empty: as many as we

# What machines of tests need: they are busy, and so slow that the log would tell of it.
busy='--overprovisioned --blocked-reactor-notify-ms 10000'

# needs COMMAND...: without one of them there is nothing to test.
needs() {
    for command; do
        command -v "$command" >/dev/null || skip "no $command"
    done
}

# begin WORD...: `vine serve WORD...`, which is ready then.
begin() {
    rm -f says
    mkfifo says
    # shellcheck disable=SC2086
    {
        [ -z "$descriptors" ] || ulimit -n "$descriptors"
        exec "$vine" serve "$@" $busy --listen 127.0.0.1:0
    } >says 2>said &
    serving=$!
    exec 3<says
    IFS= read -r line <&3 || fail "it ended before it was ready: $*"
    port=${line#*listening at 127.0.0.1:}
    port=${port%% *}
}

# end: it is told to, and ends well.
end() {
    code=0
    kill -TERM "$serving"
    wait "$serving" || code=$?
    serving=
    [ "$code" = 0 ] || fail "ended with $code"
}

# end_quietly: and has told of nothing but of what it was up to.
end_quietly() {
    end
    ! grep -q -v ' info ' said || fail "said something"
}

# said_in_time PATTERN: until the log has it.
said_in_time() {
    tries=0
    until grep -q "$1" said; do
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || fail "the log has no $1"
        command sleep 0.02
    done
}
