#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# coroutine_appliance: its procedures are coroutines, one of which asks a server of keys and values.
. "$(dirname "$0")/serving.sh"
appliance=$examples/coroutine_appliance
[ -x "$appliance" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
store=unix:$scratch/store
"$VINE_BUILD_DIR/vine-serve" resp --smp 1 --overprovisioned --listen "$store" >"$scratch/stored" 2>&1 &
stored=$!
tries=0
until [ -S "$scratch/store" ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || fail "no store: $(cat "$scratch/stored")"
    command sleep 0.1
done

for isolation in none mprotect; do
    serve "$appliance" --smp 2 --overprovisioned --store "$store" --isolate $isolation \
        --listen "$address"
    "$VINE_COMMAND" procs --appliance "$address" >"$scratch/procs" || fail "vine procs: $?"
    grep -q echo "$scratch/procs" || fail "no echo: $(cat "$scratch/procs")"

    rm -rf "$scratch/in" "$scratch/out"
    mkdir "$scratch/in"
    echo 'Hello, coroutine' >"$scratch/in/text"
    head -c 5000000 /dev/urandom >"$scratch/in/large"
    "$VINE_COMMAND" run echo "$scratch/in" -o "$scratch/out" --appliance "$address" ||
        fail "vine run echo: $?"
    for name in text large; do
        result=$(find "$scratch/out" -type f -name "$name*")
        cmp "$scratch/in/$name" "$result" || fail "$name came back otherwise"
    done

    # A key that is not there fails alone.
    rm -rf "$scratch/in" "$scratch/out"
    mkdir "$scratch/in"
    printf none >"$scratch/in/none"
    if "$VINE_COMMAND" run lookup "$scratch/in" -o "$scratch/out" --appliance "$address" \
        2>"$scratch/said"; then
        fail "a key that is not there was found"
    fi
    if command -v redis-cli >/dev/null; then
        rm -rf "$scratch/in" "$scratch/out"
        mkdir "$scratch/in"
        printf key >"$scratch/in/key"
        redis-cli -s "$scratch/store" SET key 'a value' >"$scratch/said" || fail "SET: $?"
        "$VINE_COMMAND" run lookup "$scratch/in" -o "$scratch/out" --appliance "$address" ||
            fail "vine run lookup: $?"
        result=$(find "$scratch/out" -type f -name 'key*')
        [ "$(cat "$result")" = 'a value' ] || fail "another value: $(cat "$result")"
    fi
    rm "$scratch/says"
    stop
done
kill $stored
