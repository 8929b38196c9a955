#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# uv_loop: hashes as sha256sum does, of files of any size and of more than it reads at once; what is
# wrong with one of them concerns that one alone.
. "$(dirname "$0")/serving.sh"
program=$examples/uv_loop
[ -x "$program" ] || { echo "skipped: it was not built, for want of libuv"; exit 77; }
code=0
"$program" --help >"$scratch/said" 2>&1 || code=$?
[ $code = 2 ] || fail "--help: ended with $code"
grep -qx 'usage: uv_loop ADDRESS FILE\.\.\.' "$scratch/said" || fail "$(cat "$scratch/said")"
! "$program" "$scratch/nobody" "$0" 2>"$scratch/said" || fail "nobody is there"
grep -q "^uv_loop: $scratch/nobody: no appliance" "$scratch/said" || fail "$(cat "$scratch/said")"

serve "$VINE_COMMAND" appliance --listen "$address"
mkdir "$scratch/in"
: >"$scratch/in/empty"
head -c 3000000 /dev/urandom >"$scratch/in/large"
head -c 262144 /dev/urandom >"$scratch/in/block"
for i in 1 2 3 4 5 6 7 8 9; do
    echo "file $i" >"$scratch/in/$i"
done
"$program" "$address" "$scratch"/in/* >"$scratch/sums" || fail "it ended with $?"
[ "$(wc -l <"$scratch/sums")" = 12 ] || fail "not all are there: $(cat "$scratch/sums")"
sha256sum --quiet -c "$scratch/sums" || fail "another hash: $(cat "$scratch/sums")"

code=0
"$program" "$address" "$scratch/in/1" "$scratch/none" "$scratch/in/2" >"$scratch/sums" \
    2>"$scratch/said" || code=$?
[ $code = 1 ] || fail "a file that is not there: ended with $code"
grep -qx "uv_loop: $scratch/none: no such file or directory" "$scratch/said" ||
    fail "$(cat "$scratch/said")"
[ "$(wc -l <"$scratch/sums")" = 2 ] || fail "the others are missing: $(cat "$scratch/sums")"
stop
