# SPDX-License-Identifier: Apache-2.0
#
# `vine serve` with more than it has room for: who comes beyond a limit is told so, who has few
# descriptors serves all in the end, what happened can be read, and the end loses nobody.
. "$VINE_SOURCE_DIR/tests/e2e/services.sh"
needs bash curl
descriptors=256

code() {
    curl -s -o body -w '%{http_code}' "http://127.0.0.1:$port$1" || fail "curl $1: $?"
}

# hold N COMMAND...: while N connections that have been answered are open.
hold() {
    n=$1
    shift
    script='for fd in $(seq 10 $((9 + $0))); do
        eval "exec $fd<>/dev/tcp/127.0.0.1/$1"
        printf "GET / HTTP/1.1\r\nHost: x\r\n\r\n" >&$fd
        read -r answer <&$fd
    done
    shift
    "$@"'
    bash -c "$script" "$n" "$port" "$@"
}

# ---- too many ------------------------------------------------------------------------------------
begin http --hello --smp 1 --max-connections 2
hold 2 curl -s -o body -w '%{http_code}\n' "http://127.0.0.1:$port/" >got || fail "beyond the limit: $?"
[ "$(cat got)" = 503 ] || fail "beyond the limit: $(cat got)"
tries=0
until [ "$(code /)" = 200 ]; do # when the server has seen that they are gone
    tries=$((tries + 1))
    [ $tries -lt 1000 ] || fail "not served after the others have gone"
    command sleep 0.02
done
said_in_time 'warning core 0 service: http: [0-9]* connections* w[a-z]* turned away: 2 are there, and no more may be'
kill -USR1 "$serving"
said_in_time 'vine_service_turned_away_total{service="http",listen="127.0.0.1:[0-9]*",reason="full"} [1-9]'
said_in_time 'vine_process_begun_total [1-9]'
end

begin resp --smp 1 --max-connections 1
bash -c 'exec 4<>/dev/tcp/127.0.0.1/$0; echo PING >&4; read -r answer <&4
    exec 5<>/dev/tcp/127.0.0.1/$0; head -n 1 <&5' "$port" >got
grep -q -- '-ERR max number of clients reached' got || fail "RESP beyond the limit: $(cat got)"
end

# ---- too often -----------------------------------------------------------------------------------
begin http --hello --smp 1 --client-rate 1
[ "$(code /)" = 200 ] || fail "the first one is not served"
tries=0
until [ "$(code /)" = 503 ]; do # a slow machine may bring each a second after the one before
    tries=$((tries + 1))
    [ $tries -lt 100 ] || fail "all are served"
done
said_in_time 'turned away: a client comes more often than 1 times a second'
end

# ---- what was asked for --------------------------------------------------------------------------
begin http --hello --smp 2 --access-log log
curl -s -A 'an "agent" \' -e there "http://127.0.0.1:$port/a?b=c" -d body >body
curl -s "http://127.0.0.1:$port/[1-20]" >body
bash -c 'exec 4<>/dev/tcp/127.0.0.1/$0; printf "GET /%b HTTP/1.1\r\n\r\n" "\001" >&4; cat <&4 >/dev/null' "$port"
# What is too long is cut within its quotation; what no terminal shall have, and a quotation mark,
# become others. Many of these take four times their room.
many=$(printf '%0900d' 0 | tr 0 '"')
bash -c 'exec 4<>/dev/tcp/127.0.0.1/$0; printf "GET /%s HTTP/1.0\r\nReferer: %s\r\nUser-Agent: %b\r\n\r\n" \
    "$1" "$1" "\x9b1m\xc2\x9b" >&4; cat <&4 >/dev/null' "$port" "$many"
end
grep -q ' "GET /\(\\x22\)* HTTP/1.0" 200 5 "\(\\x22\)*" "\\x9b1m\\xc2\\x9b"$' log ||
    fail "quotations are cut open: $(grep x22 log)"
sed -i '/x9b/d' log
[ "$(wc -l <log)" = 22 ] || fail "$(wc -l <log) lines of the access log: $(cat log)"
date='\[[0-9][0-9]/[A-Z][a-z][a-z]/[0-9]*:[0-9:]* +0000\]'
grep -q "^127.0.0.1 - - $date \"POST /a?b=c HTTP/1.1\" 200 5 \"there\" \"an .x22agent.x22 .x5c\"\$" log ||
    fail "the access log has: $(head -n 1 log)"
grep -q "^127.0.0.1 - - $date \"GET /7 HTTP/1.1\" 200 5 \"-\" \"curl/[0-9.]*\"\$" log || fail "not: $(sed -n 5p log)"
grep -q "^127.0.0.1 - - $date \"-\" 400 [0-9]* \"-\" \"-\"\$" log || fail "not: $(grep -v curl log)"
if [ -c /dev/full ]; then
    begin http --hello --smp 1 --access-log /dev/full
    curl -s "http://127.0.0.1:$port/[1-3]" >body
    said_in_time 'access log: [0-9]* lines* [a-z]* lost: No space left on device'
    kill -USR1 "$serving"
    said_in_time 'vine_service_access_lines_total 3$'
    said_in_time 'vine_service_access_lost_total 3$'
    end
fi
code=0
"$vine" serve http --hello --overprovisioned --smp 1 --listen 127.0.0.1:0 --access-log nowhere/log >shown 2>said || code=$?
[ "$code" = 2 ] || fail "an access log nowhere: ended with $code"
grep -q nowhere said || fail "does not say where no access log can be"

# ---- too few descriptors -------------------------------------------------------------------------
# Those who stay take all that there are, until they have been idle for too long: meanwhile others
# are told so, each of them, and then everybody is served.
for backend in auto epoll; do
    descriptors=64
    begin http --hello --smp 1 --idle-timeout 1000 --reactor-backend "$backend"
    curl -s --parallel --parallel-immediate --parallel-max 150 -w '%{http_code}\n' -o body \
        "http://127.0.0.1:$port/[1-300]" >codes 2>/dev/null || fail "with few descriptors: $?"
    [ "$(grep -c '^200$' codes)" -ge 30 ] || fail "with few descriptors: $(sort codes | uniq -c)"
    [ "$(grep -c '^503$' codes)" -ge 1 ] || fail "with few descriptors: $(sort codes | uniq -c)"
    [ "$(grep -c '^200$\|^503$' codes)" = 300 ] || fail "with few descriptors: $(sort codes | uniq -c)"
    said_in_time 'turned away: no descriptor is left, of 64 that the process may have: raise `ulimit -n`'
    tries=0
    until [ "$(code /)" = 200 ]; do
        tries=$((tries + 1))
        [ $tries -lt 1000 ] || fail "not served after the others have gone"
        command sleep 0.02
    done
    kill -USR1 "$serving"
    said_in_time 'vine_service_turned_away_total{service="http",listen="127.0.0.1:[0-9]*",reason="descriptors"} [1-9]'
    end
done

begin resp --smp 1
bash -c 'for fd in $(seq 100 157); do
        eval "exec $fd<>/dev/tcp/127.0.0.1/$0" && echo PING >&$fd && read -r answer <&$fd && echo "$answer"
    done' "$port" >got
grep -q PONG got || fail "RESP with few descriptors: $(cat got)"
tail -n 1 got | grep -q -e '-ERR max number of clients reached' ||
    fail "RESP with few descriptors: $(cat got)"
end
descriptors=256

# ---- too few heaps -------------------------------------------------------------------------------
# Who is in the middle of a request has one; who waits for a request does not need any.
begin http --hello --smp 1 --connections 1
hold 1 bash -c 'exec 4<>/dev/tcp/127.0.0.1/$0; printf "GET / HTTP" >&4
    until [ "$code" = 503 ]; do code=$(curl -s -o /dev/null -w "%{http_code}" "http://127.0.0.1:$0/"); done
    printf "/1.1\r\nHost: x\r\n\r\n" >&4; read -r answer <&4; echo "$answer"' "$port" >got
grep -q '^HTTP/1.1 200 OK' got || fail "with one heap: $(cat got)"
said_in_time 'turned away: 1 heaps are in use, and no more are allowed (--connections)'
[ "$(code /)" = 200 ] || fail "with one heap again: $(code /)"
end

# ---- the end -------------------------------------------------------------------------------------
for n in 1 2 3; do
    begin http --hello --smp 2
    for i in 1 2 3 4; do
        (
            error=0
            while [ "$error" = 0 ]; do
                curl -s -o /dev/null "http://127.0.0.1:$port/" || error=$?
            done
            echo "$error" >"error.$i"
        ) &
    done
    command sleep 0.3
    end
    wait
    # Who cannot connect any more is refused; nobody who has is left without an answer.
    for i in 1 2 3 4; do
        [ "$(cat error.$i)" = 7 ] || fail "at the end curl says $(cat error.$i)"
    done
done
