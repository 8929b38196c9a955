# SPDX-License-Identifier: Apache-2.0
# test: timeout=1500
#
# kill -9 of a QEMU in the middle of each verb that writes: what its guest has written by then is in
# the pool, the pool is well, nothing is left beside it, and the VM starts again.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
PATH=$PATH:/usr/sbin:/sbin
needs_guests mkfs.ext4 e2fsck jq pgrep
chmod 711 "$scratch"
socket=$scratch/run/control.sock
seed=${VINE_TEST_SEED:-$$}
echo "VINE_TEST_SEED=$seed"
vm() {
    verb=$1
    shift
    "$vine" vm "$verb" -s "$socket" "$@"
}
# The QEMU that there is, or none.
machine() {
    pgrep -f -- "qemu-system-x86_64 -name $uid" || :
}
kill_machine() {
    for process in $(machine); do
        kill -9 "$process" 2>/dev/null || :
    done
}
undo() {
    kill_machine
}
# pause: up to a tenth of a second.
pause() {
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    command sleep "0.0$(printf '%03d' $((seed / 65536 % 1000)))"
}
# The disk is the guest's, which writes nothing: a number is written in its place.
write_number() {
    printf '%06d' "$number" | dd of="state/machines/$uid/disk-root" bs=4k seek=100 conv=notrunc 2>/dev/null
}
is_whole() {
    [ -z "$(ls state/machines)" ] || fail "$*: left: $(ls state/machines/*)"
    rm -rf out
    "$vine" pool export farm runs -o out >/dev/null || fail "$*: cannot be exported"
    found=$(dd if=out/root.disk bs=4k skip=100 count=1 2>/dev/null | head -c 6)
    [ "$found" = "$(printf '%06d' "$number")" ] || fail "$*: $found instead of $number"
    [ "$("$vine" pool check farm 2>&1)" = 'farm: well' ] || fail "$*: $("$vine" pool check farm 2>&1)"
    e2fsck -fn farm.img >fsck 2>&1 || fail "$*: unclean: $(cat fsck)"
}
# It is off, and all that this brings is done, whatever the verb has made of it.
be_off() {
    "$vine" vm kill runs -s "$socket" >/dev/null 2>&1 || :
    expect 0 "$vine" vm wait runs off -s "$socket" --timeout 200s >/dev/null
    [ -z "$(machine)" ] || fail "$*: off, and a QEMU is there"
}
# during COMMAND...: with a VM that runs, and whose QEMU dies meanwhile.
during() {
    expect 0 vm start runs --timeout 300s
    number=$((number + 1))
    write_number
    "$@" -s "$socket" >/dev/null 2>&1 &
    running=$!
    pause
    kill_machine
    wait "$running" || :
    be_off "$@"
    is_whole "$@"
}

build_guest guest --quiet
head -c 2000000 /dev/urandom >initrd
truncate -s 8M root.img
printf 000000 | dd of=root.img bs=4k seek=100 conv=notrunc 2>/dev/null
"$vine" pool create farm --size 200M
"$vine" pool add farm runs --guest guest --memory 128M --disk root=root.img --kernel-option panic=0 \
    --kernel-option rdinit=/nothing >/dev/null
uid=$("$vine" pool show farm runs --json | jq -r .uid)
"$vine" pool show farm runs --json | jq .configuration >configuration
number=0
# shellcheck disable=SC2086
begin_server --pool ./farm $server_options
for turn in 1 2; do
    # One that starts: it dies as soon as it is there, or a moment later.
    "$vine" vm start runs -s "$socket" >/dev/null 2>&1 &
    running=$!
    until [ -n "$(machine)" ]; do
        kill -0 "$running" 2>/dev/null || fail "$turn: it has not started: $(cat serving)"
    done
    [ "$turn" = 1 ] || pause
    kill_machine
    wait "$running" || :
    be_off start
    is_whole start

    during "$vine" vm stop runs --timeout 1s
    during "$vine" vm kill runs
    during "$vine" vm restart runs --timeout 1s
    during "$vine" vm limits runs --memory "$((128 + turn))M"
    during "$vine" vm initrd runs initrd
    during "$vine" vm kernel runs guest/vmlinux
    during "$vine" vm disk runs data initrd
    during "$vine" vm configure runs configuration
    during "$vine" down farm --timeout 1s
done
# One that is removed may be gone then, with its disk; or it was refused, and is whole.
expect 0 vm start runs --timeout 300s
number=$((number + 1))
write_number
"$vine" vm rm runs -s "$socket" >/dev/null 2>&1 &
running=$!
kill_machine
if wait "$running"; then
    "$vine" pool check farm >checked 2>&1 || fail "rm: $(cat checked)"
else
    be_off rm
    is_whole rm
fi
end_server
[ -z "$(ls state/machines)" ] || fail "left: $(ls state/machines)"
