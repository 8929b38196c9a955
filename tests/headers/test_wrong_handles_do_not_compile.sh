#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A handle of a bridge given to a call of another does not compile: not with -Werror, not as a
# warning, but for the type of the first argument. In C and in C++, with no option but the standard.
set -eu
root=${VINE_SOURCE_DIR:-$(cd "$(dirname "$0")/../.." && pwd)}
compiler=${VINE_C_COMPILER:-cc}
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
failures=0

fail() {
    echo "$*"
    failures=$((failures + 1))
}

# program STATEMENT: one that is right but for the statement.
program() {
    cat <<END
#include <vine/bridge.h>
struct question { uint32_t a; };
struct answer { uint64_t sum; };
VINE_BRIDGE_TYPES(adder, struct question, struct answer);
VINE_BRIDGE_TYPES(other, struct question, struct answer);
VINE_CHANNEL_TYPES(plain, struct question, struct answer);
int use(struct adder_driver driver, struct adder_completer completer, struct other_driver stranger,
        struct other_completer foreign, struct vine_completer *end, struct plain_completer *bare);
int use(struct adder_driver driver, struct adder_completer completer, struct other_driver stranger,
        struct other_completer foreign, struct vine_completer *end, struct plain_completer *bare)
{
    struct adder_operation operation = {0, 0, 0, 0};
    struct vine_operation_id id = {0};
    struct adder_ticket ticket = {{0}};
    struct other_ticket wrong = {{0}};
    struct question question = {0};
    struct answer answer = {0};
    int error = 0;
    (void)completer, (void)stranger, (void)foreign, (void)end, (void)bare, (void)wrong;
    (void)driver, (void)operation, (void)id, (void)ticket, (void)question, (void)answer;
    error = $1;
    return error;
}
END
}

# try C-or-C++ STATEMENT: compile it; what the compiler says is in \$scratch/says.
try() {
    case $1 in
    c)
        program "$2" >"$scratch/program.c"
        LC_ALL=C "$compiler" -std=gnu17 -fsyntax-only "-I$root/include" "$scratch/program.c" \
            2>"$scratch/says"
        ;;
    *)
        program "$2" >"$scratch/program.cpp"
        LC_ALL=C c++ -std=c++17 -fsyntax-only "-I$root/include" "$scratch/program.cpp" \
            2>"$scratch/says"
        ;;
    esac
}

languages=c
if command -v c++ >/dev/null 2>&1; then
    languages='c c++'
else
    echo "no C++ compiler here (package: g++): C alone"
fi

while read -r statement; do
    for language in $languages; do
        try "$language" "$statement" || { fail "$language: does not compile: $statement"; cat "$scratch/says"; }
    done
done <<'END'
adder_submit(driver.submit, &question, &operation, &id)
adder_abandon(driver.submit, id)
adder_receive(driver.receive)
adder_expire(driver.receive, 1)
adder_lost(driver.receive)
adder_submission(completer, &ticket, &question)
adder_complete(completer, ticket, &answer)
END

# The type that is refused, a blank, and the statement that it is refused in.
while read -r given statement; do
    for language in $languages; do
        if try "$language" "$statement"; then
            fail "$language: compiles: $statement"
        # gcc: "incompatible type for argument 1 of 'adder_receive'" and a note with both types; clang:
        # "passing 'struct A' to parameter of incompatible type 'struct B'"; C++: "could not convert
        # 'x' from 'A' to 'B'", "no matching function", "no viable conversion".
        elif ! grep -qE 'error: .*(incompatible type|could not convert|no matching function|no viable conversion)' \
            "$scratch/says" || ! grep -q "$given" "$scratch/says"; then
            fail "$language: refused for another reason: $statement"
            cat "$scratch/says"
        fi
    done
done <<'END'
adder_receive_handle adder_submit(driver.receive, &question, &operation, &id)
adder_completer adder_submit(completer, &question, &operation, &id)
adder_receive_handle adder_abandon(driver.receive, id)
adder_ticket adder_abandon(driver.submit, ticket)
adder_submit_handle adder_receive(driver.submit)
adder_completer adder_receive(completer)
adder_submit_handle adder_receive_wait(driver.submit, 1)
adder_submit_handle adder_expire(driver.submit, 1)
adder_submit_handle adder_lost(driver.submit)
adder_submit_handle adder_submission(driver.submit, &ticket, &question)
adder_receive_handle adder_submission(driver.receive, &ticket, &question)
adder_receive_handle adder_complete(driver.receive, ticket, &answer)
vine_operation_id adder_complete(completer, id, &answer)
other_ticket adder_complete(completer, wrong, &answer)
other_submit_handle adder_submit(stranger.submit, &question, &operation, &id)
other_receive_handle adder_receive(stranger.receive)
other_completer adder_submission(foreign, &ticket, &question)
vine_completer adder_submission(end, &ticket, &question)
plain_completer adder_complete(bare, ticket, &answer)
END

[ "$failures" = 0 ]
