# SPDX-License-Identifier: Apache-2.0
#
# `vine serve` as its user meets it: HTTP by curl, plain and by TLS, and what it refuses to start.
. "$VINE_SOURCE_DIR/tests/e2e/services.sh"
needs bash curl

# code PATH [CURL OPTIONS]: the status of the answer, and its body in `body`.
code() {
    path=$1
    shift
    curl -s -o body -w '%{http_code}' "$@" "http://127.0.0.1:$port$path" || fail "curl $path: $?"
}

refused() {
    code=0
    "$vine" serve "$@" $busy --smp 1 --listen 127.0.0.1:0 >shown 2>said || code=$?
    [ "$code" = 2 ] || fail "vine serve $*: ended with $code"
    [ -s said ] || fail "vine serve $*: does not say why"
}
refused
refused nothing
refused ./nothing.so
refused http --hello --isolate walls
# What could not serve is told of once, by who would start it, before it listens.
refused_once() {
    refused "$@"
    [ "$(wc -l <said)" = 1 ] || fail "vine serve $*: says more than once what is wrong"
}
if ! grep -q '^flags.* ospke' /proc/cpuinfo; then
    refused_once http --hello --isolate pku --processes 2
    grep -q -e '--isolate pku: this ' said || fail "does not say why there is no pku"
fi
refused http --hello --sockets 64
# What another service would understand is not taken without a word.
refused_once echo --root .
refused_once resp --hello
refused_once echo --crash /
refused_once http --hello --max-memory 1M
refused_once resp --access-log log
[ ! -e log ] || fail "makes a log that nobody writes"
echo nothing >library.so
refused_once ./library.so --processes 2
cp "$VINE_BUILD_DIR/tests/plugins/hang.so" hang.so # which declares no service
refused_once ./hang.so --processes 2
grep -q 'VINE_SERVICE(hang' said || fail "does not say what is missing"
refused http --hello --tls nothing
refused http --hello --tls nothing,nothing
refused echo echo

head -c 3000000 /dev/zero >large
for how in '--smp 1 --isolate none' '--smp 2 --isolate mprotect' \
    '--smp 1 --reactor-backend epoll'; do
    begin http --hello $how
    case $how in
    *'--isolate '*) [ "${line##*, isolation }" = "${how##*--isolate }" ] || fail "$how: it is $line" ;;
    *) case $line in *', isolation '*) ;; *) fail "it does not tell how it isolates: $line" ;; esac ;;
    esac
    case $how in
    '--smp 2 --isolate mprotect')
        IFS= read -r line <&3
        case $line in *'--processes 2'*) ;; *) fail "it does not tell what costs less: $line" ;; esac ;;
    esac
    [ "$(code /)" = 200 ] || fail "$how: /"
    [ "$(cat body)" = hello ] || fail "$how: no hello"
    [ "$(code /a/b?c=d -d 'a body')" = 200 ] || fail "$how: a body"
    [ "$(code /large -T large)" = 200 ] || fail "$how: a large body"
    [ "$(code /chunks -T - -H 'Transfer-Encoding: chunked' <large)" = 200 ] || fail "$how: chunks"
    [ "$(code "/$(printf '%03000d' 0)")" = 200 ] || fail "$how: a long path"
    [ "$(code "/$(printf '%020000d' 0)")" = 414 ] || fail "$how: too long a path"
    [ "$(code / -H "X: $(printf '%020000d' 0)")" = 431 ] || fail "$how: too long a field"
    [ "$(code / -H 'Content-Length: -1')" = 400 ] || fail "$how: a length below nothing"
    [ "$(code / -I)" = 200 ] || fail "$how: HEAD"
    # Behind a 200 to this, what follows would be another's bytes to whoever stands between.
    bash -c "exec 4<>/dev/tcp/127.0.0.1/$port; printf 'CONNECT a:80 HTTP/1.1\\r\\nHost: a\\r\\n\\r\\n' >&4; head -n 1 <&4" >got
    grep -q ' 501 ' got || fail "$how: CONNECT: $(cat got)"
    # Several on one connection.
    curl -s "http://127.0.0.1:$port/[1-50]" >body || fail "$how: fifty"
    [ "$(wc -c <body)" = 250 ] || fail "$how: fifty answers"
    end_quietly
done
# Who does not go on with what it has begun is told so, and who has begun nothing is not.
answer_to() { bash -c "exec 4<>/dev/tcp/127.0.0.1/$port; printf '%s' '$1' >&4; head -n 1 <&4"; }
begin http --hello --smp 1 --header-timeout 100 --body-timeout 100
[ "$(code / -H 'Content-Length: 10' -d abc)" = 408 ] || fail "half a body"
answer_to 'GET / HT' >got
grep -q 408 got || fail "half a head is answered with: $(cat got)"
end_quietly
begin http --hello --smp 1 --idle-timeout 100
answer_to '' >got
[ ! -s got ] || fail "nothing is answered with: $(cat got)"
end_quietly

# A process that is killed: the next request is answered by another one, or by the one in its place.
begin http --hello --smp 1 --processes 2
until grep -q 'process 0 (pid [0-9]*) serves' said; do command sleep 0.02; done
kill -KILL "$(sed -n 's/.*process 0 (pid \([0-9]*\)) serves.*/\1/p' said)"
until grep -q 'process 0 (pid [0-9]*) was killed\|process 0 .*SIGKILL' said; do command sleep 0.02; done
curl -s --retry 3 "http://127.0.0.1:$port/[1-20]" >body || fail "after a kill: $?"
[ "$(wc -c <body)" = 100 ] || fail "after a kill: no hello"
until [ "$(grep -c 'process 0 .* serves' said)" = 2 ]; do command sleep 0.02; done
sed -i '/SIGKILL/d' said
end_quietly

refused http
grep -q -e '--root' said || fail "does not say what there is to answer"

command -v openssl >/dev/null || exit 0
openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out certificate -days 2 \
    -subj /CN=localhost 2>/dev/null
begin http --hello --smp 1 --tls certificate,key
[ "$(curl -sk "https://127.0.0.1:$port/")" = hello ] || fail "TLS"
end_quietly
refused http --hello --tls key,certificate
