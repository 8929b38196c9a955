#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# `vine appliance --procs` takes up my_library, as it was built and as the example says to build it.
. "$(dirname "$0")/serving.sh"
mkdir -m 755 "$scratch/procs"
"${VINE_C_COMPILER:-cc}" -shared -fPIC -I "$VINE_SOURCE_DIR/include" \
    "$VINE_SOURCE_DIR/examples/my_library.c" -o "$scratch/procs/my_library.so"
chmod 755 "$scratch/procs/my_library.so"
serve "$VINE_COMMAND" appliance --listen "$address" --procs "$scratch/procs"
name=$(sed -n 's/^VINE_PROCEDURE(\([a-z0-9_]*\),.*/\1/p' "$VINE_SOURCE_DIR/examples/my_library.c")
"$VINE_COMMAND" procs --appliance "$address" >"$scratch/listed" || fail "vine procs: $?"
grep -q "^ *$name" "$scratch/listed" || { cat "$scratch/listed"; fail "$name is not offered"; }

printf 'one two  three\nfour\n' >"$scratch/text"
counted=$("$VINE_COMMAND" run "$name" "$scratch/text" --appliance "$address" | cut -c1-16)
[ "$counted" = 0400000000000000 ] || fail "four words are counted as $counted"

# A new version, while it serves.
sed 's/"count words"/"count words anew"/' "$VINE_SOURCE_DIR/examples/my_library.c" >"$scratch/new.c"
"${VINE_C_COMPILER:-cc}" -shared -fPIC -I "$VINE_SOURCE_DIR/include" "$scratch/new.c" \
    -o "$scratch/procs/my_library.so"
chmod 755 "$scratch/procs/my_library.so"
# The test's own time limit ends this if it is not taken up.
until "$VINE_COMMAND" procs --appliance "$address" | grep -q 'count words anew'; do
    sleep 0.01
done
stop
