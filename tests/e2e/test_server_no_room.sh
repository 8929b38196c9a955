# SPDX-License-Identifier: Apache-2.0
# test: timeout=1500
#
# The disk of the host is full under a server that runs: where its state is, where its pool is, where
# its sockets are. Each verb that has to write there says so, nothing that was there is lost, and all
# goes on as soon as there is room again.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
PATH=$PATH:/usr/sbin:/sbin
if [ -z "${VINE_TEST_MOUNTS:-}" ]; then
    needs_guests mkfs.ext4 e2fsck jq debugfs
    [ "$(id -u)" = 0 ] || skip "who mounts a disk that is small has to be root"
    unshare -m true 2>/dev/null || skip "no mounts of our own can be had here"
    VINE_TEST_MOUNTS=ours unshare -m sh "$VINE_SOURCE_DIR/tests/e2e/test_server_no_room.sh"
    exit
fi
chmod 711 "$scratch"
socket=$scratch/run/control.sock
undo() {
    kill_machines
    umount -l "$scratch/state" "$scratch/run" "$scratch/pool" 2>/dev/null || :
}
serve() {
    # shellcheck disable=SC2086
    begin_server --pool ./pool/farm $server_options
    grep -q ': ready: 1 of 1 pool' serving || fail "no pool: $(cat serving)"
}
# vm VERB WORD...; client VERB WORD...
vm() {
    verb=$1
    shift
    "$vine" vm "$verb" -s "$socket" "$@"
}
client() {
    verb=$1
    shift
    "$vine" client "$verb" -s "$socket" "$@"
}
# full COMMAND...: it ends with 1 and says that there is no room.
full() {
    expect 1 "$@"
    said 'No space left\|no room\|the pool is full'
}
# fill FOLDER: its disk has no room for another byte.
fill() {
    dd if=/dev/zero of="$1/filling" bs=64k 2>/dev/null || :
    dd if=/dev/zero of="$1/filled" bs=1k 2>/dev/null || :
    ! { echo x >"$1/more" && [ -s "$1/more" ]; } 2>/dev/null || fail "$1 has room"
    rm -f "$1/more"
}
make_room() {
    rm -f "$1/filling" "$1/filled"
}
uid_of() {
    "$vine" pool show ./pool/farm "$1" --json | jq -r .uid
}
# write_disk TEXT: as the guest of `runs` does. is_back TEXT: it is in the pool.
write_disk() {
    printf '%s' "$1" | dd of="state/machines/$uid/disk-root" bs=4k seek=100 conv=notrunc 2>/dev/null
}
is_back() {
    rm -rf out
    "$vine" pool export ./pool/farm runs -o out >/dev/null || fail "cannot be exported"
    dd if=out/root.disk bs=4k skip=100 count=1 2>/dev/null | head -c ${#1} | grep -q "^$1\$"
}
is_well() {
    [ "$("$vine" pool check ./pool/farm 2>&1)" = './pool/farm: well' ] || fail "not well: $("$vine" pool check ./pool/farm 2>&1)"
}
is_state() {
    [ "$(vm ls --json | jq -r ".[] | select(.name == \"$1\").state")" = "$2" ] || fail "$1 is not $2: $(vm ls)"
}
# names_are NAME...: these VMs there are.
names_are() {
    [ "$(vm ls --json | jq -r '.[].name' | sort | tr '\n' ' ')" = "$* " ] || fail "$*: $(vm ls)"
}

build_guest guest --quiet
mkdir -m 711 state run pool
head -c 2000000 /dev/urandom >one
head -c 1500000 /dev/urandom >two
truncate -s 8M root.img
mount -t tmpfs -o size=200m,mode=711 none state || fail "cannot mount"
mount -t tmpfs -o size=4m,mode=711 none run
mount -t tmpfs -o size=200m,mode=711 none pool
"$vine" pool create ./pool/farm --size 160M
"$vine" pool add ./pool/farm runs --guest guest --memory 128M --disk root=root.img --kernel-option panic=0 \
    --kernel-option rdinit=/nothing >/dev/null
"$vine" pool add ./pool/farm base --kernel one
uid=$(uid_of runs)
serve
client add bob --pool farm >/dev/null
vm start runs --timeout 300s >/dev/null

# ---- the state's disk
write_disk first
fill state
full client add alice --pool farm
client ls --json | jq -e '[.clients[].name] == ["bob"]' >/dev/null || fail "clients: $(client ls)"
full client rm bob
full vm create web --owner bob
names_are base runs
full vm kernel base two
full vm initrd base two
full vm disk base root two
full vm start base
is_state base off
# What needs nothing of it is done.
expect 0 vm limits base --memory 256M
expect 0 vm stop runs --timeout 100ms
is_state runs off
is_back first || fail "what was written is not in the pool"
is_well
# And whoever dies has lost nothing.
end_server KILL
make_room state
serve
client ls --json | jq -e '[.clients[].name] == ["bob"]' >/dev/null || fail "clients: $(client ls)"
names_are base runs
expect 0 client add alice --pool farm
expect 0 vm create web --owner bob --kernel one
expect 0 vm kernel base two
expect 0 client rm alice

# ---- the pool's disk: the image has holes, for which there is no room any more.
vm start runs --timeout 300s >/dev/null
write_disk secnd
head -c 4000000 /dev/urandom | dd of="state/machines/$uid/disk-root" bs=4k seek=200 conv=notrunc 2>/dev/null
fill pool
full vm disk base root one
expect 1 vm stop runs --timeout 100ms
said 'runs: off: unsaved, .*its disks are not back in the pool: .*No space left'
is_state runs off
vm show runs | grep -q 'its disks are not back in the pool' || fail "not told: $(vm show runs)"
vm ls | grep -q '^runs .* unsaved, .*its disks are not back in the pool' || fail "not told: $(vm ls)"
[ -e "state/machines/$uid/taken.json" ] || fail "it is lost"
is_well
end_server
serve
is_well
make_room pool
expect 0 vm start runs --timeout 300s
expect 0 vm stop runs --timeout 100ms
is_back secnd || fail "what was written is lost"
[ ! -e "state/machines/$uid" ] || fail "it is left"
expect 0 vm disk base root one
names_are base bob.web runs
is_well

# ---- the disk of its sockets
fill run
vm start runs >/dev/null 2>said || grep -q 'No space left\|no room' said || fail "what is it? $(cat said)"
expect 0 vm limits base --memory 512M
expect 0 vm kernel base one
make_room run
vm start runs >/dev/null 2>&1 || :
write_disk third
expect 0 vm stop runs --timeout 100ms
is_back third || fail "what was written is not in the pool"
end_server
is_well
e2fsck -fn pool/farm.img >fsck 2>&1 || fail "unclean: $(cat fsck)"
