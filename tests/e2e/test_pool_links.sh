# SPDX-License-Identifier: Apache-2.0
#
# NAME.img and NAME.json may be symbolic links of one's own, which stay links; those that somebody else
# can have made lead nowhere. Nothing that has one of a pool's names is waited for, or written through.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
for program in mkfs.ext4 e2fsck jq; do
    command -v $program >/dev/null || skip "no $program"
done
head -c 200000 /dev/urandom >kernel
head -c 100000 /dev/urandom >other

# is_well: it is a pool, and its links are links.
is_well() {
    [ -L farm.img ] && [ -L farm.json ] || fail "the links: $(ls -l)"
    e2fsck -fn big/disk >fsck 2>&1 || fail "e2fsck: $(cat fsck)"
    [ "$("$vine" pool check farm)" = 'farm: well' ] || fail "not well"
}
# refuses: the pool is not opened by any verb, and nothing of it is changed.
refuses() {
    before=$(cksum <big/disk)
    for verb in 'show farm' 'check farm' 'add farm more' 'rm farm zip' 'export farm zip -o out'; do
        # shellcheck disable=SC2086
        expect "$1" "$vine" pool $verb
        said "$2"
    done
    [ "$(cksum <big/disk)" = "$before" ] || fail "it was written to"
}
untrusted='is a symbolic link that somebody else can have made, or may replace'

# A link to a larger disk, by an absolute path and by one through another link.
mkdir -m 755 big near
"$vine" pool create made --size 32M >/dev/null
mv made.img big/disk
mv made.json big/settings
ln -s "$scratch/big/disk" near/again
ln -s near/again farm.img
ln -s big/settings farm.json
expect 0 "$vine" pool add farm zip --kernel kernel
is_well
"$vine" pool ls --json | jq -e '.[] | select(.pool | test("farm")).machines == 1' >/dev/null || fail "ls"
expect 0 "$vine" vm kernel --pool farm zip other
is_well
# What a change that was killed has left is found by either name.
i=0
while [ ! -e big/disk.journal ]; do
    i=$((i + 1))
    [ $i -lt 400 ] || break
    "$vine" vm kernel --pool farm zip kernel >/dev/null 2>&1 &
    running=$!
    command sleep "0.0$(printf '%02d' $((i % 50)))"
    kill -9 "$running" 2>/dev/null || :
    wait "$running" 2>/dev/null || :
    [ ! -e farm.img.journal ] && [ ! -e near/again.journal ] || fail "a journal beside the link"
done
is_well
[ ! -e big/disk.journal ] || fail "a journal is left"

# A server writes to it as well.
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
# shellcheck disable=SC2086
begin_server --pool ./farm $server_options
expect 0 "$vine" vm kernel zip other -s run/control.sock
end_server
is_well

# What is said of where it lies can be told without that.
mkdir 'of: many'
cp big/disk 'of: many/disk'
ln -s 'of: many/disk' pieces.img
cp farm.json pieces.json
expect 1 "$vine" pool show pieces
said 'pieces.img: leads to .*of: many/disk: a path here has neither'
rm -r pieces.* 'of: many'
for option in --state --runtime --config; do
    expect 2 "$vine" server $option "$scratch/of; many"
    said 'a path here has neither'
done
expect 2 "$vine" server --state "$scratch/state" --runtime "$scratch/run" --pool 'of; many/farm'
said 'a path here has neither'

# Nothing that was made is made through a link.
ln -s big/none fresh.img
expect 1 "$vine" pool create fresh --size 16M
said 'fresh.img: File exists'
rm fresh.img
ln -s big/none fresh.json
expect 1 "$vine" pool create fresh --size 16M
said 'fresh.json: is a symbolic link, and no ordinary file'
[ ! -e big/none ] && [ -L fresh.json ] || fail "made through a link"
rm fresh.json
mkfifo fresh.json
cp big/disk fresh.img
expect 1 timeout 60 "$vine" pool ls
said 'fresh.json: is a named pipe, and no ordinary file'
rm fresh.*
# A journal that is none: nobody waits for it, and what it leads to is as it was.
for plant in 'mkfifo' 'ln -s precious' 'mkdir'; do
    echo precious >big/precious
    (cd big && $plant disk.journal)
    refuses 1 'disk.journal: is .*, and no ordinary file'
    [ "$(cat big/precious)" = precious ] || fail "written through: $plant"
    rm -r big/disk.journal
done

# A loop, and one that leads nowhere.
ln -sfn farm.img again.img
cp big/settings again.json
ln -sfn again.img farm.img
expect 1 "$vine" pool show farm
said 'Too many levels'
ln -sfn big/nothing farm.img
expect 1 "$vine" pool show farm
said 'big/nothing: No such file'
ln -sfn big/disk farm.img
is_well

# A link where others may make one.
chmod 777 .
refuses 77 "farm.json: $untrusted"
chmod 775 .
refuses 77 "farm.json: $untrusted"
chmod 1777 .
is_well
chmod 755 .
chmod 777 near
ln -sfn near/again farm.img
refuses 77 "near/again: $untrusted"
chmod 755 near
is_well
# Another user's.
[ "$(id -u)" = 0 ] || skip "the rest: not root"
chown -h 65534 near/again
refuses 77 "near/again: $untrusted"
chown -h 0 near/again
chown 65534 near
refuses 77 "near/again: $untrusted"
chown -h 65534 farm.json
refuses 77 "farm.json: $untrusted"
# shellcheck disable=SC2086
begin_server --pool ./farm $server_options
grep -q "farm.json: $untrusted" serving || fail "not told: $(cat serving)"
end_server
