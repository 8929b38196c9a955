# SPDX-License-Identifier: Apache-2.0
# test: timeout=900
#
# kill -9 of the server while clients make VMs and remove them: behind that everything in the pool
# has its owner, and each client's list has the VMs that there are.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
PATH=$PATH:/usr/sbin:/sbin
for tool in mkfs.ext4 e2fsck jq; do
    command -v "$tool" >/dev/null || skip "no $tool"
done
seed=${VINE_TEST_SEED:-$$}
echo "VINE_TEST_SEED=$seed"
names='a b c d e f g h'
undo() {
    [ -z "${server:-}" ] || kill -KILL "$server" 2>/dev/null || :
}
# pause: up to a tenth of a second.
pause() {
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    command sleep "0.0$(printf '%03d' $((seed / 65536 % 1000)))"
}
serve() {
    # shellcheck disable=SC2086
    begin_server --pool ./farm $server_options
}
# Who has which VM is what the pool has.
are_owned() {
    jq -r '.clients[].vms[]' state/clients.json | sort >listed
    "$vine" pool show farm --json | jq -r '.machines[].uid' | sort >there
    cmp -s listed there || fail "$*: the pool has $(cat there), clients have $(cat listed)"
    [ "$("$vine" pool check farm 2>&1)" = 'farm: well' ] || fail "$*: $("$vine" pool check farm 2>&1)"
}
# killed VERB: the server is, while each of two clients makes or removes VMs, one after the other.
killed() {
    for client in bob alice; do
        for name in $names; do
            "$vine" vm "$1" "$name" -s "$scratch/$client.sock" >/dev/null 2>&1 || break
        done &
    done
    pause
    end_server KILL
    for job in $(jobs -p); do
        [ "$job" = "$server" ] || wait "$job" || :
    done
    serve
    are_owned "$@"
}

"$vine" pool create farm --size 64M
serve
for client in bob alice; do
    expect 0 "$vine" client add "$client" --pool farm --path "$scratch/$client.sock" --vms 8 \
        -s run/control.sock >/dev/null
done
for turn in 1 2 3 4 5 6 7 8; do
    killed create "$turn"
    # All that may be there can be made: nothing counts that is not there.
    for client in bob alice; do
        for name in $names; do
            "$vine" vm create "$name" -s "$scratch/$client.sock" >/dev/null 2>&1 || :
        done
        [ "$("$vine" vm ls -s "$scratch/$client.sock" --json | jq length)" = 8 ] ||
            fail "$turn: $client: $("$vine" vm ls -s "$scratch/$client.sock")"
    done
    killed rm "$turn"
    for client in bob alice; do
        for name in $names; do
            "$vine" vm rm "$name" -s "$scratch/$client.sock" >/dev/null 2>&1 || :
        done
    done
    are_owned "$turn, at its end"
    [ ! -s there ] || fail "$turn: left: $(cat there)"
done
# Removed while there is no server, it counts no more; while the pool is not open nobody knows.
expect 0 "$vine" vm create offline -s "$scratch/alice.sock" >/dev/null
log=state/logs/$("$vine" vm ls --json -s "$scratch/alice.sock" | jq -r '.. | .uid? // empty').log
touch "$log" "$log.1"
end_server
serve
[ -e "$log" ] || fail 'what a VM has said is gone before the VM is'
end_server
expect 0 "$vine" pool rm farm alice.offline
serve
are_owned 'removed while there is no server'
[ ! -e "$log" ] && [ ! -e "$log.1" ] || fail 'what a VM has said outlives it'
end_server
uid=0123456789abcdef0123456789abcdef
jq ".clients[0] |= (.vms = [\"$uid\"] | .pools = {\"$uid\": \"farm\"})" state/clients.json >changed
mv changed state/clients.json
# shellcheck disable=SC2086
begin_server $server_options
expect 0 "$vine" client ls -s run/control.sock --json >shown
jq -e ".clients[0].vms == [\"$uid\"]" shown >/dev/null || fail "not open: $(cat shown)"
expect 0 "$vine" up ./farm -s run/control.sock >/dev/null
expect 0 "$vine" client ls -s run/control.sock --json >shown
jq -e '.clients[0].vms == []' shown >/dev/null || fail "open: $(cat shown)"
are_owned 'the pool is opened later'
end_server
# What the server may not have is told as that.
mkdir -m 555 closed
as_nobody=
[ "$(id -u)" != 0 ] || as_nobody='chroot --userspec=65534:65534 /'
mkdir -p "$HOME"
chmod 755 "$scratch" "$HOME"
# Where nobody can run the command that is not looked at.
# shellcheck disable=SC2086
if $as_nobody "$vine" server --help >/dev/null 2>&1; then
    expect 77 $as_nobody "$vine" server --state "$scratch/closed/state" --runtime "$scratch/closed/run"
    said 'closed/state: '
fi
