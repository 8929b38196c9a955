# SPDX-License-Identifier: Apache-2.0
#
# A service whose coroutines await an appliance's tasks: as sha256sum says, for many lines and
# guards; without an appliance that is told.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$VINE_BUILD_DIR/vine-serve" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }

# ask: what it answers to standard input.
ask() {
    VINE_APPLIANCE=$address "$VINE_BUILD_DIR/vine-serve" "$examples/hash_lines.so" --stdio --smp=1 \
        --overprovisioned "$@" 2>said || { cat said; fail "it ended with $?"; }
}

seq 1 200 >lines
while read -r line; do
    echo "$line" | sha256sum | cut -d ' ' -f 1
done <lines >expected

[ "$(echo hello | ask | grep -c 'no appliance answers.*no appliance answers')" = 1 ] ||
    fail "nobody is there: $(cat said)"
serve "$VINE_COMMAND" appliance --listen "$address"
[ "$(printf hello | ask)" = \
    '2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824 3610a686' ] ||
    fail "another hash"
for isolate in none mprotect; do
    ask --isolate $isolate <lines | cut -d ' ' -f 1 | cmp - expected || fail "other hashes: $isolate"
done
ask --reactor-backend=epoll <lines | cut -d ' ' -f 1 | cmp - expected || fail "other hashes: epoll"
stop
