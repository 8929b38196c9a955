# SPDX-License-Identifier: Apache-2.0
#
# Handlers of HTTP: each path and method, what they refuse, and bodies of both framings.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$VINE_BUILD_DIR/vine-serve" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
command -v curl >/dev/null || { echo "skipped: no curl"; exit 77; }

# code PATH [CURL OPTIONS]: the status of the answer, and its body in `body`.
code() {
    path=$1
    shift
    : >body
    curl -s -o body -w '%{http_code}' "$@" "http://127.0.0.1:$port$path" || fail "curl $path: $?"
}

for how in '--smp=1 --isolate none' '--smp=2 --isolate mprotect'; do
    rm -f says
    mkfifo says
    "$VINE_BUILD_DIR/vine-serve" "$examples/http_handlers.so" --overprovisioned --blocked-reactor-notify-ms 10000 $how --listen=127.0.0.1:0 >says 2>said &
    serving=$!
    exec 3<says
    IFS= read -r line <&3 || { cat said; fail "it ended before it was ready: $how"; }
    port=${line#http_handlers: listening at 127.0.0.1:}
    port=${port%% *}
    [ "$(code /none)" = 404 ] || fail "$how: what there is not"
    [ "$(code /hello/)" = 404 ] || fail "$how: no name"
    [ "$(code /hello/%zz)" = 400 ] || fail "$how: a wrong escape"
    [ "$(code "/hello/$(printf '%0100d' 0)")" = 414 ] || fail "$how: a long name"
    [ "$(code /hello/a -X DELETE)" = 405 ] || fail "$how: another method"
    [ "$(code /sum)" = 405 ] || fail "$how: no body"
    [ "$(code / -H 'Content-Length: x')" = 400 ] || fail "$how: no length"
    [ "$(code /)" = 200 ] || fail "$how: /"
    [ "$(code /hello/a%20b)" = 200 ] && [ "$(cat body)" = 'hello a b' ] || fail "$how: hello"
    seq 1 100000 >numbers
    [ "$(code /sum -T numbers)" = 200 ] && [ "$(cat body)" = 5000050000 ] || fail "$how: a sum"
    [ "$(code /sum -T - <numbers)" = 200 ] && [ "$(cat body)" = 5000050000 ] ||
        fail "$how: a sum of chunks"
    kill -TERM "$serving"
    code=0
    wait "$serving" || code=$?
    serving=
    [ "$code" = 0 ] || { cat said; fail "$how: ended with $code"; }
    ! grep -q -v ' info ' said || { cat said; fail "$how: said something"; }
done
