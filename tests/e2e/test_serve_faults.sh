# SPDX-License-Identifier: Apache-2.0
#
# `vine serve` when what serves fails: its client is told, the log has a line for each, and where a
# process ends, the supervisor says why and another one takes its place.
. "$VINE_SOURCE_DIR/tests/e2e/services.sh"
needs bash
failing=$VINE_BUILD_DIR/tests/plugins/failing.so
[ -e "$failing" ] || skip "no $failing"

# ask LINE: the first line of what comes back, in `got`.
ask() {
    bash -c "exec 4<>/dev/tcp/127.0.0.1/$port; echo '$1' >&4; head -n 1 <&4" >got || :
}

for how in none mprotect; do
    begin "$failing" --isolate $how --processes 2 --smp 1
    ask fault
    [ "$(cat got)" = failed ] || fail "$how: a fault is answered with: $(cat got)"
    said_in_time 'error core 0 service: failing: coroutine failing, line [0-9]*: SIGSEGV at address 0xbad0, code at 0x'
    ask raise
    [ "$(cat got)" = failed ] || fail "$how: an error is answered with: $(cat got)"
    said_in_time 'failing: coroutine failing, line [0-9]*: nobody took its error: Invalid argument'
    ask grow
    [ "$(cat got)" = failed ] || fail "$how: too much is answered with: $(cat got)"
    said_in_time 'Cannot allocate memory: heap of [0-9]* pages: [0-9]* bytes more would need 10[0-9] pages, and 16 are allowed'
    # Within malloc, where a lock may be held: the process ends. A sanitizer's malloc looks first.
    if [ -z "${VINE_SANITIZE:-}" ]; then
        ask malloc
        said_in_time 'was killed by SIGSEGV; its last words: failing: coroutine failing, line [0-9]*: SIGSEGV at address 0x70'
        said_in_time 'serves, [0-9.]* ms after the end of'
    fi
    ask hello
    [ "$(cat got)" = hello ] || fail "$how: after that: $(cat got)"
    end
done

# Who never waits is ended, and is told of.
case ${VINE_SANITIZE:-} in
*thread*) ;;
*)
    begin "$failing" --smp 1 --run-limit 50
    ask spin
    [ "$(cat got)" = failed ] || fail "who never waits is answered with: $(cat got)"
    said_in_time 'SIGXCPU at address 0x.*: it runs for too long'
    ask hello
    [ "$(cat got)" = hello ] || fail "after that: $(cat got)"
    end
    ;;
esac

needs curl
begin http --hello --crash /crash --smp 1
for i in 1 2 3 4 5 6 7 8 9 10 11 12; do
    code=$(curl -s -o body -w '%{http_code}' "http://127.0.0.1:$port/crash") || fail "curl: $?"
    [ "$code" = 500 ] || fail "a crash is answered with $code"
done
[ "$(curl -s "http://127.0.0.1:$port/")" = hello ] || fail "no hello after crashes"
said_in_time 'http: coroutine http, line [0-9]*: SIGSEGV at address 0,\|http: coroutine http, line [0-9]*: SIGSEGV at address 0x0,'
said_in_time 'more crash'
end
