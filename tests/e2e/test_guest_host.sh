# SPDX-License-Identifier: Apache-2.0
#
# A process of the host is an end of a link to a virtual machine: as the application, and as the
# appliance. One at a time has it; its leaving and its death are told to the machine. And a QEMU
# whose devices are smaller than the status page says: the machine has no such link, and the others.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
needs_guests sha256sum

cat >plan.json <<'END'
{"guest": "guest", "machines": [{"name": "host"}]}
END
expect 2 "$vine" guest run plan.json
said 'this name stands for a process'
cat >plan.json <<'END'
{"guest": "guest", "machines": [{"name": "vm"}],
 "links": [{"name": "zip", "application": "host", "appliance": "host"}]}
END
expect 2 "$vine" guest run plan.json
said 'both ends are the same machine'

build_guest guest
mkdir bin
cat >bin/qemu-system-x86_64 <<END
#!/bin/sh
for word; do
    shift
    case \$word in
    *,size=2097152*) word=\${word%,size=*},size=1048576\${word#*,size=2097152} ;;
    esac
    set -- "\$@" "\$word"
done
exec "$(command -v qemu-system-x86_64)" "\$@"
END
# QEMU's user is another one.
chmod 755 bin bin/qemu-system-x86_64
chmod 711 "$scratch"
cat >plan.json <<'END'
{"guest": "guest", "accelerator": "tcg", "links_max": 5,
 "machines": [
  {"name": "vm", "kernel_options": ["quiet"],
   "init": ["start appliance /usr/bin/vine appliance --verbose --listen pci:auto",
            "start small /usr/bin/vine procs --appliance pci:small",
            "start agent /usr/bin/vine agent --wait --appliance pci:back --listen /run/agent"]}],
 "links": [
  {"name": "small", "application": "vm", "appliance": "host", "size": "2M", "socket": "back-small"},
  {"name": "short", "application": "host", "appliance": "vm", "size": "2M", "socket": "there-short"},
  {"name": "there", "application": "host", "appliance": "vm", "size": "4M", "socket": "there"},
  {"name": "back", "application": "vm", "appliance": "host", "size": "4M", "socket": "back"}]}
END
PATH=$scratch/bin:$PATH timeout 240 "$vine" guest run --control ctl plan.json >console 2>&1 &
machines=$!
awaits 'ready at pci:auto'
awaits 'pci:small: link small: device .* has 1048576 bytes, the host speaks of 2097152'
awaits 'link short: device .* has 1048576 bytes, the host speaks of 2097152'

# An application here.
head -c 300000 /dev/urandom >data
"$vine" run sha256 --quiet --appliance link:there data >sum
[ "$(cut -d' ' -f1 <sum)" = "$(sha256sum data | cut -d' ' -f1)" ] || fail "another sum: $(cat sum)"
awaits 'link there: its process has left'

# One that stays keeps others out, and is told of when it is killed.
"$vine" agent --appliance link:there --listen "$scratch/near" 2>agent &
serving=$!
until grep -q 'ready at' agent; do
    kill -0 "$serving" || fail "no agent: $(cat agent)"
    command sleep 0.1
done
expect 75 "$vine" procs --appliance link:there
said 'another process has the link'
kill -KILL "$serving"
awaits 'link there: its process has died'
awaits 'pipe 2 .*closed: .*the machine at the other end of link there is lost'
serving=
"$vine" procs --appliance link:there | grep -q '^sha256' || fail "the end is not free again"

# An appliance here.
"$vine" appliance --listen link:back 2>appliance &
serving=$!
awaits 'vine agent: ready at /run/agent'
kill -KILL "$serving"
serving=
awaits 'lost the appliance at pci:back'

# One that is plugged while the machine runs, taken, and unplugged under who has it.
expect 1 "$vine" guest ctl ctl plug more host host 4M
said 'both ends are the same machine'
expect 1 "$vine" guest ctl ctl plug more hosts vm 4M
said 'there is no such machine'
"$vine" guest ctl ctl plug more host vm 4M
awaits 'link more: for a process of this machine: '
more=$(sed -n 's/.*link more: for a process of this machine: //p' console)
awaits 'vine appliance: link more: listening'
"$vine" run sha256 --quiet --appliance "link:$more" data >sum
[ "$(cut -d' ' -f1 <sum)" = "$(sha256sum data | cut -d' ' -f1)" ] || fail "another sum: $(cat sum)"
"$vine" guest ctl ctl ls | grep -q 'more .*host' || fail "$("$vine" guest ctl ctl ls)"
"$vine" guest ctl ctl unplug more
awaits 'vine appliance: link more: unplugged'
[ ! -e "$more" ] || fail "its socket is left behind"
expect 69 "$vine" procs --appliance "link:$more"

kill -TERM "$machines"
code=0
wait "$machines" || code=$?
[ "$code" = 143 ] || fail "vine guest run ended with $code"
[ -z "$(ls there* back* 2>/dev/null)" ] || fail "sockets are left behind"
expect 69 "$vine" procs --appliance link:there
said 'nobody hands out a link'
