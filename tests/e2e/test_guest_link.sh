# SPDX-License-Identifier: Apache-2.0
# test: timeout=400
#
# Two real machines: a tree goes from one through the other, twice in a row, and plain zstd and
# sha256sum find it right; what a person does to machines that run is done by `vine guest ctl`.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
needs_guests mkfs.ext4 debugfs zstd

VINE_COMMAND=$vine sh "$VINE_SOURCE_DIR/tests/vm/build" "$VINE_BUILD_DIR/vm/pair" || exit $?

# What cannot work is said.
expect 2 "$vine" guest ctl
expect 1 "$vine" guest ctl "$scratch/nobody" ls
said 'No such file'

tree=$VINE_SOURCE_DIR/include
mkfs.ext4 -q -O ^has_journal -d "$tree" tree.img 16M
truncate -s 32M out.img
mkfs.ext4 -q out.img
cat >plan.json <<END
{"guest": "$VINE_BUILD_DIR/vm/pair", "links_max": 2,
 "machines": [
   {"name": "zip", "kernel_options": ["quiet"],
    "init": ["keep appliance /usr/bin/vine appliance --listen pci:auto"]},
   {"name": "app", "kernel_options": ["quiet"],
    "disks": [{"file": "tree.img", "read_only": true}, {"file": "out.img"}],
    "init": ["mount /dev/vda /tree ext4 ro,noatime", "mount /dev/vdb /out ext4 rw,noatime",
             "run first /usr/bin/vine run zstd --sums --appliance pci:zip /tree -o /out/first",
             "run second /usr/bin/vine run zstd --sums --appliance pci:zip /tree -o /out/second",
             "start done /usr/bin/vine version"]}],
 "links": [{"name": "zip", "application": "app", "appliance": "zip", "size": "16M"}]}
END
"$vine" guest run plan.json --control control >console 2>says &
serving=$!

# console_has PATTERN: wait for it.
console_has() {
    until grep -q -e "$1" console; do
        kill -0 "$serving" 2>/dev/null || { cat console says; fail "the run ended without '$1'"; }
        command sleep 0.1
    done
}
# has COUNT PATTERN: what the run says of its machines, so many times by now or later.
has() {
    until [ "$(grep -c -e "$2" says)" -ge "$1" ]; do
        kill -0 "$serving" 2>/dev/null || { cat console says; fail "the run ended without '$2'"; }
        command sleep 0.1
    done
}
ctl() {
    "$vine" guest ctl control "$@"
}
console_has 'first ended with 0'
console_has 'second ended with 0'

ctl ls >listed
grep -q 'machine zip  *running' listed || fail "$(cat listed)"
grep -q 'link  *zip  *application app: attached  appliance zip: attached' listed ||
    fail "$(cat listed)"
for refused in 'frob' 'pause' 'pause nobody' 'plug zip app zip' 'plug more app app' \
    'plug more app zip 3K' 'plug more app zip 1G' 'unplug nothing' 'start app' 'resume'; do
    # shellcheck disable=SC2086
    expect 1 "$vine" guest ctl control $refused
done
expect 1 "$vine" guest ctl control plug 'a b' app zip
said "a link's name is"
expect 1 "$vine" guest ctl control plug more app
said 'it is: plug NAME APPLICATION APPLIANCE'
ctl plug more app zip 4M
has 2 ': plugged: link more$'
expect 1 "$vine" guest ctl control plug another app zip 4M
said 'no place left: more links need a restart of it with a larger links_max'
ctl --json ls | jq -e '.links | map(select(.name == "more").appliance.state) == ["attached"]' \
    >/dev/null || fail "$(ctl --json ls)"
ctl unplug more
has 2 ': unplugged: link more$'
ctl ls | grep -q more && fail "more is still there"
ctl pause zip
has 1 'zip: paused'
ctl ls | grep -q 'machine zip  *paused' || fail "$(ctl ls)"
# A machine whose QEMU hangs keeps nobody from an answer.
stuck=$(ctl --json ls | jq '.machines[] | select(.name == "zip").pid')
kill -STOP "$stuck"
ctl resume zip
ctl ls >listed
kill -CONT "$stuck"
has 1 'zip: resumed'
ctl kill zip
has 1 'zip: ended'
ctl ls | grep -q 'machine zip  *off: it was killed' || fail "$(ctl ls)"
expect 1 "$vine" guest ctl control kill zip
said 'does not run'
ctl start zip
has 2 'zip: started'
if [ "$(id -u)" = 0 ]; then
    # Nobody else may ask.
    chmod 755 . && chmod 666 control
    (become_other && expect 1 $as "$vine" guest ctl "$scratch/control" ls) || fail "anybody may ask"
fi
ctl stop app
has 1 'app: ended: the guest has powered off, as it was told'
ctl end
code=0
wait "$serving" || code=$?
serving=
[ "$code" = 0 ] || { cat says; fail "the run ended with $code"; }
[ ! -e control ] || fail "its socket is left behind"

# By tools that know nothing of Vine.
for run in first second; do
    debugfs -R "rdump /$run $scratch" out.img 2>debugfs || fail "$(cat debugfs)"
    mkdir "$run.expanded"
    (cd "$run" && find . -name '*.zst' -type f -print0 |
        xargs -0 -r zstd -q -d --output-dir-mirror "$scratch/$run.expanded") || fail "zstd -d: $run"
    diff -r "$tree" "$run.expanded" >differences || fail "$run: $(head differences)"
    (cd "$tree" && sha256sum --quiet -c "$scratch/$run/SHA256SUMS") || fail "sums of $run"
    [ "$(wc -l <"$run/SHA256SUMS")" = "$(find "$tree" -type f | wc -l)" ] || fail "too few sums"
done
