# SPDX-License-Identifier: Apache-2.0
# test: timeout=600
#
# All that a user does with pools, machines and clients, by a real server and real machines, twice in
# a row: the second time finds what the first has left, and makes anew what that has taken away. Then
# a reboot, after which pool and clients are what they were.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
PATH=$PATH:/usr/sbin:/sbin
needs_guests jq mkfs.ext4 script
server=
chmod 755 "$scratch"
XDG_STATE_HOME=$scratch/state
export XDG_STATE_HOME
control=$scratch/run/control.sock
undo() {
    [ -z "$server" ] || "$vine" down farm -s "$control" --timeout 1ms >/dev/null 2>&1 || :
    kill_machines
}

# ends STATUS WORD...: a verb ends with it; what it prints is in `shown`.
ends() {
    wanted=$1 got=0
    shift
    "$vine" "$@" >shown 2>said || got=$?
    [ "$got" = "$wanted" ] || fail "$turn: status $got instead of $wanted: $*: $(cat shown)"
}
# runs WORD...: one of the server's, which ends well; and tells, as JSON.
runs() { ends 0 "$@" -s "${socket:-$control}"; }
tells() {
    runs "$@" --json
    shows 'type == "array" or type == "object"'
}
# refuses STATUS PATTERN WORD...: one that does not.
refuses() {
    status=$1 pattern=$2
    shift 2
    ends "$status" "$@" -s "${socket:-$control}"
    said "$pattern"
}
# shows FILTER: the JSON that the last one printed is so.
shows() {
    jq -e "$1" shown >/dev/null || fail "$turn: not so: $1: $(cat shown)"
}
# of STATE NAME...: what `up` or `down` has said of them, one by one; bob's may come anywhere.
of() {
    was=$1
    shift
    [ "$(sed -n "s/: $was.*//p" shown | grep -v bob | xargs)" = "$*" ] || fail "$turn: not in their order: $(cat shown)"
}
# says PATTERN: it has come on zip's console since it was marked.
mark() {
    log=$scratch/state/logs/$(ends 0 pool show farm zip --json && jq -r .uid shown).log
    marked=$(cat "$log" 2>/dev/null | wc -c)
}
says() {
    for _ in $(seq 2000); do
        tail -c +$((marked + 1)) "$log" 2>/dev/null | grep -q "$1" && return
        command sleep 0.1
    done
    fail "$turn: never on the console: $1: $(tail -n 20 "$log")"
}
again() { [ "$turn" = 2 ]; }
# What is in the pool when a turn begins, in its order: with what a client has made in the first.
all='["zip", "app"]'

# Verbs on pools that no server has: farm, and one that is made each time.
verbs_on_pools() {
    if again; then
        ends 1 pool create farm
        said 'farm.img: File exists'
        ends 1 pool add farm zip --guest guest
        said 'has a machine "zip" already'
    else
        ends 0 pool create farm --size 512M
        ends 0 pool add farm zip --guest guest --memory 128M --kernel-option quiet --init 'run doctor /usr/bin/vine doctor'
    fi
    ends 0 pool add farm app --guest guest --configuration app.json --json
    ends 0 pool show farm --json
    shows "[.machines[] | select(.usable).name] == $all"
    ends 0 pool show farm app
    ends 0 pool create other --size 64M --json
    ends 0 pool add other bare
    ends 0 pool ls --json
    shows "map(.machines) == [($all | length), 1]"
    ends 0 pool ls
    ends 0 pool export farm app -o exported --json
    cmp exported/vmLinuz guest/vmlinux || fail "$turn: another kernel was exported"
    rm -r exported
    ends 0 vm kernel --pool farm app guest/vmlinux
    ends 0 vm initrd --pool farm app guest/initrd.img
    ends 0 vm disk --pool farm app data root
    ends 0 vm disk --pool farm app data --none
    ends 0 vm limits --pool farm app --memory "$((128 + turn))M"
    ends 0 pool show farm app --json
    shows ".configuration.memory == $((128 + turn)) * 1048576"
    ends 0 pool check farm other --json
}

# A pool is started, told of, and ended, once and once more.
up_and_down() {
    mark
    refuses 1 'has no pool' down farm
    refuses 1 'the server says' up missing
    runs up farm
    of runs zip app
    tells up farm
    shows "map(select(.running).name) | sort == ($all | sort)"
    # What cannot be started is told in one line, and among the others.
    refuses 1 'bare: the server says: the VM has no kernel' up other
    [ "$(wc -l <said)" = 1 ] || fail "$turn: more than a line: $(cat said)"
    refuses 1 'the VM has no kernel' up other --json
    shows '.[0].error | test("the VM has no kernel")'
    tells vm ls
    shows "map(select(.state == \"running\").name) | sort == ($all | sort)"
    runs vm ls
    runs vm show app
    runs vm wait app running
    says 'vine-init: doctor ended with'
    at_the_console
    runs down farm --timeout 10s
    of off app
    runs down farm
    of off
    tells down farm
    tells client ls
    runs client ls
    runs up farm
    of runs zip app
}

# With what was said before; whose terminal it is has it back as it was. Then without a terminal.
at_the_console() {
    tells vm console zip
    shows '.console | test("run/[0-9a-f]{32}-vttyS0$")'
    (
        printf 'turn %s\r' "$turn"
        says "^turn $turn"
        printf '\035'
    ) | timeout 200 script -qec "stty -a >before; '$vine' vm console zip -s '$control'; stty -a >after" \
        /dev/null >seen || fail "$turn: console: $(cat seen)"
    grep -q 'the kernel was up after' seen || fail "$turn: no history: $(cat seen)"
    cmp before after || fail "$turn: another terminal"
    "$vine" vm console zip -s "$control" --no-history </dev/null >seen 2>&1 &
    watching=$!
    tells vm stop zip --timeout 60s
    wait "$watching" || fail "$turn: the console ended badly: $(cat seen)"
    grep -q 'the console has ended' seen || fail "$turn: console: $(cat seen)"
}

# Verbs on one machine, and what is told of it meanwhile.
verbs_on_a_machine() {
    tells vm show app
    uid=$(jq -r .uid shown)
    "$vine" vm events --count 4 --json -s "$control" >events &
    telling=$!
    # Whoever begins to listen may miss the first time.
    while kill -0 "$telling" 2>/dev/null; do
        runs vm restart app --timeout 1ms
    done
    tells vm restart app --timeout 1ms
    wait "$telling" || fail "$turn: no events"
    jq -s -e --arg uid "$uid" 'length == 4 and all(.uid == $uid) and any(.state == "starting")' events >shown ||
        fail "$turn: events: $(cat events)"
    tells vm kill app
    shows '.[0].ended_by == "killed"'
    tells vm wait app
    refuses 1 'the VM is off' vm stop app
    tells vm start app --options quiet
    shows '.[0].console | test("vttyS0$")'
    refuses 1 'the VM runs' vm start app
    refuses 1 'the VM runs' vm kernel app guest/vmlinux
    tells vm log app
    runs vm kill zip
    runs vm start zip --no-wait
    runs vm wait zip running
}

# Clients, one that is made each time and one that stays, and what they make.
clients() {
    # Whose a VM is that the control socket makes has to be said: it has none of its own.
    refuses 1 "no pool for this client's VMs" vm create web
    said '\--owner says which'
    tells client add alice --vms 2 --pool farm --mode 640
    if again; then
        refuses 1 'there is a client' client add bob --pool farm
        socket=$scratch/run/bob.sock
        refuses 1 'the name is taken' vm create stays
    else
        runs client add bob --pool farm
        socket=$scratch/run/bob.sock
        runs vm create stays --memory 128M --kernel guest/vmlinux --initrd guest/initrd.img
    fi
    socket=$scratch/run/bob.sock
    tells vm ls
    shows 'map(.name) == ["stays"]'
    socket=$scratch/run/alice.sock
    refuses 77 'has not the permission' up farm
    tells vm create web --memory 128M --kernel guest/vmlinux
    tells vm initrd web guest/initrd.img
    tells vm disk web root root
    tells vm kernel web guest/vmlinux
    tells vm limits web --processors 2
    runs vm start web
    runs vm kill web
    tells vm show web
    shows '.configuration.processors == 2 and .state == "off"'
    # What is given is there at once, and runs as it did.
    socket=
    runs client give app alice
    socket=$scratch/run/alice.sock
    tells vm ls
    shows 'map(.name) | sort == ["app", "web"]'
    runs vm log app
    tells vm rm web
    refuses 1 'there is no VM "web"' vm show web
    socket=
    tells client give app --nobody
    tells client ls
    tells client rm alice
    refuses 1 'no such client' client rm alice
}

# A turn ends with the pool as it was, but for what stays.
all_of_it() {
    verbs_on_pools
    up_and_down
    verbs_on_a_machine
    clients
    runs down farm --timeout 1ms
    of off app zip
    tells vm ls
    shows 'all(.state == "off")'
    runs down other --close
    runs down farm --close
    ends 0 vm rm --pool other bare
    # What else is not well with a pool is told, too.
    echo '{"version": 1, "links": [{"application": "no", "appliance": "nobody", "size": "1M"}]}' >other.json
    refuses 1 'other: .*the pool has no machine "no"' up other
    runs down other --close
    rm other.img other.json
    ends 0 pool rm farm app --json
    ends 0 pool check farm
}

build_guest guest --quiet
truncate -s 1M root
echo '{"console_links": "runtime", "version": 1, "accelerator": "tcg"}' >none.conf
echo '{"memory": "128M", "links": [{"appliance": "zip", "size": "1M"}]}' >app.json
begin_server --config none.conf
for turn in 1 2; do
    all_of_it
    all='["zip", "bob.stays", "app"]'
done

# A link of the pool, and not of a machine's own, has its appliance started first, too.
ends 0 pool add farm app --guest guest --configuration app.json
ends 0 pool add farm add
jq '.links = [{"application": "add", "appliance": "zip", "size": "1M"}]' farm.json >linked
cat linked >farm.json
refuses 1 'add: .*the VM has no kernel' up farm --json
[ "$(jq -r '.[] | "\(.name) \(.running)"' shown | grep -v bob | xargs)" = "zip true add false app true" ] ||
    fail "not in their order: $(cat shown)"
runs client add alice --vms 1 --pool farm --mode 640
runs client give app alice
runs down farm --timeout 1ms
of off app zip
tells client ls
mv shown clients
end_server

# A reboot: all of it is back.
rm -r run
begin_server --config none.conf
[ "$(stat -c %a run/alice.sock)" = 640 ] || fail "another mode: $(ls -l run)"
tells client ls
diff clients shown || fail "another client"
tells vm ls
shows 'length == 4 and all(.state == "off")'
socket=$scratch/run/alice.sock
tells vm ls
shows 'map(.name) == ["app"]'
socket=
refuses 1 'add: .*the VM has no kernel' up farm
runs down farm --timeout 1ms --close
ends 0 pool check farm
tells vm ls
shows '. == []'
end_server
server=
