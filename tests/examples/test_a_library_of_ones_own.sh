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
stop
