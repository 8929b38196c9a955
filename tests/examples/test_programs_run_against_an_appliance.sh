#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# hello, zero_copy, many_tasks and epoll_loop, with the address as argument and in the environment; the first one
# linked statically too, with libvine.a and nothing else, without a warning.
. "$(dirname "$0")/serving.sh"
serve "$VINE_COMMAND" appliance --listen "$address"

expected='2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824  hello'
[ "$("$examples/hello" "$address")" = "$expected" ] || fail "hello says something else"
[ "$(VINE_APPLIANCE=$address "$examples/hello")" = "$expected" ] || fail "VINE_APPLIANCE is not heard"
for program in hello zero_copy many_tasks epoll_loop; do
    for arguments in --help '"$address" needless'; do
        code=0
        eval "\"$examples/$program\" $arguments" >"$scratch/said" 2>&1 || code=$?
        [ "$code" = 2 ] || fail "$program $arguments: ended with $code"
        grep -qx "usage: $program \[ADDRESS\]" "$scratch/said" || fail "$program: $(cat "$scratch/said")"
    done
    ! "$examples/$program" "$scratch/nobody" 2>"$scratch/said" || fail "$program: nobody is there"
    grep -q "^$program: $scratch/nobody: no appliance" "$scratch/said" ||
        fail "$program: $(cat "$scratch/said")"
done
said=$("$examples/zero_copy" "$address") || fail "zero_copy: $?"
[ "$said" = '1048576 of 1048576 bytes came back, 0 were copied on our side' ] ||
    fail "zero_copy says: $said"
said=$("$examples/many_tasks" "$address") || fail "many_tasks: $?"
[ "$said" = '10000 tasks ended, sum b5c29810' ] || fail "many_tasks says: $said"
# One block, whose sum is a crc32 as gzip knows it, and many.
said=$(printf hello | "$examples/epoll_loop" "$address") || fail "epoll_loop: $?"
[ "$said" = '1 blocks, 5 bytes, sum 3610a686' ] || fail "epoll_loop says: $said"
said=$(head -c 20000000 /dev/zero | "$examples/epoll_loop" "$address") || fail "epoll_loop: $?"
case $said in
*' blocks, 20000000 bytes, sum '*) ;;
*) fail "epoll_loop says: $said" ;;
esac
! "$examples/epoll_loop" "$address" <"$0" 2>"$scratch/said" || fail "epoll_loop reads a file"
grep -q 'cat it' "$scratch/said" || fail "epoll_loop: $(cat "$scratch/said")"
if "$examples/hello" "$scratch/nobody.sock" 2>"$scratch/error"; then
    fail "hello found an appliance where there is none"
fi
grep -q 'hello: ' "$scratch/error" || fail "hello does not say why it failed"

if [ -z "${VINE_SANITIZE:-}" ]; then
    "${VINE_C_COMPILER:-cc}" -static -Wall -Wextra -Werror -I "$VINE_SOURCE_DIR/include" \
        "$VINE_SOURCE_DIR/examples/hello.c" -L "$VINE_BUILD_DIR" -lvine -o "$scratch/hello" \
        >"$scratch/says_static" 2>&1 || { cat "$scratch/says_static"; fail "hello does not link statically"; }
    [ ! -s "$scratch/says_static" ] || { cat "$scratch/says_static"; fail "there are warnings"; }
    [ "$("$scratch/hello" "$address")" = "$expected" ] || fail "the static hello says something else"
fi
stop
