# SPDX-License-Identifier: Apache-2.0
#
# A reverse proxy before a server that answers in each framing: bodies of all sizes come through in
# both directions, errors of the origin become answers, and clients at once do not meet.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$VINE_BUILD_DIR/vine-serve" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
command -v curl >/dev/null || { echo "skipped: no curl"; exit 77; }

behind=
leave() {
    [ -z "$behind" ] || kill "$behind" 2>/dev/null || :
    finish
}
trap leave EXIT

# begin NAME LIBRARY OPTION...: serve, and `port`.
begin() {
    name=$1
    library=$2
    shift 2
    mkfifo "$name"
    "$VINE_BUILD_DIR/vine-serve" "$library" --overprovisioned --blocked-reactor-notify-ms 10000 "$@" \
        --listen=127.0.0.1:0 >"$name" 2>"$name.said" &
    started=$!
    exec 4<"$name"
    IFS= read -r line <&4 || { cat "$name.said"; fail "$name ended before it was ready"; }
    port=${line#*listening at 127.0.0.1:}
    port=${port%% *}
}

end() {
    code=0
    kill -TERM "$2"
    wait "$2" || code=$?
    [ "$code" = 0 ] || { cat "$1.said"; fail "$1 ended with $code"; }
    ! grep -q -v ' info ' "$1.said" || { cat "$1.said"; fail "$1 said something"; }
}

# get EXPECTED-STATUS PATH [CURL OPTION...]: what comes is in `got`.
get() {
    expected=$1
    path=$2
    shift 2
    status=$(curl -s -o got -w '%{http_code}' --max-time 60 "$@" "http://127.0.0.1:$port$path") || :
    [ "$status" = "$expected" ] || { cat proxy.said; fail "$path: $status instead of $expected"; }
}

line=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef
yes "$line" | tr -d '\n' | head -c 5000000 >all || :
bytes() {
    head -c "$1" all
}

# Without an origin it refuses to begin: once, with the reason, whichever way it is run.
unset ORIGIN
for how in '--listen=127.0.0.1:0' '--listen=127.0.0.1:0 --processes=2' --stdio; do
    code=0
    "$VINE_BUILD_DIR/vine-serve" "$examples/reverse_proxy.so" --overprovisioned --smp=1 $how \
        >refused 2>&1 </dev/null || code=$?
    [ "$code" = 2 ] || fail "$how: without an origin it ends with $code"
    grep -q 'reverse_proxy refuses to begin: Invalid argument' refused ||
        fail "$how: nobody says that it refuses: $(cat refused)"
    count=$(grep -c '^reverse_proxy: ORIGIN says' refused) || :
    case $how:$count in
    *:1 | *processes=2:2) ;;
    *) fail "$how: says $count times what it lacks: $(cat refused)" ;;
    esac
done

sizes='0 1 1000 100000 2000000'
for size in $sizes; do
    sum=$(bytes "$size" | od -An -v -tu1 -w64 | awk '{ for (i = 1; i <= NF; i++) sum += $i } END { print sum + 0 }')
    echo "$size bytes, sum $sum" >"summary.$size"
done

# Where the origin speaks TLS: its certificate is for a name, and trusted because this says so.
certificate() {
    openssl req -x509 -newkey rsa:2048 -nodes -days 2 -subj "/CN=$1" -addext "subjectAltName=DNS:$1" \
        -keyout "$1.key" -out "$1.pem" 2>certificates || { cat certificates; fail "no certificate"; }
}
tls=
if command -v openssl >/dev/null; then
    certificate localhost
    certificate elsewhere
    SSL_CERT_FILE=$scratch/localhost.pem
    export SSL_CERT_FILE
    tls=--tls=$scratch/localhost.pem,$scratch/localhost.key
else
    echo "without TLS: no openssl to make a certificate with"
fi

for how in '--smp=1' '--smp=2' '--smp=1 --reactor-backend=epoll' ${tls:+"$tls"} \
    ${tls:+"--reactor-backend=epoll $tls"}; do
    rm -f origin proxy
    begin origin "$VINE_BUILD_DIR/tests/plugins/origin.so" $how
    behind=$started
    ORIGIN=localhost:$port
    case $how in *--tls*) ORIGIN=https://$ORIGIN how=${how%%--tls*}--smp=1 ;; esac
    export ORIGIN
    begin proxy "$examples/reverse_proxy.so" $how
    serving=$started
    for size in $sizes; do
        bytes "$size" >expected
        get 200 "/length/$size"
        cmp got expected || fail "$how: /length/$size"
        get 200 "/close/$size"
        cmp got expected || fail "$how: /close/$size"
        get 200 "/length/$size" -H 'Expect: 100-continue' --data-binary @expected
        cmp got expected || fail "$how: what follows a body"
        cp "summary.$size" summary
        get 200 /body --data-binary @expected
        cmp got summary || fail "$how: a body of $size bytes"
        get 200 /body -H 'Transfer-Encoding: chunked' --data-binary @expected
        cmp got summary || fail "$how: a body of $size bytes in chunks"
        get 200 /body -0 --data-binary @expected
        cmp got summary || fail "$how: a body of $size bytes, HTTP/1.0"
    done
    get 200 /chunked/70000
    { printf 012; bytes 70000; } >expected
    cmp got expected || fail "$how: chunks"
    get 200 /chunked/70000 -0
    cmp got expected || fail "$how: chunks become a stream for HTTP/1.0"
    get 200 /hints
    [ "$(cat got)" = done ] || fail "$how: behind what is interim"
    get 502 /nonsense
    curl -s -o got --max-time 60 "http://127.0.0.1:$port/half/100000" && fail "$how: half of it is all"
    curl -s -o got --max-time 0.2 "http://127.0.0.1:$port/silent" && fail "$how: silence is an answer"
    get 400 / -X CONNECT --request-target 'no authority'
    # One connection, several requests; and several at once.
    url=http://127.0.0.1:$port
    connects=$(curl -s -o one -o two -o three -w '%{num_connects}\n' "$url/length/10" "$url/chunked/10" \
        "$url/length/200000" | awk '{ sum += $1 } END { print sum }')
    [ "$connects" = 1 ] || fail "$how: $connects connections for three requests"
    bytes 200000 | cmp - three || fail "$how: the third on a connection"
    clients=
    for i in 1 2 3 4 5 6 7 8; do
        curl -s "$url/length/500000" -o "client.$i" &
        clients="$clients $!"
    done
    for client in $clients; do wait "$client" || fail "$how: a client at once with others"; done
    bytes 500000 >expected
    for i in 1 2 3 4 5 6 7 8; do
        cmp "client.$i" expected || fail "$how: clients at once"
    done
    end origin "$behind"
    behind=
    get 502 /length/1
    end proxy "$serving"
    serving=
done

# By TLS nobody is asked who is not who he should be: one whom nobody vouches for, one of another
# name, and one that speaks without it.
refused() {
    begin proxy "$examples/reverse_proxy.so" --smp=1
    serving=$started
    get 502 /length/1
    get 502 /length/1
    end proxy "$serving"
    serving=
    rm -f proxy
}
rm -f origin proxy
for what in ${tls:+elsewhere number plain}; do
    how="--tls=$scratch/localhost.pem,$scratch/localhost.key"
    case $what in
    elsewhere) how="--tls=$scratch/elsewhere.pem,$scratch/elsewhere.key" ;;
    plain) how= ;;
    esac
    begin origin http --hello --smp=1 $how
    behind=$started
    ORIGIN=https://localhost:$port
    [ "$what" != number ] || ORIGIN=https://127.0.0.1:$port
    refused
    kill "$behind"
    wait "$behind" || fail "$what: the origin"
    behind=
    rm -f origin
done
