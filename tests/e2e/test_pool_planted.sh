# SPDX-License-Identifier: Apache-2.0
#
# What whoever makes an image may put into it in the place of a file: links, devices, pipes, folders and
# parts of the file system itself. What lies there is told by its name, other machines stay usable, and
# the machine can be removed, or the file put there anew.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
for program in mkfs.ext4 e2fsck debugfs jq; do
    command -v $program >/dev/null || skip "no $program"
done

# clean: e2fsck finds nothing.
clean() { e2fsck -fn farm.img >fsck 2>&1 || fail "$1: e2fsck: $(cat fsck)"; }
# edit REQUEST...: of debugfs.
edit() {
    for request in "$@"; do
        debugfs -w -R "$request" farm.img >debugfs 2>&1
    done
}
# plant KIND PATH: such a thing in the place of what is there, and `what`, how it is told.
plant() {
    case $1 in
    link) edit "rm $2" "symlink $2 /etc/passwd" && what='a symbolic link' ;;
    long_link) edit "rm $2" "symlink $2 /$(printf '%0900d' 0)" && what='a symbolic link' ;;
    attributes) # with more of them than an inode has room for
        edit "rm $2" "symlink $2 /etc/passwd" "ea_set -f initrd $2 user.much" && what='a symbolic link'
        ;;
    device) edit "rm $2" "cd $(dirname "$2")" && what='a device' &&
        printf 'cd %s\nmknod %s b 1 1\n' "$(dirname "$2")" "$(basename "$2")" >requests &&
        debugfs -w -f requests farm.img >debugfs 2>&1 ;;
    pipe) edit "rm $2" && what='a named pipe' &&
        printf 'cd %s\nmknod %s p\n' "$(dirname "$2")" "$(basename "$2")" >requests &&
        debugfs -w -f requests farm.img >debugfs 2>&1 ;;
    folder) edit "rm $2" "mkdir $2" "write initrd $2/file" && what='a folder' ;;
    journal) edit "rm $2" "ln <8> $2" && what='a part of the file system itself' ;;
    esac
}

hash=ce4e0a19876f9b74
kernel=kernels/$hash.vmLinuz
head -c 50000 /dev/urandom >kernel
head -c 3000 /dev/urandom >initrd
head -c 20000 /dev/urandom >root
"$vine" pool create farm --size 32M >/dev/null
"$vine" pool add farm other --kernel kernel >/dev/null
for kind in link long_link attributes device pipe folder journal; do
    for path in $kernel kernels/$hash.initrd.img blocks/$hash.root.img ${hash}_vmcfg.cfg; do
        expect 0 "$vine" pool add farm zip --kernel kernel --initrd initrd --disk root=root
        plant $kind $path
        # What is hung up twice e2fsck says of the image, not of us.
        [ $kind = journal ] || clean "planted $kind"
        expect 1 "$vine" pool check farm
        said "zip: $path: is $what, and no ordinary file"
        "$vine" pool show farm --json |
            jq -e '[.machines[] | select(.usable).name] == ["other"]' >/dev/null || fail "show: $kind $path"
        expect 1 "$vine" pool export farm zip -o out
        said 'no usable machine "zip"'
        if [ $kind != folder ] && [ $path = $kernel ]; then
            expect 0 "$vine" vm kernel --pool farm zip kernel
            clean "replaced $kind"
            [ "$("$vine" pool check farm)" = 'farm: well' ] || fail "not mended: $kind"
            plant $kind $path
        fi
        expect 0 "$vine" pool rm farm zip
        clean "removed $kind"
        if [ $kind = folder ]; then # it is nobody's, and no machine gets what lies in its way
            expect 1 "$vine" pool check farm
            said "check: $path: is no file of any machine"
            expect 1 "$vine" pool add farm zip --kernel kernel --initrd initrd --disk root=root
            said "\($path\|its configuration\): is a folder, and no ordinary file"
            edit "rm $path/file" "rmdir $path"
        fi
        [ "$("$vine" pool check farm)" = 'farm: well' ] || fail "not well without it: $kind $path"
    done
done

# A folder that is none, and vms.json.
expect 0 "$vine" pool add farm zip --initrd initrd --disk root=root
edit 'rm blocks/'$hash.root.img 'rmdir blocks' 'symlink blocks /etc'
expect 1 "$vine" pool check farm
said 'zip: blocks: is a symbolic link, and no folder'
said 'check: blocks: is a symbolic link, and no folder'
"$vine" pool show farm --json | jq -e '[.machines[] | select(.usable).name] == ["other"]' >/dev/null ||
    fail "show: $("$vine" pool show farm)"
expect 0 "$vine" pool rm farm zip
clean 'no blocks'
expect 0 "$vine" pool add farm zip --kernel kernel
expect 1 "$vine" vm disk --pool farm zip root root
said 'blocks: is a symbolic link, and no folder'
cp farm.img kept
plant link vms.json
expect 1 "$vine" pool show farm
said 'farm.img: vms.json: is a symbolic link, and no ordinary file'

# The same where the system has it mounted: no link leads to a file of the host.
[ "$(id -u)" = 0 ] || skip "the rest: not root"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
undo() { umount "$scratch/point" 2>/dev/null || :; }
mkdir point
mv kept farm.img
mount -o loop,ro farm.img point 2>/dev/null || skip "the rest: nothing can be mounted here"
umount point
echo "{\"version\": 1, \"mount\": \"$scratch/point\"}" >farm.json
edit 'rm blocks' 'mkdir blocks'
"$vine" vm disk --pool farm zip root root >/dev/null
echo '{"version": 1, "accelerator": "tcg", "console_links": "runtime"}' >server.conf
for kind in link device pipe folder; do
    cp farm.img whole
    plant $kind $kernel
    plant $kind blocks/$hash.root.img
    begin_server --mount --config server.conf --pool ./farm
    "$vine" vm show zip -s run/control.sock --json >shown || fail "show: $(cat serving)"
    grep -q "$kernel: is $what, and no ordinary file" shown || fail "not told: $kind: $(cat shown)"
    expect 1 "$vine" vm start zip -s run/control.sock
    "$vine" vm show other -s run/control.sock >/dev/null || fail "the other one"
    expect 0 "$vine" vm rm zip -s run/control.sock
    end_server
    clean "removed $kind by the server"
    cp whole farm.img
done
edit "rm blocks/$hash.root.img" 'rmdir blocks' "symlink blocks $scratch"
cp root "$hash.root.img"
begin_server --mount --config server.conf --pool ./farm
"$vine" vm show zip -s run/control.sock --json >shown || fail "show: $(cat serving)"
grep -q 'blocks: is a symbolic link, and no folder' shown || fail "not told: $(cat shown)"
end_server
