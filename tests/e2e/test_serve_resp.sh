# SPDX-License-Identifier: Apache-2.0
#
# `vine serve resp` by redis-cli: what clients of Redis see.
. "$VINE_SOURCE_DIR/tests/e2e/services.sh"
needs redis-cli

# ask WANTED WORD...: a command, and its answer on one line.
ask() {
    wanted=$1
    shift
    got=$(redis-cli -p "$port" "$@" | tr '\n' ' ')
    [ "${got% }" = "$wanted" ] || fail "$*: '$got' and not '$wanted'"
}

for how in '--isolate none' '--isolate mprotect' '--reactor-backend epoll'; do
    # shellcheck disable=SC2086
    begin resp --smp 1 $how
    ask PONG PING
    ask OK SET key value
    ask value GET key
    ask 1 INCR count
    ask 2 INCR count
    ask OK MSET a 1 b 2
    ask '1 2 ' MGET a b none
    ask 1 EXPIRE a 100
    ask 100 TTL a
    ask 2 DEL a b
    ask 0 EXISTS a
    ask hi ECHO hi
    case $(redis-cli -p "$port" NONSENSE) in ERR*) ;; *) fail "nonsense is no error" ;; esac
    # Many commands at once, their replies in order.
    for i in 1 2 3 4 5 6 7 8 9; do echo "SET k$i $i"; echo "GET k$i"; done >commands
    redis-cli -p "$port" <commands | grep -v OK | tr '\n' ' ' >got
    [ "$(cat got)" = '1 2 3 4 5 6 7 8 9 ' ] || fail "$how: several: $(cat got)"
    ask "$(printf '%010000d' 7)" ECHO "$(printf '%010000d' 7)"
    # More than a heap has room for, as one argument and as many.
    head -c 3000000 /dev/zero | tr '\0' x >large
    [ "$(redis-cli -p "$port" -x SET large <large)" = OK ] || fail "$how: no large value"
    redis-cli -p "$port" GET large | tr -d '\n' | cmp - large || fail "$how: another large value"
    # Protocol 3, and what a client asks when it begins.
    [ "$(redis-cli -3 -p "$port" HELLO | head -n 1)" = 'server vine' ] ||
        fail "$how: $(redis-cli -3 -p "$port" HELLO)"
    redis-cli -p "$port" COMMAND DOCS get mset | grep -q 'The value of a key' || fail "no docs"
    [ "$(redis-cli -p "$port" COMMAND | grep -c '^[a-z]*$')" -gt 20 ] || fail "no commands"
    # All at once, as for filling a server.
    awk 'BEGIN { for (i = 0; i < 20000; i++)
        printf "*3\r\n$3\r\nSET\r\n$%d\r\nmany%d\r\n$%d\r\n%d\r\n", 4 + length(i), i, length(i), i }' >many
    redis-cli -p "$port" --pipe <many | grep -q 'errors: 0, replies: 20000' || fail "$how: --pipe"
    ask '0 19999 ' MGET many0 many19999 none
    for depth in 1 16; do
        redis-benchmark -p "$port" -P "$depth" -n 4000 -r 100 -q -t set,get,ping_mbulk,incr,mset \
            </dev/null >rates 2>&1 || { cat rates; fail "$how: redis-benchmark"; }
        [ "$(tr '\r' '\n' <rates | grep -c '^[A-Z_(].* requests per second')" = 5 ] || { cat rates; fail "$how: rates"; }
        ! grep -qi 'error' rates || { cat rates; fail "$how: errors of redis-benchmark"; }
    done
    end_quietly
done

# Who is idle holds no heap, and is who it was all the same when something comes; a command of which
# a part has come is kept.
begin resp --smp 1
bash -c 'exec 4<>/dev/tcp/127.0.0.1/$0
    # told PID NAME VALUE: until it is said of all micro-processes.
    told() {
        tries=0
        while ! grep -q "vine_process_$2 $3\$" said; do
            tries=$((tries + 1))
            [ $tries -lt 500 ] || { echo "never $2 $3"; exit 1; }
            kill -USR1 "$1"
            command sleep 0.05
        done
    }
    printf "HELLO 3 SETNAME me\r\n" >&4
    printf "PING here\r\n" >&4
    until [ "${answer%?}" = here ]; do read -r answer <&4; done
    told "$1" parkings_total 1
    printf "CLIENT GETNAME\r\nGET none\r\n" >&4
    for i in 1 2 3; do read -r answer <&4; echo "${answer%?}"; done
    told "$1" parkings_total 2
    printf "*2\r\n\$4\r\nECHO\r\n\$5\r\nhe" >&4
    told "$1" unparkings_total 2
    printf "llo\r\n" >&4
    for i in 1 2; do read -r answer <&4; echo "${answer%?}"; done' "$port" "$serving" >got || fail "parked: $(cat got)"
[ "$(tr '\n' ' ' <got)" = '$2 me _ $5 hello ' ] || fail "parked: $(cat got)"
end

# Who begins a command and does not go on keeps nothing for ever; who is between two is left alone.
begin resp --smp 1 --body-timeout 200
for half in '*2\r\n$4\r\nEC' '*3\r\n$3\r\nSET\r\n$1\r\na\r\n$500000000\r\nsome' 'PING\r\nGET'; do
    bash -c 'exec 4<>/dev/tcp/127.0.0.1/$0
        exec 5<>/dev/tcp/127.0.0.1/$0
        printf "PING\r\n" >&5
        read -r answer <&5
        printf "$1" >&4
        tail -n 1 <&4
        printf "PING\r\n" >&5
        read -r answer <&5
        echo "$answer"' "$port" "$half" >got || fail "half a command: $(cat got)"
    [ "$(tr -d '\r' <got | tr '\n' ' ')" = '-ERR the rest has not come +PONG ' ] || fail "$half: $(cat got)"
done
end_quietly
