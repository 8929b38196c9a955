# SPDX-License-Identifier: Apache-2.0
# test: timeout=400
#
# A guest is built twice with the same bytes, boots, runs what it is told, and ends with clean disks
# when its power button is pressed.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
needs_guests mke2fs e2fsck debugfs

# What cannot work is said before anything is made.
expect 1 "$vine" guest build -o refused --add /nowhere/at/all
said 'cannot read /nowhere/at/all'
expect 1 "$vine" guest build -o refused --add "$scratch"
said 'Is a directory'
expect 1 env PATH=/nowhere "$vine" guest build -o refused
said 'apt-cache is not here'
expect 2 "$vine" guest
said 'guest build'
expect 2 "$vine" guest frob
expect 2 "$vine" guest build --frob
[ -z "$(ls refused)" ] || fail "something was made of what was refused"

cat >init.conf <<'CONF'
# Lines that are wrong are told, and the others done.
hostname "a guest"
frobnicate
run "bad name" /usr/bin/vine
env GREETING="hello \"you\""
run missing /usr/bin/nothing
run version /usr/bin/vine version
run doctor /usr/bin/vine doctor
mount /dev/nothing /nothing ext4
poweroff
run never /usr/bin/vine version
CONF
build_guest one --add init.conf:/etc/vine/init.conf --json
jq -e '.kernel.format == "elf" and .kernel.bytes > 1000000' built >/dev/null || fail "$(cat built)"
sum=$(jq -r .initrd.sha256 built)
[ "$sum  one/initrd.img" = "$(sha256sum one/initrd.img)" ] || fail "the sum is of something else"
build_guest two --add init.conf:/etc/vine/init.conf
cmp one/vmlinux two/vmlinux || fail "another kernel the second time"
cmp one/initrd.img two/initrd.img || fail "another initrd the second time"
[ "$(ls -A one)" = "initrd.img
vmlinux" ] || fail "more than two files: $(ls -A one)"

boot one
has_ended
for line in 'vine-init: the kernel was up after [0-9.]* s' \
    'init.conf:3: there is no such keyword' \
    "init.conf:4: a program's name" \
    'vine-init: missing: cannot run /usr/bin/nothing: No such file or directory' \
    'vine-init: missing ended with 127' \
    "$("$vine" version)" 'vine-init: version ended with 0' \
    'memfd seals' 'vine-init: doctor ended with 0' \
    'init.conf:9: mount /dev/nothing: No such file or directory' \
    'vine-init: powering off'; do
    grep -q -e "$line" one/console || { cat "$scratch/console"; fail "the console lacks '$line'"; }
done
if grep -q never one/console; then fail "poweroff is not the end"; fi

# A disk that is written to, and the power button. The second archive's file replaces the first's.
mke2fs -q -t ext4 disk.img 64M
cat >init.conf <<'CONF'
mount /dev/vda /mnt/disk ext4 noatime
run copy /usr/bin/vine run copy /usr/bin/vine -o /mnt/disk/out
keep again /usr/bin/vine version
start appliance /usr/bin/vine appliance --listen /run/appliance
CONF
build_guest two --add init.conf:/etc/vine/init.conf
boot two -drive file=disk.img,format=raw,if=virtio
on_console 'ready'
on_console 'vine-init: again ended with 0'
press_power_button
has_ended
grep -q 'vine-init: copy ended with 0' two/console || { cat "$scratch/console"; fail "no copy"; }
grep -q 'vine-init: appliance ended with 0' two/console ||
    { cat "$scratch/console"; fail "the appliance was not asked to end"; }
if grep -qE 'did not end|cannot unmount' two/console; then
    cat "$scratch/console"
    fail "an end by force"
fi
e2fsck -fn disk.img >fsck 2>&1 || fail "the disk is not clean: $(cat fsck)"
if grep -q journal fsck; then fail "the disk was not unmounted: $(cat fsck)"; fi
debugfs -R 'dump /out/vine copied' disk.img 2>/dev/null
cmp copied "$vine" || fail "what the guest wrote is not what it should be"
