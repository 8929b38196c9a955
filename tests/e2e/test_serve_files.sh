# SPDX-License-Identifier: Apache-2.0
#
# `vine serve http --root`: files by curl, with their types, conditions and ranges; what is not below
# the root; files that change while they go out; clients that do not read; by TLS, and on standard
# input and output.
. "$VINE_SOURCE_DIR/tests/e2e/services.sh"
needs bash curl

# code PATH [CURL OPTIONS]: the status of the answer; its head in `head`, and its body in `body`.
code() {
    path=$1
    shift
    : >answer
    curl -s --path-as-is -D head -o answer -w '%{http_code}' "$@" "http://127.0.0.1:$port$path" ||
        fail "curl $path: $?"
    mv answer body
}

# field NAME: its value in the last answer.
field() {
    sed -n "s/^$1: \(.*\)\r\$/\1/Ip" head
}

refused() {
    code=0
    "$vine" serve http "$@" --smp 1 --overprovisioned --listen 127.0.0.1:0 >shown 2>said || code=$?
    [ "$code" = 2 ] || fail "vine serve http $*: ended with $code"
    [ -s said ] || fail "vine serve http $*: does not say why"
}
mkdir -p root/folder/deep root/.git
refused --root nothing
refused --root root --hello
: >file
refused --root file

echo outside >outside
echo secret >root/.git/config
printf '<p>index' >root/folder/index.html
printf '<p>root' >root/index.html
printf 'body { }' >root/style.css
: >root/empty.txt
head -c 10000000 /dev/urandom >root/large.bin
printf 'a b' >'root/a b.txt'
ln -s ../outside root/out
ln -s /etc root/etc
ln -s style.css root/within
mkfifo root/pipe
chmod 600 root/style.css

for how in '--smp 1 --isolate none' '--smp 2 --isolate mprotect' \
    '--smp 1 --reactor-backend epoll'; do
    begin http --root root $how
    # What there is.
    [ "$(code /)" = 200 ] && [ "$(cat body)" = '<p>root' ] || fail "$how: /"
    [ "$(field content-type)" = 'text/html; charset=utf-8' ] || fail "$how: type of /"
    [ "$(code /folder/)" = 200 ] && [ "$(cat body)" = '<p>index' ] || fail "$how: an index"
    [ "$(code /style.css)" = 200 ] && [ "$(field content-type)" = 'text/css; charset=utf-8' ] ||
        fail "$how: a style"
    [ "$(code /empty.txt)" = 200 ] && [ ! -s body ] || fail "$how: nothing in it"
    [ "$(code /a%20b.txt)" = 200 ] && [ "$(cat body)" = 'a b' ] || fail "$how: an escape"
    [ "$(code /large.bin)" = 200 ] && cmp -s body root/large.bin || fail "$how: a large one"
    [ "$(code '/style.css?a=b')" = 200 ] || fail "$how: a query"
    [ "$(code /within)" = 200 ] || fail "$how: a link within"
    [ "$(code /large.bin -I)" = 200 ] && [ "$(field content-length)" = 10000000 ] ||
        fail "$how: HEAD"
    [ "$(code /folder)" = 301 ] && [ "$(field location)" = ./folder/ ] || fail "$how: a folder"
    [ "$(code /folder -L)" = 200 ] && [ "$(cat body)" = '<p>index' ] || fail "$how: follows"
    [ "$(code /style.css -T body -X GET)" = 200 ] || fail "$how: a GET with a body"

    # What there is not.
    for path in /none /style.css/ /style.css/more /folder/deep/ /.git/config /out /etc/passwd /pipe; do
        [ "$(code $path)" = 404 ] || fail "$how: $path is there"
    done
    for path in /../outside /folder/../../outside /%2e%2e/outside /folder/..%2f..%2foutside /a%00b /%zz; do
        case $(code $path) in
        400 | 404) ;;
        *) fail "$how: $path is there" ;;
        esac
    done
    [ "$(code "/$(printf '%02000d' 0)")" = 414 ] || fail "$how: too long a name"
    [ "$(code /style.css -X PUT -T body)" = 405 ] && [ "$(field allow)" = 'GET, HEAD' ] ||
        fail "$how: PUT"
    [ "$(code /style.css -X DO)" = 501 ] || fail "$how: no method"

    # Conditions and ranges.
    code /large.bin -I >/dev/null
    tag=$(field etag)
    date=$(field last-modified)
    [ "$(code /large.bin -H "If-None-Match: $tag")" = 304 ] && [ ! -s body ] || fail "$how: tag"
    [ "$(code /large.bin -H "If-Modified-Since: $date")" = 304 ] || fail "$how: date"
    [ "$(code /large.bin -H 'If-Match: "other"')" = 412 ] || fail "$how: another tag"
    [ "$(code /large.bin -r 5-1000004)" = 206 ] || fail "$how: a range"
    [ "$(field content-range)" = 'bytes 5-1000004/10000000' ] || fail "$how: what of it"
    tail -c +6 root/large.bin | head -c 1000000 | cmp -s - body || fail "$how: bytes of a range"
    [ "$(code /large.bin -r -7)" = 206 ] && tail -c 7 root/large.bin | cmp -s - body ||
        fail "$how: the last bytes"
    [ "$(code /large.bin -r 10000000-)" = 416 ] &&
        [ "$(field content-range)" = 'bytes */10000000' ] || fail "$how: beyond it"
    # Several, one behind the other and each with a head; those that overlap are one; too many are
    # all of it.
    [ "$(code /style.css -r 0-0,2-3,-1)" = 206 ] || fail "$how: three ranges"
    [ -z "$(field content-range)" ] && [ "$(wc -c <body)" = "$(field content-length)" ] ||
        fail "$how: the length of three"
    boundary=$(field content-type)
    [ "${boundary%%=*}" = 'multipart/byteranges; boundary' ] || fail "$how: $boundary"
    boundary=${boundary#*=}
    part='\r\n--%s\r\nContent-Type: text/css; charset=utf-8\r\nContent-Range: bytes %s/8\r\n\r\n%s'
    {
        # shellcheck disable=SC2059
        printf "$part$part$part" "$boundary" 0-0 b "$boundary" 2-3 dy "$boundary" 7-7 '}'
        printf '\r\n--%s--\r\n' "$boundary"
    } | cmp - body || fail "$how: three parts: $(cat body)"
    [ "$(code /large.bin -r 9000000-9999999,0-4999999)" = 206 ] || fail "$how: large parts"
    {
        tail -c 1000000 root/large.bin
        head -c 5000000 root/large.bin
    } >parts
    [ "$(wc -c <body)" = "$(field content-length)" ] || fail "$how: the length of large parts"
    tail -c +"$(($(head -n 5 body | wc -c) + 1))" body | head -c 1000000 |
        cmp -n 1000000 - parts || fail "$how: the first large part"
    tail -c "$((5000000 + 8 + 20))" body | head -c 5000000 | cmp - root/large.bin -n 5000000 ||
        fail "$how: the second large part"
    [ "$(code /style.css -r 0-3,2-5)" = 206 ] && [ "$(field content-range)" = 'bytes 0-5/8' ] ||
        fail "$how: two that overlap"
    many=$(for i in $(seq 17); do printf '%s-%s,' "$((10 * i))" "$((10 * i))"; done)
    [ "$(code /large.bin -r "${many%,}")" = 200 ] || fail "$how: seventeen ranges get all"
    [ "$(code /style.css -I -r 0-0,2-3)" = 200 ] || fail "$how: ranges of HEAD"
    # A body changes none of that.
    [ "$(code /style.css -X GET -d body -H 'Range: bytes=2-3')" = 206 ] && [ "$(cat body)" = dy ] ||
        fail "$how: a range of a GET with a body"
    [ "$(code /style.css -X GET -d body -H 'Range: bytes=0-0,2-3')" = 206 ] || fail "$how: ranges with a body"
    [ "$(code /large.bin -X GET -d body -H "If-None-Match: $tag")" = 304 ] ||
        fail "$how: a condition of a GET with a body"
    [ "$(code /folder -X GET -d body)" = 301 ] && [ "$(field location)" = ./folder/ ] ||
        fail "$how: a folder and a body"
    [ "$(code /style.css -H "If-Range: $tag" -r 0-0)" = 200 ] || fail "$how: of another state"

    # Many on one connection, and pipelined.
    curl -s "http://127.0.0.1:$port/style.css?[1-50]" >body || fail "$how: fifty"
    [ "$(wc -c <body)" = 400 ] || fail "$how: fifty answers"
    bash -c "exec 4<>/dev/tcp/127.0.0.1/$port
        printf 'HEAD /large.bin HTTP/1.1\r\nHost: a\r\n\r\n' >&4
        for i in 1 2 3; do printf 'GET /style.css HTTP/1.1\r\nHost: a\r\n\r\n'; done >&4
        printf 'GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' >&4
        cat <&4" >body
    [ "$(grep -ac '200 OK' body)" = 5 ] || fail "$how: five at once"
    [ "$(wc -c <body)" -lt 10002000 ] || fail "$how: HEAD with a body"
    tail -c 10000000 body | cmp -s - root/large.bin || fail "$how: behind three"
    end_quietly
done

# One that is cut off while it goes out: the client is told by a body that is too short.
begin http --root root --smp 1 --body-timeout 500
truncate -s 300M root/sparse
bash -c "exec 4<>/dev/tcp/127.0.0.1/$port
    printf 'GET /sparse HTTP/1.1\r\nHost: a\r\n\r\n' >&4
    head -c 1000 <&4 >/dev/null
    truncate -s 1M root/sparse
    cat <&4 | wc -c" >body
[ "$(cat body)" -lt 300000000 ] || fail "more than there was"
# A client that does not read, and one that reads slowly, lose their connections; another one is
# served meanwhile.
truncate -s 300M root/sparse
bash -c "exec 4<>/dev/tcp/127.0.0.1/$port
    printf 'GET /sparse HTTP/1.1\r\nHost: a\r\n\r\n' >&4
    : >waits
    until [ -e go ]; do command sleep 0.05; done
    cat <&4 | wc -c" >body 2>&1 &
stalled=$!
until [ -e waits ]; do command sleep 0.02; done
for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    [ "$(curl -s "http://127.0.0.1:$port/style.css")" = 'body { }' ] || fail "beside one that waits"
    command sleep 0.1
done
: >go
wait $stalled || :
grep -q '^[0-9]*$' body && [ "$(grep '^[0-9]*$' body)" -lt 300000000 ] || [ -s body ] ||
    fail "who does not read gets all of it"
end_quietly

# Standard input and output: by a copy.
printf 'GET /large.bin HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n' |
    "$vine" serve http --root root --stdio --overprovisioned | tail -c 10000000 |
    cmp - root/large.bin || fail "on standard output"

command -v openssl >/dev/null || exit 0
openssl req -x509 -newkey rsa:2048 -nodes -keyout key -out certificate -days 2 \
    -subj /CN=localhost 2>/dev/null
begin http --root root --smp 1 --tls certificate,key
curl -sk "https://127.0.0.1:$port/large.bin" | cmp - root/large.bin || fail "TLS"
end_quietly
