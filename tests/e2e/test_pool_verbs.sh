# SPDX-License-Identifier: Apache-2.0
#
# What the verbs on a machine in a pool change, and what takes it out of one; a pool that the system
# mounts; two at once.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
command -v mkfs.ext4 >/dev/null && command -v e2fsck >/dev/null || skip "no e2fsprogs"

clean() {
    e2fsck -fn farm.img >fsck 2>&1 || fail "e2fsck: $(cat fsck)"
    [ ! -e farm.img.journal ] || fail "a journal is left"
    "$vine" pool check farm >/dev/null || fail "not well"
}
# is FILTER: so `vine pool show` says of zip.
is() {
    "$vine" pool show farm zip --json >shown
    jq -e "$1" shown >/dev/null || fail "not so: $1: $(cat shown)"
}
head -c 300000 /dev/urandom >kernel
head -c 300000 /dev/urandom >other
truncate -s 3M root && echo data | dd of=root bs=1k seek=2000 conv=notrunc 2>/dev/null
expect 0 "$vine" pool create farm --size 32M
expect 0 "$vine" pool add farm zip --kernel kernel
"$vine" pool show farm | grep -q ' 1 processor, ' || fail "$("$vine" pool show farm)"

expect 69 "$vine" vm kernel zip other
said 'no VM server'
expect 2 "$vine" vm kernel --pool farm --socket here zip other
said 'say either --pool'
expect 0 "$vine" vm kernel --pool farm zip other
clean
expect 0 "$vine" vm initrd --pool farm zip kernel
clean
is '.initrd.size == 300000'
expect 0 "$vine" vm disk --pool farm zip root root
clean
expect 0 "$vine" vm disk --pool farm zip data kernel --read-only
clean
is '.configuration.disks == [{"name": "root", "read_only": false}, {"name": "data", "read_only": true}]'
expect 0 "$vine" vm limits --pool farm zip --memory 512M --processors 2 --cpu-percent 150
clean
is '.configuration.memory == 536870912 and .configuration.limits.cpu_percent == 150'
expect 0 "$vine" vm limits --pool farm zip --cpu-percent 0 --total-memory 1G
is '.configuration.limits == {"memory": 1073741824}'
expect 1 "$vine" vm limits --pool farm zip --total-memory 256M
said 'limits.memory: leaves QEMU nothing'
clean
expect 1 "$vine" vm kernel --pool farm nobody other
said 'no usable machine "nobody"'

# Out of it, and into another one.
expect 0 "$vine" pool export farm zip -o out
cmp other out/vmLinuz && cmp kernel out/initrd.img && cmp root out/root.disk && cmp kernel out/data.disk ||
    fail "another one was exported"
expect 0 "$vine" pool create second --size 32M
expect 0 "$vine" pool add second zip --configuration out/configuration.json --kernel out/vmLinuz \
    --disk root=out/root.disk --disk data=out/data.disk
"$vine" pool show second zip --json | jq -e '.configuration.disks[1].read_only' >/dev/null || fail "second"
# What is said with it is so, whatever the configuration says of that disk.
expect 0 "$vine" pool add second other --configuration out/configuration.json --kernel out/vmLinuz \
    --read-only-disk root=out/root.disk --disk data=out/data.disk
"$vine" pool show second other --json | jq -e '[.configuration.disks[].read_only] == [true, true]' \
    >/dev/null || fail "a disk that is read-only, and the guest may write it"

expect 0 "$vine" vm disk --pool farm zip data --none
clean
is '.configuration.disks == [{"name": "root", "read_only": false}] and (.disks | length) == 1'
expect 0 "$vine" vm initrd --pool farm zip --none
clean
is '.initrd == null'
expect 1 "$vine" vm initrd --pool farm zip --none
said 'the machine "zip" has no initrd'
expect 1 "$vine" vm disk --pool farm zip nosuch --none
said 'the machine "zip" has no disk "nosuch"'
expect 2 "$vine" vm limits --pool farm zip
said 'say which limit changes'
expect 0 "$vine" vm limits --pool farm zip --processors 2 --json >told
jq -e '.name == "zip" and (.uid | length) == 32' told >/dev/null || fail "limits: $(cat told)"
expect 2 "$vine" vm initrd --pool farm zip
expect 0 "$vine" vm rm --pool farm zip --json >told
jq -e 'length == 1 and .[0].name == "zip" and (.[0].uid | length) == 32' told >/dev/null ||
    fail "rm: $(cat told)"
clean
"$vine" pool show farm --json | jq -e '.machines == []' >/dev/null || fail "is still there"

# Two that change it at once: one does, and the other one is told. Who reads goes on.
mkfifo slow
"$vine" pool add farm slow --kernel slow &
adding=$!
exec 4>slow
head -c 100000 kernel >&4
writing() { expect 75 "$vine" pool add farm zip; }
until_true sh -c "! '$vine' pool rm farm nobody 2>/dev/null && '$vine' pool rm farm nobody 2>&1 | grep -q 'somebody else is changing it'"
writing
said 'farm.img: somebody else is changing it'
"$vine" pool show farm --json | jq -e '.machines == []' >/dev/null || fail "what is not there is shown"
exec 4>&-
wait "$adding" || fail "the first one failed"
clean
"$vine" pool show farm --json | jq -e '.machines[0].kernel.size == 100000' >/dev/null || fail "cut"

# What boots comes from a guest's folder, and lines for its init lie behind its first file system.
mkdir guest
head -c 5001 /dev/urandom >guest/vmlinux
head -c 3001 /dev/urandom >guest/initrd.img
expect 2 "$vine" pool add second app --init poweroff
said 'neither --guest nor --initrd says to which'
expect 0 "$vine" pool add second app --guest guest --init 'mount /dev/vda /tree ext4 ro' --init poweroff
expect 0 "$vine" pool add second plain --guest guest --kernel kernel
expect 0 "$vine" pool export second app -o app
expect 0 "$vine" pool export second plain -o plain
cmp guest/vmlinux app/vmLinuz && cmp kernel plain/vmLinuz && cmp guest/initrd.img plain/initrd.img ||
    fail "what a guest's folder has was not added"
cmp -n 3001 guest/initrd.img app/initrd.img || fail "the first file system does not begin the initrd"
tail -c +3005 app/initrd.img | tr -d '\000' |
    grep -a -A 1 '^.*etc/vine/init.confmount /dev/vda /tree ext4 ro$' | grep -aq '^poweroff' ||
    fail "the initrd does not end with the lines"

# The system's mount, where there are loop devices.
if [ "$(id -u)" != 0 ]; then
    echo "note: no root, no mount"
    exit 0
fi
mkdir point
if mount -o loop,ro farm.img point 2>/dev/null; then
    umount point
    expect 0 "$vine" pool show farm --mount "$scratch/point" --json >mounted
    jq -e '.machines[0].usable' mounted >/dev/null || fail "mounted: $(cat mounted)"
    ! mountpoint -q point || fail "is still mounted"
    clean
    expect 1 "$vine" pool show farm --mount "$scratch/nowhere"
    said 'mount'
    # A file system that mounts, and is bad inside, is unmounted too.
    debugfs -w -R 'rm vms.json' farm.img >/dev/null 2>&1
    expect 1 "$vine" pool show farm --mount "$scratch/point"
    said 'vms.json: No such file'
    ! mountpoint -q point || fail "is still mounted after a failure"
fi
