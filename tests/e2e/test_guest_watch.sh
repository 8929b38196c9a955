# SPDX-License-Identifier: Apache-2.0
#
# In two machines that live on, a process that has an end of a link is killed: an application, and
# then an appliance. The other end is told, and whoever comes next takes the end. The doctor says
# who has it.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
needs_guests sleep

build_guest guest --add /bin/sh --add "$(command -v sleep)"
cat >in_zip <<'END'
sh -c 'echo $$ >/run/pid; exec vine appliance --verbose --listen pci:auto' 2>&1 |
    while read -r line; do
        echo "$line"
        # Who comes behind the second agent says that it has what it needs.
        case $line in
        *'(vine agent,'*opened*) agents=$((${agents:-0} + 1)) && continue ;;
        *'(vine,'*opened*) [ "${agents:-0}" = 2 ] || continue ;;
        *) continue ;;
        esac
        read -r victim </run/pid
        echo killing the appliance
        kill -9 "$victim"
    done
END
cat >in_app <<'END'
until vine procs --appliance pci:zip >/dev/null; do sleep 0.1; done
vine agent --verbose --wait --appliance pci:zip --listen /run/one 2>/run/said &
victim=$!
until [ -S /run/one ]; do sleep 0.1; done
vine doctor
echo killing the application
kill -9 $victim
vine agent --verbose --wait --appliance pci:zip --listen /run/two &
until [ -S /run/two ]; do sleep 0.1; done
vine procs --appliance pci:go >/dev/null
sleep 600
END
cat >plan.json <<'END'
{"guest": "guest",
 "machines": [
  {"name": "zip", "kernel_options": ["quiet"], "files": {"in_zip": "in_zip"},
   "init": ["start zip /usr/bin/sh /in_zip"]},
  {"name": "app", "kernel_options": ["quiet"], "files": {"in_app": "in_app"},
   "init": ["start app /usr/bin/sh /in_app"]}],
 "links": [{"name": "zip", "appliance": "zip", "application": "app", "size": "1M"},
           {"name": "go", "appliance": "zip", "application": "app", "size": "1M"}]}
END
timeout 240 "$vine" guest run plan.json >console 2>&1 &
machines=$!
awaits 'app | there    link zip  .*application here, 1 MiB; appliance there, .*attached; process [0-9]* (vine)'
awaits 'app | there    doorbell  .*rings for process [0-9]* (vine)'
awaits 'app | there    link go  .*nobody has it'
awaits 'app | killing the application'
! grep -E '^app \| (there|partly|missing) +(QEMU|KVM|apt) ' console || fail "what its host does is missed"
# Who watches tells it, or who comes next, whoever looks first.
awaits 'zip | .*closed: the other side is gone: .*'
awaits 'app | .*ready at /run/two'
awaits 'zip | killing the appliance'
awaits 'app | .*lost the appliance at pci:zip'
awaits 'zip | .*link zip: .*has died, and the other end is told'
kill -TERM "$machines"
code=0
wait "$machines" || code=$?
[ "$code" = 143 ] || fail "vine guest run ended with $code"
