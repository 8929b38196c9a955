# SPDX-License-Identifier: Apache-2.0
#
# The sharded store, as its clients meet it: requests, lines that are none, clients that break off,
# and its end while they ask.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$examples/sharded_kv" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
command -v bash >/dev/null || { echo "skipped: no bash, which connects"; exit 77; }

fail() {
    echo "$*" >&2
    cat said >&2 || :
    exit 1
}

# begin OPTION...: start it, and wait until it listens.
begin() {
    rm -f shown said # of the last one
    "$examples/sharded_kv" --overprovisioned --smp=2 --listen=127.0.0.1:0 "$@" >shown 2>said &
    serving=$!
    until grep -qs '^listening at .* cores*$' shown; do
        kill -0 "$serving" 2>/dev/null || fail "it has ended"
        command sleep 0.05
    done
    port=$(sed -n 's/^listening at 127.0.0.1:\([0-9]*\) .*/\1/p' shown)
}

end_well() {
    kill -s TERM "$serving"
    code=0
    wait "$serving" || code=$?
    serving=
    [ "$code" = 0 ] || fail "sharded_kv $*: ended with $code"
}

# answers EXPECTED: what comes to the lines on standard input, words put together by spaces.
answers() {
    cat >lines
    bash -c "
        exec 3<>/dev/tcp/127.0.0.1/$port
        cat lines >&3
        head -n $(wc -l <lines) <&3" | tr '\n' ' ' >answered
    [ "$(cat answered)" = "$1 " ] || fail "expected '$1', and not '$(cat answered)'"
}

# refuses LINE: it is not taken for a request, and the client may go on.
wrong='ERROR what is it? SET KEY VALUE, GET KEY, DEL KEY'
refuses() {
    printf "$1\nGET 1\n" | answers "$wrong NONE"
}

# ends_at: the client is closed when it sends what is on standard input.
ends_at() {
    cat >lines
    bash -c "
        exec 3<>/dev/tcp/127.0.0.1/$port
        cat lines >&3 2>/dev/null
        cat <&3 2>/dev/null" >answered || :
    [ ! -s answered ] || fail "an endless line was answered with $(head -c 100 answered)"
}

for backend in io_uring epoll; do
    begin --reactor-backend=$backend
    printf '%s\n' 'SET 7 1' 'GET 7' 'SET 7 18446744073709551615' 'GET 7' 'DEL 7' 'DEL 7' 'GET 7' |
        answers 'NEW 1 CHANGED 18446744073709551615 GONE NONE NONE'
    for line in '' ' ' 'GET' 'GET ' 'GET  1' 'GET 1 ' 'GET 1 2' 'SET 1' 'SET 1 2 3' 'get 1' 'GET -1' \
        'GET +1' 'GET 0x1' 'GET 1\r' 'GET 1\000' 'GET 1\000 2' '\000' '%%s%%n' '\377\376' \
        'GET 18446744073709551616' 'SET 1 99999999999999999999999999'; do
        refuses "$line"
    done
    head -c 128 /dev/zero | tr '\0' A | ends_at
    head -c 1000000 /dev/zero | tr '\0' 1 | ends_at
    # Clients that are gone before they are answered.
    for i in 1 2 3 4 5 6 7 8 9 10; do
        bash -c "
            exec 3<>/dev/tcp/127.0.0.1/$port
            yes 'GET $i' | head -n 1000 >&3" 2>/dev/null || :
    done
    printf 'GET 1\n' | answers NONE
    # It ends while clients ask: what they ask for must not be gone before it is answered. There is
    # much in it, so that clients of one core ask while the other core puts it away.
    seq -f 'SET %.0f 1' 2 20000 >lines
    bash -c "
        exec 3<>/dev/tcp/127.0.0.1/$port
        cat lines >&3 &
        head -n 19999 <&3" | grep -vqx NEW && fail "a key was there before it was set"
    clients=
    for i in 1 2 3 4 5 6; do
        bash -c "
            exec 3<>/dev/tcp/127.0.0.1/$port
            { seq -f 'GET %.0f' 1 $i 100000000 >&3; } 2>/dev/null &
            head -n 1 <&3 >asks-$i
            cat <&3 >/dev/null" 2>/dev/null &
        clients="$clients $!"
    done
    for i in 1 2 3 4 5 6; do
        until [ -s "asks-$i" ]; do
            kill -0 "$serving" 2>/dev/null || fail "it ended under load"
            command sleep 0.05
        done
        rm "asks-$i"
    done
    end_well "--reactor-backend=$backend"
    wait $clients || :
done
