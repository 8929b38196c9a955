# SPDX-License-Identifier: Apache-2.0
# test: timeout=1000
#
# What other users of the host may plant where a VM server is about to make something: folders, links
# and files in a folder that all may write to. None is followed or written to, and each is told.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
PATH=$PATH:/usr/sbin:/sbin
needs_guests mkfs.ext4 jq
chmod 711 "$scratch"
socket=$scratch/run/control.sock
undo() { kill_machines; }
# refused STATUS PATTERN OPTION...: no server begins, says why, and touches nothing of the victim's.
refused() {
    status=$1 pattern=$2
    shift 2
    # shellcheck disable=SC2086
    expect "$status" "$vine" server $server_options "$@"
    said "$pattern"
    is_untouched
}
is_untouched() {
    [ "$(cat victim/file)" = precious ] || fail "written to: $(cat victim/file)"
    [ "$(ls -A victim)" = file ] || fail "made in there: $(ls -A victim)"
}
# as_other COMMAND...: as another user where we may, else as ourselves.
as_other() {
    if [ "$(id -u)" = 0 ]; then
        setpriv --reuid=65534 --regid=65534 --clear-groups "$@"
    else
        "$@"
    fi
}

mkdir victim
echo precious >victim/file
chmod 777 victim
chmod 666 victim/file

# ---- folders: another's, a link, one into which others write; and below one of ours.
mkdir -m 1777 shared
as_other ln -s "$scratch/victim" shared/link
refused 1 'shared/link: it is no folder' --state shared/link --runtime run
refused 1 'shared/link: it is no folder' --state state --runtime shared/link
as_other mkdir -m 777 shared/theirs
refused 77 "shared/theirs: \(it is user\|others may write\)" --state shared/theirs --runtime run
refused 77 "shared/theirs: \(it is user\|others may write\)" --state state --runtime shared/theirs
as_other touch shared/file
refused 1 'shared/file: it is no folder' --state shared/file --runtime run
mkdir -m 700 -p half
for name in machines logs; do
    ln -s "$scratch/victim" half/$name
    refused 1 "half/$name: it is no folder" --state half --runtime run
    rm half/$name
done
ln -s "$scratch/victim/file" half/clients.json
refused 1 'half/clients.json' --state half --runtime run
rm -r half

# ---- files: one that is written anew takes the place of a link, and a log is not followed.
build_guest guest --quiet
"$vine" pool create farm --size 400M
for name in plain linked filed kept; do
    "$vine" pool add farm $name --guest guest --memory 128M --kernel-option panic=0 \
        --kernel-option rdinit=/nothing >/dev/null
done
uid_of() {
    "$vine" pool show farm "$1" --json | jq -r .uid
}
mkdir -m 1777 consoles
chmod 1777 consoles
as_other ln -s "$scratch/victim/file" "consoles/$(uid_of linked)-vttyS0"
as_other touch "consoles/$(uid_of filed)-vttyS0"
linked_before=$(stat -c %i "consoles/$(uid_of linked)-vttyS0")
rm -rf state run
mkdir -m 711 state run state/logs
for name in clients.json.new pools.json.new running.json.new; do
    ln -s "$scratch/victim/file" state/$name
done
ln -s "$scratch/victim/file" run/machines.json.new
ln -s "$scratch/victim/file" "state/logs/$(uid_of kept).log"
begin_server --pool ./farm --console-links "$scratch/consoles" --accelerator tcg
expect 0 "$vine" client add alice --pool farm -s "$socket"
for name in plain linked filed; do
    expect 0 "$vine" vm start $name -s "$socket" --timeout 300s
done
[ -L "consoles/$(uid_of plain)-vttyS0" ] || fail "no console: $(ls consoles)"
for name in linked filed; do
    until_true grep -q "$name: .*$(uid_of $name)-vttyS0 cannot be made: somebody else has a file there" serving
done
is_untouched
[ "$(stat -c %i "consoles/$(uid_of linked)-vttyS0")" = "$linked_before" ] || fail "it was replaced"
expect 1 "$vine" vm start kept -s "$socket"
said "$(uid_of kept).log"
is_untouched
case $("$vine" vm console linked --json -s "$socket" | jq -r .console) in
/dev/pts/*) ;;
*) fail "the console is not told" ;;
esac
for name in plain linked filed; do
    expect 0 "$vine" vm kill $name -s "$socket"
    expect 0 "$vine" vm wait $name off -s "$socket"
done
[ ! -L "consoles/$(uid_of plain)-vttyS0" ] || fail "the console is left"
[ -L "consoles/$(uid_of linked)-vttyS0" ] && [ -f "consoles/$(uid_of filed)-vttyS0" ] || fail "removed"
is_untouched
end_server

# ---- an address: what is no socket is left, and told.
ln -s "$scratch/victim/file" run/control.sock
refused 1 'control.sock is there, and is no socket' --state state --runtime run
[ -L run/control.sock ] || fail "it was replaced"
