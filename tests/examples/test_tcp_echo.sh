# SPDX-License-Identifier: Apache-2.0
#
# The echo server, as its user starts it: clients over TCP and Unix sockets, addresses that cannot
# be, and its end with clients connected.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$examples/tcp_echo" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
command -v bash >/dev/null || { echo "skipped: no bash, which connects"; exit 77; }

fail() {
    echo "$*" >&2
    cat said shown >&2 || :
    exit 1
}

refused() {
    code=0
    "$examples/tcp_echo" --overprovisioned --smp=2 --listen="$1" >shown 2>said || code=$?
    [ "$code" = "$status" ] || fail "tcp_echo --listen=$1: ended with $code"
    grep -qF "$1" said || fail "tcp_echo --listen=$1: does not name it"
}
status=2
refused nonsense
grep -qF -e "--listen: 'nonsense' is not what it takes: an address, as 127.0.0.1:80" said ||
    fail "does not say what would be right"
refused ''
refused localhost:7007
refused 127.0.0.1:65536
status=1
refused 192.0.2.1:7007
refused "unix:$scratch/no/such/folder"
grep -qF 'cannot listen at' said || fail "does not say what it cannot"

for backend in io_uring epoll; do
    rm -f shown said # of the last one
    "$examples/tcp_echo" --overprovisioned --smp=2 --listen=127.0.0.1:0 \
        --reactor-backend=$backend >shown 2>said &
    serving=$!
    until grep -qs '^listening at .* cores*$' shown; do
        kill -0 "$serving" 2>/dev/null || fail "it has ended"
        command sleep 0.05
    done
    port=$(sed -n 's/^listening at 127.0.0.1:\([0-9]*\) .*/\1/p' shown)
    # Two clients at once; what a large one sends comes back whole.
    head -c 300000 /dev/zero | tr '\0' x >large
    bash -c "
        exec 3<>/dev/tcp/127.0.0.1/$port 4<>/dev/tcp/127.0.0.1/$port
        printf hello >&3
        cat large >&4 &
        head -c 300000 <&4 | cmp - large || exit 1
        [ \"\$(head -c 5 <&3)\" = hello ] || exit 2
        wait" || fail "by $backend: a client got $?"
    # One is still connected when it ends.
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; printf x >&3; head -c 1 <&3 >connected; cat <&3" &
    client=$!
    until [ -s connected ]; do command sleep 0.05; done
    kill -s TERM "$serving"
    code=0
    wait "$serving" || code=$?
    serving=
    [ "$code" = 0 ] || fail "by $backend: it ended with $code"
    wait "$client" || fail "by $backend: the client that stayed was not told"
    rm connected
done
