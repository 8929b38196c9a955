#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# my_appliance serves rot13 to the command.
. "$(dirname "$0")/serving.sh"
serve "$examples/my_appliance" "$address"
mkdir "$scratch/in"
echo 'Hello, appliance' >"$scratch/in/text"
"$VINE_COMMAND" run rot13 "$scratch/in" -o "$scratch/out" --appliance "$address" ||
    fail "vine run rot13: $?"
result=$(find "$scratch/out" -type f -name 'text*')
[ "$(cat "$result")" = 'Uryyb, nccyvnapr' ] || fail "rotated wrongly: $(cat "$result")"
stop
