#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# ten_line_echo: what it is sent comes back, small and large. What it does takes about ten lines.
. "$(dirname "$0")/serving.sh"
appliance=$examples/ten_line_echo
[ -x "$appliance" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
lines=$(sed -n '/^VINE_COROUTINE/,/^\/\* ----/p' "$VINE_SOURCE_DIR/examples/ten_line_echo.c" |
    grep -cv '^$\|^[{}]*$\|^/')
[ "$lines" -le 12 ] || fail "it takes $lines lines"

serve "$appliance" --smp 2 --overprovisioned "$address"
mkdir "$scratch/in"
echo 'Hello, echo' >"$scratch/in/text"
: >"$scratch/in/empty"
head -c 3000000 /dev/urandom >"$scratch/in/large"
"$VINE_COMMAND" run echo "$scratch/in" -o "$scratch/out" --appliance "$address" ||
    fail "vine run echo: $?"
for name in text empty large; do
    result=$(find "$scratch/out" -type f -name "$name*")
    cmp "$scratch/in/$name" "$result" || fail "$name came back otherwise"
done
stop
