# SPDX-License-Identifier: Apache-2.0
# test: timeout=400
#
# What befalls a VM server: a guest that does not hear its power button, a pool that is full, a second
# server at its pool, and kill -9 in the middle of each verb that writes.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
. "$VINE_SOURCE_DIR/tests/e2e/vm_server.sh"
PATH=$PATH:/usr/sbin:/sbin
needs_guests mkfs.ext4 e2fsck jq
chmod 711 "$scratch"
socket=$scratch/run/control.sock
seed=${VINE_TEST_SEED:-$$}
echo "VINE_TEST_SEED=$seed"
undo() {
    "$vine" down farm -s "$socket" --timeout 1ms >/dev/null 2>&1 || :
}
serve() {
    # shellcheck disable=SC2086
    begin_server --pool ./farm $server_options
    ! grep -q 'vine server: pool ' serving || fail "a pool is not there: $(cat serving)"
}
is_well() {
    [ "$("$vine" pool check farm 2>&1)" = 'farm: well' ] || fail "not well: $("$vine" pool check farm 2>&1)"
    e2fsck -fn farm.img >fsck 2>&1 || fail "unclean: $(cat fsck)"
    [ -z "$(ls state/machines)" ] || fail "left in state/machines: $(ls state/machines)"
}

build_guest guest --quiet
head -c 2000000 /dev/urandom >one
head -c 1500000 /dev/urandom >two
echo '{"kernel_options": ["quiet"]}' >configuration
"$vine" pool create second --size 16M
"$vine" pool create farm --size 160M
"$vine" pool add farm deaf --guest guest --memory 128M --kernel-option panic=0 --kernel-option rdinit=/nothing
"$vine" pool add farm base --kernel one
serve

# Nobody else has the pool meanwhile.
: >refused
# shellcheck disable=SC2086
"$vine" server --pool ./farm --state other --runtime else $server_options 2>refused &
second=$!
until grep -q ': ready: 0 of 1 pool' refused; do
    kill -0 "$second" 2>/dev/null || fail "it has ended: $(cat refused)"
    command sleep 0.05
done
grep -q 'farm.img: somebody else is changing it, or serves it' refused || fail "not told: $(cat refused)"
kill -TERM "$second"
wait "$second" || fail "the second server: $(cat refused)"
expect 75 "$vine" pool rm farm base

# A kernel that found nothing to run hears no button: it is quit after the time, twice in a row.
for turn in 1 2; do
    expect 0 "$vine" vm start deaf -s "$socket"
    until "$vine" vm log deaf -s "$socket" | grep -q 'Kernel panic'; do command sleep 0.1; done
    expect 0 "$vine" vm stop deaf --timeout 1s -s "$socket" >shown
    grep -q 'deaf: off: quit' shown || fail "$turn: $(cat shown)"
done

# Too much for the pool: told, and nothing is changed.
head -c 200M /dev/zero | tr '\000' x >large
expect 1 "$vine" vm disk deaf root large -s "$socket"
said 'full\|room'
expect 0 "$vine" vm show deaf -s "$socket" --json >shown
jq -e '.configuration.disks // [] == []' shown >/dev/null || fail "changed: $(cat shown)"
rm large

# verb COMMAND...: the server is killed within a tenth of a second of it; the verb ends all the same,
# and the next server finds a pool that is well.
verb() {
    "$@" -s "$socket" >/dev/null 2>&1 &
    running=$!
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    command sleep "0.0$(printf '%03d' $((seed / 65536 % 1000)))"
    kill -KILL "$server"
    wait "$server" 2>/dev/null || :
    wait "$running" || :
    serve
}
for turn in 1 2; do
    verb "$vine" client add alice --pool farm
    "$vine" client add alice --pool farm -s "$socket" >/dev/null 2>&1 || :
    verb "$vine" vm create web --owner alice --kernel one
    verb "$vine" vm kernel base two
    verb "$vine" vm initrd base one
    verb "$vine" vm disk base root one
    verb "$vine" vm limits base --memory "$((256 + turn))M"
    verb "$vine" vm configure base configuration
    verb "$vine" client give base alice
    verb "$vine" vm rm base
    verb "$vine" up second
    verb "$vine" down second --close
    verb "$vine" vm start deaf
    "$vine" vm start deaf -s "$socket" >/dev/null 2>&1 || :
    expect 0 "$vine" vm wait deaf running -s "$socket" --timeout 100s
    verb "$vine" vm stop deaf --timeout 1s
    "$vine" vm kill deaf -s "$socket" >/dev/null 2>&1 || :
    expect 0 "$vine" vm wait deaf off -s "$socket" --timeout 100s
    "$vine" client ls -s "$socket" --json | jq -e '.clients | length == 1' >/dev/null || fail "clients: $("$vine" client ls -s "$socket" --json)"
    for vm in $("$vine" vm ls -s "$socket" --json | jq -r '.[] | select(.name != "deaf").name'); do
        expect 0 "$vine" vm rm "$vm" -s "$socket"
    done
    verb "$vine" client rm alice
    "$vine" client rm alice -s "$socket" >/dev/null 2>&1 || :
    "$vine" client ls -s "$socket" --json | jq -e '.clients == []' >/dev/null || fail "clients: $("$vine" client ls -s "$socket" --json)"
    end_server
    is_well
    [ "$("$vine" pool check second 2>&1)" = 'second: well' ] || fail "not well: $("$vine" pool check second 2>&1)"
    "$vine" pool add farm base --kernel one
    serve
done
end_server
