#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# An operation before vine_begin, behind vine_end or in another function does not compile, nor does
# a local variable that is used across one, nor a message of another type than it is said to be: by
# gcc and clang, whichever are here, with no option but those that the guide to services names.
set -eu
root=${VINE_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

fail() {
    echo "$*"
    cat "$scratch/says"
    failures=$((failures + 1))
}

# program FUNCTIONS BEFORE BODY AFTER: a coroutine of these parts.
program() {
    cat >"$scratch/program.c" <<END
#include <vine/coroutine.h>
struct question { int a; };
struct answer { long sum; };
int given(void);
$1
VINE_COROUTINE(tried)
{
    struct {
        int i;
        char text[64];
        ssize_t length;
        struct vine_coroutine *child;
        struct question question;
    } *self;
    $2

    vine_begin();
    $3
    vine_end();
    $4
}
END
}

# try COMPILER: what it says is in \$scratch/says.
try() {
    LC_ALL=C "$1" -std=gnu17 -Wno-unused -O1 -fPIC -S -o "$scratch/object" "-I$root/include" \
        "$scratch/program.c" >"$scratch/says" 2>&1
}

# refused COMPILER WORDS: it is, with an error of these words.
refused() {
    if try "$1"; then
        fail "$1: compiles:"
        cat "$scratch/program.c"
    elif ! grep -qE "error: .*($2)" "$scratch/says"; then
        fail "$1: refused for another reason than $2:"
    fi
}

where='vine__only_between_vine_begin_and_vine_end'
lost='uninitialized'
compilers=
for compiler in gcc clang; do
    ! command -v "$compiler" >/dev/null 2>&1 || compilers="$compilers $compiler"
done
[ -n "$compilers" ] || { echo "skipped: neither gcc nor clang is here"; exit 77; }

for compiler in $compilers; do
    program '' 'int n;' 'n = given(); self->i = n; vine_writef("%d\n", n); vine_sleep(1);
        for (int k = 0; k < self->i; k++) self->i += k;
        switch (self->i) { case 1: vine_yield(); vine_yield(); break; default: vine_return(); }' ''
    try "$compiler" || fail "$compiler: does not compile:"

    for operation in 'vine_sleep(1);' 'vine_yield();' 'vine_writef("x");' 'vine_raise(-1);' \
        'vine_return();' 'vine_alloc(self->child, 1);' 'vine_readline(self->length, self->text, 9);'; do
        program '' "$operation" '' ''
        refused "$compiler" "$where"
        program '' '' '' "$operation"
        refused "$compiler" "$where"
        program "static void helps(void) { $operation }" '' '' ''
        refused "$compiler" "$where|undeclared|undeclared identifier"
    done

    program '' 'int n;' 'n = given(); vine_sleep(1); self->i = n;' ''
    refused "$compiler" "$lost"
    program '' '' 'int n = given(); vine_yield(); self->i = n;' ''
    refused "$compiler" "$lost"
    program '' '' 'for (int n = given(); n < 3; n++) vine_flush(); vine_sleep(1);
        for (int n = given(); n < 3; n++) vine_sleep(1);' ''
    refused "$compiler" "$lost"
    program '' 'int n;' 'n = given(); if (given()) vine_yield(); self->i = n;' ''
    refused "$compiler" "$lost"

    program '' '' 'vine_send(self->child, struct answer, self->question);' ''
    refused "$compiler" 'incompatible type|initializing'
    program '' '' 'vine_recv(struct answer, self->question);' ''
    refused "$compiler" 'incompatible type|assigning'
done
[ "$failures" = 0 ]
