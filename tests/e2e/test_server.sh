# SPDX-License-Identifier: Apache-2.0
# test: timeout=600
#
# `vine server`: a linked pair of a pool does its work, twice; its machines and their work go on while
# the server is ended, or killed, and comes back; after a reboot autostart decides.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"

needs_guests
command -v mkfs.ext4 >/dev/null || PATH=$PATH:/usr/sbin:/sbin
chmod 711 "$scratch"
socket=$scratch/run/control.sock
undo() { kill_machines; }

# shellcheck disable=SC2086
serve() { begin_server --pool ./farm $server_options "$@"; }
# ends SIGNAL CODE
ends() {
    kill "-$1" "$server"
    code=0
    wait "$server" || code=$?
    [ "$code" = "$2" ] || fail "the server ended with $code: $(cat serving)"
}
vm() {
    verb=$1
    shift
    "$vine" vm "$verb" --socket "$socket" "$@"
}
# is VM STATE
is() {
    state=$(vm ls --json | jq -r ".[] | select(.name == \"$1\").state")
    [ "$state" = "$2" ] || fail "$1 is $state, not $2"
}
# How many files the worker has hashed, each rightly, and nothing else.
done_by() {
    vm log --bytes 65536 "$1" >log || fail "no log of $1"
    if grep -a '  /usr/bin/vine' log | grep -av "$sum" | grep -q .; then
        cat log
        fail "$1 has made a wrong sum"
    fi
    vm show "$1" >/dev/null
    grep -ac "$sum" log || :
}
# goes_on VM: more of its work is done than when this was asked.
goes_on() {
    bytes=$(stat -c %s state/logs/"$1".log)
    for _ in $(seq 3000); do
        [ "$(tail -c +$((bytes + 1)) state/logs/"$1".log | grep -ac "$sum")" -lt 3 ] || return 0
        command sleep 0.1
    done
    fail "$1 does not go on: $(tail -c 1000 state/logs/"$1".log)"
}

build_guest guest --quiet
sum=$(sha256sum "$vine" | cut -d' ' -f1)
echo '{"links": [{"appliance": "zip", "size": "16M"}]}' >linked.json
work='/usr/bin/vine run sha256 --appliance pci:auto /usr/bin/vine'
"$vine" pool create farm --size 400M
"$vine" pool add farm zip --guest guest --kernel-option quiet \
    --init 'keep zip /usr/bin/vine appliance --listen pci:auto' >/dev/null
"$vine" pool add farm app --guest guest --kernel-option quiet --configuration linked.json --init "run sums $work" \
    --init poweroff >/dev/null
"$vine" pool add farm long --guest guest --kernel-option quiet --configuration linked.json --init "keep sums $work" \
    >/dev/null

# Who may not be there is told so.
mkdir -m 777 open
expect 77 "$vine" server --state open --runtime run
said 'others may write there'
expect 2 "$vine" server --state state --runtime run --config nowhere.conf
said 'nowhere.conf'
for links in "$scratch/none" "$scratch/farm.img"; do
    expect 2 "$vine" server --state state --runtime run --console-links "$links"
    said 'consoles cannot be linked there'
done
echo '{"version": 1, "pols": []}' >wrong.conf
expect 2 "$vine" server --state state --runtime run --config wrong.conf
said 'wrong.conf: "pols" is not known here'

# A pool that is not there keeps nobody from the other one.
serve --pool ./nothing
grep -q 'nothing.json: No such file' serving || fail "not told of nothing: $(cat serving)"
expect 75 "$vine" server --pool ./farm --state state --runtime other
said 'another server is there'

# Twice in a row.
for turn in 1 2; do
    vm start zip app >/dev/null || fail "$turn: not started"
    vm wait app off --timeout 300s >/dev/null || fail "$turn: app does not end"
    vm stop zip >/dev/null || fail "$turn: zip does not stop"
    vm log app >log
    [ "$(grep -ac "$sum" log)" = "$turn" ] || fail "$turn: $(cat log)"
    is zip off
done
[ "$(id -u)" != 0 ] || ! pgrep -U root -f "$scratch/state/machines/" >/dev/null || fail "QEMU is root's"

# Its end, and its death, keep nobody from work.
vm start zip long >/dev/null
uid=$(vm ls --json | jq -r '.[] | select(.name == "long").uid')
goes_on "$uid"
for signal in TERM KILL TERM; do
    code=0
    [ "$signal" != KILL ] || code=137
    ends "$signal" "$code"
    goes_on "$uid"
    serve
    is zip running
    is long running
    goes_on "$uid"
    [ "$(done_by long)" -gt 0 ] || fail "nothing was done"
done

# So does the death of the doorbells' process: where the server lives it goes on with all that there is,
# by another one; where both are dead, links come anew.
bells() { pgrep -f "guest bells --detach .*--socket $scratch/run/bells" || :; }
end_bells() {
    former=$(bells)
    [ -n "$former" ] || fail "no process of doorbells"
    kill -KILL "$former"
}
end_bells
until grep -q 'long: the process of its doorbells has ended' serving; do command sleep 0.1; done
vm show long --json | jq -e '.state == "running" and (.note | test("doorbells"))' >/dev/null || fail "$(vm show long --json)"
goes_on "$uid"
[ -n "$(bells)" ] && [ "$(bells)" != "$former" ] || fail "no other process of doorbells"
ends TERM 0
serve
! grep -q 'plugged anew' serving || fail "links were lost: $(cat serving)"
goes_on "$uid"
ends KILL 137
end_bells
serve
grep -q 'long: .* its links are unplugged and plugged anew' serving || fail "not told: $(cat serving)"
goes_on "$uid"
[ "$(done_by long)" -gt 0 ] || fail "nothing was done"

# An appliance that comes back finds its application, which goes on with it; one that comes new is
# given a link while it runs.
vm stop zip >/dev/null
vm start zip app >/dev/null
goes_on "$uid"
vm wait app off --timeout 300s >/dev/null || fail "app does not end"
[ "$(done_by app)" -ge 3 ] || fail "$(cat log)"
vm stop long zip >/dev/null
[ "$(done_by long)" -gt 0 ] || fail "nothing was done"
ends TERM 0
[ -z "$(ls state/machines)" ] || fail "left in state/machines: $(ls state/machines)"
[ -z "$(find run -name '*-vttyS0' -o -name '*.qmp')" ] || fail "left in run: $(ls run)"
"$vine" pool check farm >/dev/null || fail "the pool is not well"

# After a reboot.
"$vine" pool add farm auto --guest guest --kernel-option quiet --autostart always >/dev/null
rm -rf run
serve
vm wait auto running --timeout 300s >/dev/null || fail "nothing starts by itself"
is zip off
is long off
vm kill auto >/dev/null
ends INT 0

# Nothing stays behind a server and machines that are killed.
serve
vm start zip long >/dev/null
[ -n "$(bells)" ] || fail "no process of doorbells"
ends KILL 137
kill_machines
for _ in $(seq 600); do
    [ -n "$(bells)" ] || break
    command sleep 0.1
done
[ -z "$(bells)" ] || fail "the doorbells' process stays"
