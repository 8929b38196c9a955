# SPDX-License-Identifier: Apache-2.0
# test: timeout=600
#
# A pool by a real server and real machines: up, what the verbs on VMs say meanwhile, the console,
# down; twice, with a reboot in between, after which the pool and its clients are what they were.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
PATH=$PATH:/usr/sbin:/sbin
needs_guests jq mkfs.ext4
server=
chmod 755 "$scratch"
XDG_STATE_HOME=$scratch/state
export XDG_STATE_HOME
undo() {
    [ -z "$server" ] || "$vine" down farm -s "$scratch/run/control.sock" --timeout 1ms >/dev/null 2>&1 || :
}

build_guest guest
expect 0 "$vine" pool create farm --size 256M
echo '{"console_links": "runtime", "version": 1, "accelerator": "tcg"}' >none.conf
expect 0 "$vine" pool add farm zip --guest guest --memory 128M
echo '{"version": 1, "name": "app", "memory": "128M", "links": [{"appliance": "zip", "size": "1M"}]}' >app.json
expect 0 "$vine" pool add farm app --guest guest --configuration app.json

begin_server --config none.conf
expect 1 "$vine" down farm -s run/control.sock
said 'has no pool'
expect 1 "$vine" up missing -s run/control.sock
said 'the server says'
expect 0 "$vine" up farm -s run/control.sock >shown
[ "$(sed -n 's/: runs.*//p' shown | tr '\n' ' ')" = "zip app " ] || fail "not in their order: $(cat shown)"
expect 0 "$vine" up farm -s run/control.sock --json >shown
jq -e 'length == 2 and all(.running)' shown >/dev/null || fail "not both: $(cat shown)"
[ "$("$vine" vm ls -s run/control.sock --json | jq '[.[] | select(.state == "running")] | length')" = 2 ] ||
    fail "not running: $("$vine" vm ls -s run/control.sock)"

# What cannot be started is told in one line, and among the others.
expect 0 "$vine" pool create other --size 32M
expect 0 "$vine" pool add other bare
expect 1 "$vine" up other -s run/control.sock
said 'bare: the server says: the VM has no kernel'
[ "$(wc -l <said)" = 1 ] || fail "more than a line: $(cat said)"
expect 1 "$vine" up other -s run/control.sock --json >shown
jq -e '.[0].error | test("the VM has no kernel")' shown >/dev/null || fail "not told: $(cat shown)"
expect 0 "$vine" down other -s run/control.sock --close

# Whose a VM is that the control socket makes has to be said: it has none of its own.
expect 1 "$vine" vm create web -s run/control.sock
said "no pool for this client's VMs"
said '\--owner says which'

# A client has its VM as soon as it is given, and nothing else.
expect 0 "$vine" client add alice -s run/control.sock --vms 1 --pool farm --mode 640
expect 0 "$vine" client give app alice -s run/control.sock
[ "$("$vine" vm ls -s run/alice.sock --json | jq -r '.[].name')" = app ] || fail "alice has not app"
until "$vine" vm log app -s run/alice.sock | grep -q .; do command sleep 0.1; done
expect 77 "$vine" up farm -s run/alice.sock

# The console, with what was said before; standard input is no terminal.
(command sleep 1) | timeout 200 "$vine" vm console app -s run/alice.sock --json >shown || fail "console: $(cat shown)"
jq -e '.console | test("run/[0-9a-f]{32}-vttyS0$")' shown >/dev/null || fail "console: $(cat shown)"

expect 0 "$vine" down farm -s run/control.sock --timeout 20s >shown
[ "$(sed -n 's/: off.*//p' shown | tr '\n' ' ')" = "app zip " ] || fail "not in their order: $(cat shown)"
expect 0 "$vine" down farm -s run/control.sock

# While they are off they can be changed.
truncate -s 1M root
expect 0 "$vine" vm disk zip root root --read-only -s run/control.sock
expect 0 "$vine" vm limits zip --processors 2 -s run/control.sock
"$vine" vm show zip -s run/control.sock --json >shown
jq -e '.configuration.disks == [{"name": "root", "read_only": true}] and .configuration.processors == 2' shown >/dev/null ||
    fail "not changed: $(cat shown)"
"$vine" client ls -s run/control.sock --json >clients
end_server

# A link of the pool, and not of a machine's own, has its appliance started first, too.
expect 0 "$vine" pool add farm add
jq '.links = [{"application": "add", "appliance": "zip", "size": "1M"}]' farm.json >linked
cat linked >farm.json

# A reboot: all of it is back.
rm -r run
begin_server --config none.conf
[ "$(stat -c %a run/alice.sock)" = 640 ] || fail "another mode: $(ls -l run)"
"$vine" client ls -s run/control.sock --json | diff clients - || fail "another client"
[ "$("$vine" vm ls -s run/alice.sock --json | jq -r '.[].name')" = app ] || fail "alice has not app any more"
[ "$("$vine" vm ls -s run/control.sock --json | jq -r '.[].state' | sort -u)" = off ] || fail "it runs again by itself"
expect 1 "$vine" up farm -s run/control.sock --json >shown
said 'add: .*the VM has no kernel'
[ "$(jq -r '.[] | "\(.name) \(.running)"' shown | tr '\n' ' ')" = "zip true add false app true " ] ||
    fail "not in their order: $(cat shown)"
expect 0 "$vine" down farm -s run/control.sock --timeout 20s >shown
[ "$(sed -n 's/: off.*//p' shown | tr '\n' ' ')" = "app zip " ] || fail "not in their order: $(cat shown)"
expect 0 "$vine" down farm -s run/control.sock --close
expect 0 "$vine" pool check farm
expect 0 "$vine" vm ls -s run/control.sock --json >shown
jq -e '. == []' shown >/dev/null || fail "there still"
end_server
server=
