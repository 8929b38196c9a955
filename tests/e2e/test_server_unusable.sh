# SPDX-License-Identifier: Apache-2.0
#
# A VM whose pool is bad, where it is: the server says so in its log and as an event, when it opens
# the pool and when `vine up` does, and serves the others.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
PATH=$PATH:/usr/sbin:/sbin
for program in jq mkfs.ext4 debugfs; do
    command -v "$program" >/dev/null || skip "no $program"
done
chmod 755 "$scratch"
socket=$scratch/run/control.sock
# is_told HOW: in the log, and as an event, of the one alone.
is_told() {
    grep -q "zip: .*_vmcfg.cfg: No such file" serving || fail "$1: not told: $(cat serving)"
    ! grep -q '^vine server: app: ' serving || fail "$1: told of app: $(cat serving)"
    jq -s -e 'map(select(.event == "note")) | length == 1 and .[0].name == "zip" and .[0].state == "off" and
        (.[0].text | test("_vmcfg.cfg: No such file"))' events >/dev/null || fail "$1: no event: $(cat events)"
}

head -c 300000 /dev/urandom >kernel
expect 0 "$vine" pool create farm --size 32M
expect 0 "$vine" pool add farm zip --kernel kernel
configuration=$(debugfs -R 'ls -p' farm.img 2>/dev/null | tr / '\n' | grep '_vmcfg.cfg$')
expect 0 "$vine" pool add farm app --kernel kernel
debugfs -w -R "rm $configuration" farm.img >/dev/null 2>&1

begin_server --json --console-links runtime --accelerator tcg --pool ./farm >events
is_told "from the beginning"
expect 0 "$vine" vm show zip -s "$socket" --json >shown
jq -e '.ended_by == "unusable" and (.ended_text | test("_vmcfg.cfg: No such file"))' shown >/dev/null ||
    fail "not shown: $(cat shown)"
expect 1 "$vine" vm start zip -s "$socket"
said '_vmcfg.cfg: No such file'
expect 0 "$vine" down farm --close -s "$socket"
end_server

# Neither of the two starts here: the other one's kernel is none.
begin_server --json --console-links runtime --accelerator tcg >events
"$vine" up "$scratch/farm" -s "$socket" >/dev/null 2>&1 || :
is_told "later"
"$vine" down farm --close --timeout 1ms -s "$socket" >/dev/null 2>&1 || :
end_server
