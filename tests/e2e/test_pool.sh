# SPDX-License-Identifier: Apache-2.0
#
# `vine pool`: machines go into a pool and out of it, the file system in it is clean after each of
# these, and what is wrong is said with its place.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
command -v mkfs.ext4 >/dev/null && command -v e2fsck >/dev/null || skip "no e2fsprogs"

# clean: what the last verb has left in the image is.
pool=farm
clean() {
    e2fsck -fn $pool.img >fsck 2>&1 || fail "e2fsck: $(cat fsck)"
    [ ! -e $pool.img.journal ] || fail "a journal is left"
}
# put FILE PATH: into the image, as whoever has debugfs may.
put() {
    debugfs -w -R "rm $2" $pool.img >/dev/null 2>&1
    debugfs -w -R "write $1 $2" $pool.img >/dev/null 2>&1
}
# get PATH: out of it.
get() { debugfs -R "cat $1" $pool.img 2>/dev/null; }

# Names, and what must be there.
for name in a/.. .. . .hidden "a..b" "$(printf 'a\tb')" "gr$(printf '\303\274')n" "$(printf '%065d' 0)"; do
    expect 2 "$vine" pool create -- "$name"
    said 'name is'
done
expect 1 "$vine" pool create ./a/b
said './a/b.img: its folder is not there'
expect 2 "$vine" pool create farm --size 15M
said 'at least 16 MiB'
echo '{"version": 1, "limits": {"kernels": 1}}' >bad.json
expect 1 "$vine" pool create farm --settings bad.json
said 'limits: "kernels" is not known here'
echo '{"version": 1, "version": 1}' >bad.json
expect 2 "$vine" pool create farm --settings bad.json
said 'duplicate object key'
[ -z "$(ls farm* 2>/dev/null)" ] || fail "left behind: $(echo farm*)"
expect 1 "$vine" pool show farm
said 'farm.json: No such file'

echo '{"version": 1, "limits": {"vms": 6, "kernel": "1M", "disk": "4M"}}' >settings
expect 0 "$vine" pool create farm --size 32M --settings settings
clean
expect 1 "$vine" pool create farm
said 'farm.img: File exists'
mv farm.json kept
[ -z "$("$vine" pool ls)" ] || fail "lists what is no pool"
expect 1 "$vine" pool show farm
said 'farm.json: No such file'
mv kept farm.json

# Machines in, and what they have.
head -c 500000 /dev/urandom >kernel
head -c 100000 /dev/urandom >initrd
truncate -s 4M root && echo data | dd of=root bs=1k seek=3000 conv=notrunc 2>/dev/null
expect 0 "$vine" pool add farm zip --kernel kernel --initrd initrd --disk root=root --memory 512M
clean
# FNV-1a, 64 bits, of "zip".
hash=ce4e0a19876f9b74
get "kernels/$hash.vmLinuz" | cmp - kernel || fail "another kernel"
get "kernels/$hash.initrd.img" | cmp - initrd || fail "another initrd"
get "blocks/$hash.root.img" | cmp - root || fail "another disk"
get "${hash}_vmcfg.cfg" | jq -e '.name == "zip" and .memory == 536870912' >/dev/null || fail "configuration"
get vms.json | jq -e '.vms[0] | .name == "zip" and .kernel.size == 500000' >/dev/null || fail "vms.json"
echo '{"links": [{"appliance": "zip", "size": "64M", "channels": 4}], "autostart": "always"}' >cfg
expect 0 "$vine" pool add farm app --kernel kernel --configuration cfg
clean
"$vine" pool show farm --json | jq -e '.machines | length == 2 and all(.usable)' >/dev/null || fail "show"
"$vine" pool ls --json | jq -e '.[0].machines == 2' >/dev/null || fail "ls"
[ "$("$vine" pool check farm)" = 'farm: well' ] || fail "check"

# What cannot be added is not, and says why.
before=$(cksum <farm.img)
refused() {
    pattern=$1
    shift
    expect 1 "$vine" pool add farm "$@"
    said "$pattern"
    clean
}
refused 'has a machine "zip" already' zip
for name in 'a b' a/b -x; do
    expect 2 "$vine" pool add -- farm "$name"
    said 'a name is 1 to 31'
done
expect 2 "$vine" pool add farm many --disk a=root --disk b=root --disk c=root --disk d=root --disk e=root \
    --disk f=root --disk g=root --disk h=root --read-only-disk i=root
said 'up to 8 disks'
expect 2 "$vine" pool add farm odd --disk a/b=root
said 'the disk "a/b": a name is 1 to 31'
clean
refused 'memory: is whole MiB' small --memory 1M
refused 'auto: its configuration: autostart: is none of' auto --autostart sometimes
expect 2 "$vine" pool add farm twice --disk root=root --disk root=kernel
said 'the disk "root" is given twice'
expect 2 "$vine" pool add farm twice --disk root=root --read-only-disk root=kernel
said 'the disk "root" is given twice'
expect 2 "$vine" pool add farm twice --kernel kernel --kernel root
said '--kernel is given twice'
clean
head -c 2000000 /dev/urandom >large
refused 'large: is larger than the pool.s limit of 1048576' large --kernel large
truncate -s 5M large
refused 'large: is larger than the pool.s limit' large --disk root=large
echo '{"links": [{"appliance": "nobody"}]}' >cfg
refused 'links\[0\].appliance: the pool has no machine "nobody"' alone --configuration cfg
echo '{"disks": [{"name": "root"}]}' >cfg
refused 'alone: ./cfg: disks\[0\].name: the pool has no disk "root"' alone --configuration ./cfg
echo '{"disc": []}' >cfg
refused 'alone: cfg: "disc" is not known here' alone --configuration cfg
# Two names with one hash.
expect 0 "$vine" pool add farm 8yn0iYCKYHlIj4-BwPqk
refused 'is that of the machine "8yn0iYCKYHlIj4-BwPqk"' GReLUrM4wMqfg9yzV3KQ
expect 0 "$vine" pool rm farm 8yn0iYCKYHlIj4-BwPqk
clean
expect 1 "$vine" pool rm farm zip
said 'farm.img: app/.*_vmcfg.cfg: links\[0\].appliance: the pool has no machine "zip"'
clean
expect 1 "$vine" pool rm farm app nobody
said 'has no machine "nobody"'
"$vine" pool show farm app >/dev/null || fail "half of a change is there"

# A full pool: nothing is changed, and what is there stays whole.
n=0
head -c 1000000 /dev/urandom >kernel
while head -c 4000000 /dev/urandom >root && "$vine" pool add farm "m$n" --disk root=root 2>said; do
    clean
    n=$((n + 1))
    [ "$n" -lt 20 ] || fail "the pool takes everything"
done
said 'may have no more'
"$vine" pool rm farm m0 m1 && clean
expect 0 "$vine" pool add farm big --disk a=root --disk b=root --disk c=root
clean
expect 1 "$vine" pool add farm full --disk a=root --disk b=root --disk c=root
said 'the pool is full'
clean
[ "$("$vine" pool check farm)" = 'farm: well' ] || fail "check of a full pool"

# One bad file is named, and the others stay usable.
get "${hash}_vmcfg.cfg" | sed 's/"memory": /"memroy": /' >cfg
put cfg "${hash}_vmcfg.cfg"
expect 1 "$vine" pool check farm
said "zip: ${hash}_vmcfg.cfg: \"memroy\" is not known here"
"$vine" pool show farm --json | jq -e '[.machines[] | select(.usable)] | length == 4' >/dev/null ||
    fail "others are not usable: $("$vine" pool show farm)"
expect 0 "$vine" pool rm farm big
clean
# A kernel that is another one is found, though its size is the same.
app=e74fa719056a838c
get "kernels/$app.vmLinuz" | tr a b >other
put other "kernels/$app.vmLinuz"
expect 1 "$vine" pool check farm
said "app: kernels/$app.vmLinuz: its XXH3 is"
put cfg stray
expect 1 "$vine" pool check farm
said 'stray: is no file of any machine'
truncate -s 20M farm.img
expect 1 "$vine" pool show farm
said 'larger than its file'
truncate -s 0 farm.img
expect 1 "$vine" pool show farm
said 'no ext4'

# An image with lists of blocks instead of extents, up to those of lists.
pool=lists
mkdir -p in/kernels in/blocks
echo '{"version": 1, "vms": []}' >in/vms.json
echo '{"version": 1}' >lists.json
mkfs.ext4 -q -F -b 1024 -O ^extents,^64bit -d in lists.img 32M
truncate -s 12M root && echo data | dd of=root bs=1k seek=9000 conv=notrunc 2>/dev/null
dd if=kernel of=root bs=1k seek=5 conv=notrunc 2>/dev/null
expect 0 "$vine" pool add lists zip --kernel kernel --disk root=root
clean
get "kernels/$hash.vmLinuz" | cmp - kernel || fail "another kernel"
get "blocks/$hash.root.img" | cmp - root || fail "another disk"
expect 0 "$vine" vm disk --pool lists zip root kernel
clean
expect 0 "$vine" pool rm lists zip
clean

# Who makes an image may say of a hole that it is as large as he likes: nobody reads one that is
# larger than the image, nor is one put there.
pool=holes
expect 0 "$vine" pool create holes --size 16M
expect 0 "$vine" pool add holes app --kernel initrd
truncate -s 17M root
expect 1 "$vine" pool add holes zip --kernel initrd --disk root=root
said 'root: is larger than the pool.s limit of 16777216'
clean
truncate -s 16M root
expect 0 "$vine" pool add holes zip --kernel initrd --disk root=root
clean
get vms.json | jq '(.vms[] | select(.name == "zip").disks.root.size) = 1099511627776' >roll
put roll vms.json
debugfs -w -R "set_inode_field blocks/$hash.root.img size 1099511627776" holes.img >/dev/null 2>&1
clean
expect 1 "$vine" pool check holes
said "zip: blocks/$hash.root.img: has 1099511627776 bytes, and the pool has files of up to 16777216"
expect 1 "$vine" pool export holes zip -o out
said 'no usable machine "zip"'
"$vine" pool show holes --json | jq -e '[.machines[] | select(.usable).name] == ["app"]' >/dev/null ||
    fail "show: $("$vine" pool show holes)"
