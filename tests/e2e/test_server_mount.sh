# SPDX-License-Identifier: Apache-2.0
#
# `vine server --mount`: the system has pools mounted while they are open, and after no failure, end
# or death of a server longer than until the next one begins.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
PATH=$PATH:/usr/sbin:/sbin
for program in jq mkfs.ext4 e2fsck mountpoint; do
    command -v "$program" >/dev/null || skip "no $program"
done
server=
undo() {
    umount "$scratch/point" 2>/dev/null || :
}
serve() {
    echo '{"version": 1, "accelerator": "tcg", "console_links": "runtime"}' >server.conf
    begin_server --mount --config server.conf --pool ./farm "$@"
}
is_mounted() { [ "$(grep -c " $scratch/point " /proc/self/mountinfo)" = 1 ] || fail "not mounted once: $(cat serving)"; }
is_unmounted() { ! grep " $scratch/point " /proc/self/mountinfo || fail "$1: is mounted"; }

mkdir point
head -c 300000 /dev/urandom >kernel
head -c 200000 /dev/urandom >other
echo "{\"version\": 1, \"mount\": \"$scratch/point\"}" >settings.json
expect 0 "$vine" pool create farm --size 32M --settings settings.json
expect 0 "$vine" pool add farm zip --kernel kernel
expect 0 "$vine" pool create plain --size 32M
if [ "$(id -u)" != 0 ]; then
    expect 77 "$vine" server --mount --pool ./farm --state state --runtime run
    said 'has to be root'
    skip "not root"
fi
mount -o loop,ro farm.img point 2>/dev/null || skip "nothing can be mounted here"
umount point

# What is in it is seen there, and what a verb changes too; a pool that says no place is told of.
serve --pool ./plain
grep -q 'plain.json: mount: says no mount point' serving || fail "not told: $(cat serving)"
is_mounted
cmp kernel point/kernels/*.vmLinuz || fail "another kernel"
! touch point/file 2>/dev/null || fail "it can be written"
# Who comes besides the server is told where it is.
expect 75 "$vine" pool add farm more --kernel kernel
said "it is mounted at $scratch/point"
expect 0 "$vine" vm kernel zip other -s run/control.sock
is_mounted
cmp other point/kernels/*.vmLinuz || fail "the former kernel"

# Somebody who is in it keeps nobody from anything.
exec 5<point/vms.json
expect 0 "$vine" vm kernel zip kernel -s run/control.sock
is_mounted
expect 0 "$vine" down farm --close -s run/control.sock
is_unmounted "closed"
exec 5<&-
expect 1 "$vine" up "$scratch/farm" -s run/control.sock
said 'zip'
is_mounted
end_server
is_unmounted "ended"
e2fsck -fn farm.img >fsck 2>&1 || fail "unclean: $(cat fsck)"

# One that is killed leaves it, and the next one has it mounted once.
serve
end_server KILL
is_mounted
serve
is_mounted
cmp kernel point/kernels/*.vmLinuz || fail "another kernel"
end_server INT
is_unmounted "ended after one that was killed"

# Who does not mount it changes nothing that is mounted, but says where that is; reading harms nothing.
serve
end_server KILL
begin_server --pool ./farm
grep -q "farm.img: it is mounted at $scratch/point, .*: .umount $scratch/point" serving || fail "not told: $(cat serving)"
end_server
expect 75 "$vine" pool add farm more --kernel kernel
said "mounted at $scratch/point"
expect 0 "$vine" pool show farm >shown
umount point
expect 0 "$vine" pool add farm more --kernel kernel
expect 0 "$vine" pool rm farm more

# One into which the system writes is nobody's, whoever mounts it.
mount -o loop farm.img point
for options in "--mount" ""; do
    # shellcheck disable=SC2086
    begin_server $options --pool ./farm
    grep -q "farm.img: it is mounted at $scratch/point" serving || fail "not told: $(cat serving)"
    end_server
    is_mounted
done
umount point
e2fsck -fn farm.img >fsck 2>&1 || fail "unclean: $(cat fsck)"

# Its configuration says so, too.
sed 's/}/, "mount_pools": true}/' server.conf >mounting.conf
begin_server --config mounting.conf --pool ./farm
is_mounted
end_server
is_unmounted "ended"

# Who may put another image there, or have its place lead elsewhere, does not choose what root mounts.
for change in 'chmod 777 .' 'chown nobody .' 'chown nobody ..' 'chmod 777 ..'; do
    mkdir -p way/in
    cp farm.img way/in/there.img
    echo "{\"version\": 1, \"mount\": \"$scratch/other_point\"}" >way/in/there.json
    mkdir -p other_point
    (cd way/in && $change)
    serve --pool ./way/in/there
    grep -q 'way.*: is not mounted: others than root' serving || fail "$change: $(cat serving)"
    ! grep " $scratch/other_point " /proc/self/mountinfo || fail "$change: is mounted"
    end_server
    rm -r way
    mkdir -p way/in
    (cd way/in && $change)
    echo "{\"version\": 1, \"mount\": \"$scratch/way/in/point\"}" >farm.json
    mkdir way/in/point
    serve
    grep -q 'way.*: is not mounted: others than root' serving || fail "$change: $(cat serving)"
    end_server
    rm -r way
done
ln -s "$scratch/point" leads
echo "{\"version\": 1, \"mount\": \"$scratch/leads\"}" >farm.json
serve
grep -q 'leads: is not mounted' serving || fail "a link: $(cat serving)"
end_server
cp settings.json farm.json

# One that does not mount; a pool that mounts, and is bad inside.
rmdir point
serve
grep -q 'mount: .*point' serving || fail "not told: $(cat serving)"
end_server
mkdir point
debugfs -w -R 'rm vms.json' farm.img >/dev/null 2>&1
serve
is_unmounted "bad inside"
grep -q 'vms.json: No such file' serving || fail "not told: $(cat serving)"
end_server
