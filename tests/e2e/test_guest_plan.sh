# SPDX-License-Identifier: Apache-2.0
#
# `vine guest run`, before anything is started: what a file cannot mean, or this machine does not
# have, is said, with the place.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
TMPDIR=$scratch/runs
export TMPDIR
mkdir "$TMPDIR"

# refuses TEXT PLAN: a file with this in it starts nothing, and TEXT says why.
refuses() {
    echo "$2" >plan.json
    expect 2 "$vine" guest run plan.json
    said "$1"
}
refuses 'plan.json:1:5: ' '{frob}'
refuses 'this is no JSON object' '[]'
refuses 'plan.json: machines: there is none' '{}'
refuses 'plan.json: machines: there is none' '{"machines": []}'
refuses 'plan.json: machines: is no list of at most 8' '{"machines": [1, 2, 3, 4, 5, 6, 7, 8, 9]}'
refuses 'machines\[0\].name: is missing' '{"machines": [{}]}'
refuses 'machines\[0\].name: is no text' '{"machines": [{"name": 7}]}'
refuses '"machine" is not known here' '{"machine": []}'
refuses 'machines\[0\]: "memroy" is not known here' '{"machines": [{"name": "a", "memroy": "1G"}]}'
refuses 'machines\[0\].memory: is no size' '{"machines": [{"name": "a", "memory": "lots"}]}'
refuses 'machines\[0\].processors: is no number' '{"machines": [{"name": "a", "processors": "1"}]}'
refuses 'machines\[0\].kernel: is no text' '{"machines": [{"name": "a", "kernel": 6}]}'
refuses 'machines\[0\].init: is no list of texts' '{"machines": [{"name": "a", "init": "run"}]}'
refuses 'machines\[0\].init: has an entry that is no line' '{"machines": [{"name": "a", "init": [1]}]}'
refuses 'machines\[0\].disks: is no list' '{"machines": [{"name": "a", "disks": {}}]}'
refuses 'machines\[0\].disks\[0\].file: is missing' '{"machines": [{"name": "a", "disks": [{}]}]}'
refuses 'machines\[0\].files: is no object' '{"machines": [{"name": "a", "files": []}]}'
refuses 'machines\[0\].ends_all: is neither' '{"machines": [{"name": "a", "ends_all": 1}]}'
refuses 'machines\[1\].name: there are two' '{"machines": [{"name": "a"}, {"name": "a"}]}'
refuses 'accelerator: is none of' '{"machines": [{"name": "a"}], "accelerator": "xen"}'
refuses '"network" and "serial" are between two' '{"machines": [{"name": "a"}], "network": true}'
refuses 'doorbells: are for links' '{"machines": [{"name": "a"}], "doorbells": true}'
two='"machines": [{"name": "a"}, {"name": "b"}]'
refuses 'links\[0\].name: is missing' "{$two, \"links\": [{}]}"
refuses 'links\[0\].application: there is no machine c' \
    "{$two, \"links\": [{\"name\": \"l\", \"application\": \"c\", \"appliance\": \"b\"}]}"
refuses 'links\[0\]: both ends are the same' \
    "{$two, \"links\": [{\"name\": \"l\", \"application\": \"a\", \"appliance\": \"a\"}]}"
refuses 'is a power of two' "{$two, \"links\": [{\"name\": \"l\", \"application\": \"a\",
    \"appliance\": \"b\", \"size\": 5000}]}"
refuses 'links_max: is 0' "{$two, \"links_max\": 0, \"links\": [{\"name\": \"l\",
    \"application\": \"a\", \"appliance\": \"b\"}]}"
# What the engine would refuse is told here, with the file, and before anything is tried.
names='is 1 to 3[12] '
refuses "plan.json: machines\[0\]: a machine's name $names" '{"machines": [{"name": "a b"}]}'
refuses 'plan.json: machines\[0\]: memory is whole MiB, at least 128' \
    '{"machines": [{"name": "a", "memory": "64M"}]}'
refuses 'plan.json: machines\[0\]: 1 to 255 processors' '{"machines": [{"name": "a", "processors": 0}]}'
refuses 'plan.json: machines\[1\]: an option of the kernel is one word' \
    '{"machines": [{"name": "a"}, {"name": "b", "kernel_options": ["a b"]}]}'
refuses "plan.json: machines\[0\]: a disk's serial is 1 to 20" \
    '{"machines": [{"name": "a", "disks": [{"file": "f", "name": "a b"}]}]}'
refuses "plan.json: links\[0\].name: it $names" \
    "{$two, \"links\": [{\"name\": \"l l\", \"application\": \"a\", \"appliance\": \"b\"}]}"
refuses 'plan.json: links\[0\]: a half of a link is a power of two, from 4 KiB' "{$two, \"links\": [{
    \"name\": \"l\", \"application\": \"a\", \"appliance\": \"b\", \"size\": \"64\"}]}"
expect 2 "$vine" guest run missing.json
said 'missing.json'

# Memory that is not there is not filled until somebody is killed for it: each of these links alone
# might fit.
{
    echo '{"machines": [{"name": "a"}, {"name": "b"}], "links": ['
    for i in $(seq 32); do
        [ "$i" = 1 ] || echo ,
        echo "{\"name\": \"$i\", \"application\": \"a\", \"appliance\": \"b\", \"size\": \"64G\"}"
    done
    echo ']}'
} >plan.json
expect 1 "$vine" guest run plan.json
said 'the links do not fit: 4.* TiB of memory are wanted, and [0-9.]* GiB are available'

# What it boots from must be there, which is no fault of KVM's.
echo '{"machines": [{"name": "a"}]}' >plan.json
expect 1 "$vine" guest run plan.json
said './vmlinux: No such file or directory; `vine guest build'
grep -q KVM said && fail "blames KVM: $(cat said)"
touch vmlinux
expect 1 "$vine" guest run plan.json
said './initrd.img: No such file'
# A machine may have its own; nobody asks then for what no machine boots.
echo '{"machines": [{"name": "a", "kernel": "none"}]}' >plan.json
expect 1 "$vine" guest run plan.json
said './none: No such file'
echo '{"guest": "nowhere", "machines": [{"name": "a", "kernel": "vmlinux", "initrd": "none"}]}' >plan.json
expect 1 "$vine" guest run plan.json
said './none: No such file'
[ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"

# The example is one; help and guides name it.
expect 1 "$vine" guest run "$VINE_SOURCE_DIR/examples/pair.json" --guest nowhere
said 'nowhere/vmlinux: No such file'
"$vine" guest run --help >shown
grep -q 'examples/pair.json' shown || fail "help names no example"

# What is left of a run that was killed goes with the next one's start, and nothing else.
mkdir -p "$TMPDIR/vine-guest-dead01/qemu" "$TMPDIR/vine-guest-alive1" "$TMPDIR/other"
touch "$TMPDIR/vine-guest-dead01/initrd" "$TMPDIR/vine-guest-dead01/qemu/network" vmlinux initrd.img
ln -s "$TMPDIR/other" "$TMPDIR/vine-guest-dead01/elsewhere"
ln -s other "$TMPDIR/vine-guest-linked"
touch "$TMPDIR/other/kept"
exec 7<"$TMPDIR/vine-guest-alive1"
flock 7
echo '{"accelerator": "tcg", "machines": [{"name": "a", "disks": [{"file": "none"}]}]}' >plan.json
expect 1 "$vine" guest run plan.json
[ "$(cd "$TMPDIR" && echo *)" = 'other vine-guest-alive1 vine-guest-linked' ] ||
    fail "left: $(ls -A "$TMPDIR")"
[ -e "$TMPDIR/other/kept" ] || fail "what a link leads to is gone"
exec 7<&-

# A folder for it may be as long as sockets allow; another one is told.
long=/tmp/$(printf '%047d' 0)
expect 1 env TMPDIR="$long" "$vine" guest run plan.json
said "cannot make a folder in $long"
expect 1 env TMPDIR="${long}0" "$vine" guest run plan.json
said 'TMPDIR has more than 52 bytes'

# A build that came to nothing leaves no folder that was not there before.
expect 1 "$vine" guest build -o made --kernel none
[ ! -e made ] || fail "an empty folder is left"
mkdir there
expect 1 "$vine" guest build -o there --kernel none
[ -d there ] || fail "a folder that was there is gone"
