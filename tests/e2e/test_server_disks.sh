# SPDX-License-Identifier: Apache-2.0
# test: timeout=400
#
# What guests have written to their disks is back in the pool: after a guest has powered off, and
# after kill -9 of the server and of a QEMU.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
PATH=$PATH:/usr/sbin:/sbin

needs_guests mkfs.ext4 e2fsck debugfs jq pgrep
chmod 711 "$scratch"
build_guest guest --quiet
truncate -s 64M root.img
mkfs.ext4 -q root.img
"$vine" pool create farm --size 256M
writes="run write /usr/bin/vine run --in-process zstd /etc/vine/init.conf -o /tree/out"
"$vine" pool add farm stops --guest guest --init 'mount /dev/vda /tree ext4' --init "$writes" \
    --init poweroff --disk root=root.img --autostart always
for name in stays dies; do
    "$vine" pool add farm $name --guest guest --init 'mount /dev/vda /tree ext4 sync' \
        --init "$writes" --disk root=root.img --autostart always
done

start_server() {
    : >events
    "$vine" server --pool "$scratch/farm" --state "$scratch/state" --runtime "$scratch/run" \
        --console-links runtime --accelerator tcg --json >events 2>server_said &
    server=$!
}
# told VM STATE: wait for that event, as long as there is a server.
told() {
    until grep -q "\"event\":\"vm\".*\"name\":\"$1\",\"state\":\"$2\"" events; do
        kill -0 "$server" 2>/dev/null || fail "the server is gone: $(cat server_said events)"
        command sleep 0.1
    done
}
# is_written VM: the pool has what the guest has written, and is clean.
is_written() {
    rm -rf out
    "$vine" pool export farm "$1" -o out >/dev/null || fail "cannot be exported"
    debugfs -R 'ls /out' out/root.disk 2>/dev/null | grep -q init.conf.zst
}
clean() {
    e2fsck -fn farm.img >fsck 2>&1 || fail "unclean: $(cat fsck)"
    "$vine" pool check farm >checked 2>&1 || fail "not well: $(cat checked)"
}

uid_of() {
    "$vine" pool show farm "$1" --json | jq -r .uid
}
# has_written VM: wait until it has, and runs on.
has_written() {
    until_true grep -q 'write ended with 0' "state/logs/$(uid_of "$1").log"
    [ -e "state/machines/$(uid_of "$1")/taken.json" ] || fail "it runs from nowhere"
}
# kill_machine VM: its QEMU, if there is one.
kill_machine() {
    machine=$(uid_of "$1")
    machine=$(pgrep -f -- "qemu-system-x86_64 -name $machine") || return 0
    kill -9 "$machine" 2>/dev/null || :
    until_true sh -c "! kill -0 $machine"
}

# Machines outlive their server.
undo() {
    [ -z "${server:-}" ] || kill -9 "$server" 2>/dev/null || :
    for name in stops dies stays; do
        kill_machine $name || :
    done
}

start_server
told stops off
is_written stops || fail "what was written is not in the pool: $(cat events)"

# QEMU is killed.
has_written dies
kill_machine dies
told dies off
[ ! -e "state/machines/$(uid_of dies)" ] || fail "still taken out: $(cat events)"
is_written dies || fail "not put back: $(cat events)"

# The server too. What was taken out is there, the pool does not know of it yet; the next one does.
has_written stays
kill -9 "$server"
wait "$server" || :
# One that knows nothing of a QEMU that is still there keeps away from its disk.
rm run/machines.json
start_server
told stays off
grep -q '"name":"stays".*unstarted' events || fail "two of one: $(cat events)"
[ -e "state/machines/$(uid_of stays)/taken.json" ] || fail "taken away: $(cat events)"
kill -9 "$server"
wait "$server" || :
kill_machine stays
clean
! is_written stays || fail "who has put it back?"
[ -e "state/machines/$(uid_of stays)/disk-root" ] || fail "what the guest has written is lost"
start_server
told stays running
is_written stays || fail "not put back before it was started again: $(cat events)"

# One may have powered off while there was no server.
told stops '\(running\|stopping\)'
told dies running
for name in stops dies stays; do
    kill_machine $name
done
kill "$server"
wait "$server" || :
clean
