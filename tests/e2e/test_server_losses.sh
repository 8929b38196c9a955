# SPDX-License-Identifier: Apache-2.0
# test: timeout=600 long=1200
#
# An appliance VM that is restarted under load, by `vine vm restart` and by kill -9 of its QEMU: of
# applications in other VMs, whose tasks nobody issues anew, each task and stream that was lost is
# told there as lost, all others have their result, none is wrong, and they go on with what comes.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
needs_guests zstd jq
command -v mkfs.ext4 >/dev/null || PATH=$PATH:/usr/sbin:/sbin
[ -x "$VINE_BUILD_DIR/vine-appliance" ] || skip "libvine-runtime was not built"
chmod 711 "$scratch"
undo() { kill_machines; }
turns=1
[ -z "${VINE_TEST_LONG:-}" ] || turns=4

vm() {
    verb=$1
    shift
    "$vine" vm "$verb" --socket run/control.sock "$@"
}
# lines VM PATTERN: how many its console has of these.
lines() {
    vm log "$1" --bytes 64K >"$1.log" || fail "no log of $1"
    tr -d '\r' <"$1.log" | grep -ac "^$2" || :
}
# comes VM PATTERN COUNT
comes() {
    for _ in $(seq 3000); do
        [ "$(lines "$1" "$2")" -lt "$3" ] || return 0
        command sleep 0.1
    done
    fail "$1 does not say '$2' for the ${3}th time: $(tail -n 40 "$1.log")"
}

# What they run comes with the guest: the appliance on reactors, which has streams, a library with a
# procedure that ends by a cancel alone, and the applications.
head -c 30000 /dev/urandom >file
zstd -q file -o frame
build_guest guest --quiet --add "$VINE_BUILD_DIR/vine-appliance" \
    --add "$VINE_BUILD_DIR/tests/plugins/endless.so:/procs/endless.so" \
    --add "$VINE_BUILD_DIR/tests/vm_losses_guest:/usr/bin/losses" \
    --add file:/file --add frame:/frame
echo '{"links": [{"appliance": "zip", "size": "4M"}]}' >linked.json
# has VM LINE...: a machine of the pool that boots the guest.
has() {
    name=$1 init=$2
    shift 2
    "$vine" pool add farm "$name" --guest guest --memory 192M --kernel-option quiet \
        --init "$init" "$@" >/dev/null || fail "no machine $name"
}
"$vine" pool create farm --size 400M
has zip 'keep zip /usr/bin/vine appliance --listen pci:auto --workers 2 --procs /procs'
has app "run losses /usr/bin/losses tasks pci:auto $((2 * turns))" --init poweroff --configuration linked.json
has cut 'keep cut /usr/bin/losses stream pci:auto /frame /file' --configuration linked.json

# shellcheck disable=SC2086
begin_server --pool ./farm $server_options
vm start zip app cut >/dev/null || fail "not started"
times=0
for _ in $(seq $turns); do
    for way in restart kill; do
        times=$((times + 1))
        # What is in the appliance's hands, for certain.
        comes app 'held: ' $times
        comes cut 'open' $times
        if [ $way = restart ]; then
            vm restart zip >/dev/null || fail "not started anew"
        else
            uid=$(vm show zip --json | jq -r .uid)
            kill -KILL "$(jq --arg uid "$uid" '.vms[] | select(.uid == $uid).identity.pid' run/machines.json)"
            vm wait zip off >/dev/null || fail "zip runs on"
            vm start zip >/dev/null || fail "not started"
        fi
        comes cut 'ended: 75, 0 bytes more: vine run: the stream was lost with the appliance' $times
    done
done

# Nothing hangs, and what was issued is what was right and what was told as lost.
vm wait app off --timeout 300s >/dev/null || fail "app does not end: $(lines app .; cat app.log)"
[ "$(lines app 'vine-init: losses ended with 0')" = 1 ] || fail "app: $(cat app.log)"
tr -d '\r' <app.log | sed -n 's/^issued \([0-9]*\) right \([0-9]*\) wrong \([0-9]*\) lost \([0-9]*\)$/\1 \2 \3 \4/p' >counts
read -r issued right wrong lost <counts || fail "app: $(cat app.log)"
[ "$wrong" = 0 ] && [ "$issued" = $((right + lost)) ] || fail "app: $(cat app.log)"
[ "$(lines app 'lost: task [0-9]*, [a-z]*: VINE_EPEERLOST: ')" = "$lost" ] || fail "not each was told: $(cat app.log)"
[ "$(lines app 'lost: task [0-9]*, endless: ')" = $times ] || fail "endless ones: $(cat app.log)"
[ "$right" -gt 64 ] || fail "of $issued were right: $right"
# The stream that was cut has a next one. Who is told of a loss does not die of it.
comes cut 'open' $((times + 1))
for name in app cut; do
    ! grep -a 'WRONG\|FAILED\|has died' $name.log || fail "$name is wrong"
done
vm stop cut zip >/dev/null || fail "not stopped"
end_server
