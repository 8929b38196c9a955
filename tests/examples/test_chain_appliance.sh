# SPDX-License-Identifier: Apache-2.0
#
# chain_appliance: its coroutines await tasks of a second appliance, and streams to its coroutines;
# when that one is gone its tasks end with an error, and with the next one there all is well again.
. "$(dirname "$0")/serving.sh"
appliance=$examples/chain_appliance
[ -x "$appliance" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
next=
trap '[ -z "$next" ] || kill $next 2>/dev/null; finish' EXIT

# begin_next COMMAND...: the second appliance, at $scratch/next.
begin_next() {
    "$@" >"$scratch/next_says" 2>&1 &
    next=$!
    tries=0
    until grep -q "$scratch/next" "$scratch/next_says"; do
        tries=$((tries + 1))
        [ $tries -lt 300 ] || fail "no second appliance: $(cat "$scratch/next_says")"
        command sleep 0.1
    done
}

end_next() {
    kill "-$1" $next
    wait $next || :
    next=
}

# run PROCEDURE: what comes of $scratch/in.
run() {
    rm -rf "$scratch/out"
    "$VINE_COMMAND" run "$1" "$scratch/in" -o "$scratch/out" --appliance "$address" \
        >"$scratch/said" 2>&1
}

serve "$appliance" --smp 2 --overprovisioned --next "$scratch/next" --listen "$address"
mkdir "$scratch/in"
seq 1 40 >"$scratch/in/lines"
while read -r line; do
    echo "$line" | sha256sum | cut -d ' ' -f 1
done <"$scratch/in/lines" >"$scratch/expected"
if run hash_lines; then
    fail "a task of nobody's ended well"
fi

begin_next "$VINE_COMMAND" appliance --listen "$scratch/next"
run hash_lines || fail "hash_lines: $(cat "$scratch/said")"
cmp "$(find "$scratch/out" -type f -name 'lines*')" "$scratch/expected" || fail "other hashes"
end_next KILL
if run hash_lines; then
    fail "a task of who was killed ended well"
fi

begin_next "$examples/ten_line_echo" --smp 1 --overprovisioned "$scratch/next"
head -c 3000000 /dev/urandom >"$scratch/in/large"
: >"$scratch/in/empty"
run relay || fail "relay: $(cat "$scratch/said")"
for name in lines large empty; do
    cmp "$scratch/in/$name" "$(find "$scratch/out" -type f -name "$name*")" ||
        fail "$name came back otherwise"
done
end_next TERM
stop
