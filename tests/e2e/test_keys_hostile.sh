#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Code of others in the appliance's own process does not get at its keys: not in memory, not in
# their files, not through the process that has them; nor does a micro-process. As an ordinary user,
# and as root, who may do all that to any other process.
. "$(dirname "$0")/lib.sh"

plugin=$VINE_BUILD_DIR/tests/plugins/thief.so
beside=$(dirname "$vine")
me=$(id -u)

hex() { od -An -v -tx1 "$@" | tr -d ' \n'; }

# What `steal` is asked: the key's bytes, none of which is there as it is, and where its file lies.
# A byte of which nothing is left by the mask would end a text of the shell.
masked() { # KEY_HEX FILE
    echo "$1" | sed 's/../& /g' | tr ' ' '\n' | while read -r byte; do
        [ -z "$byte" ] || printf "\\$(printf %o $((0x$byte ^ 0x5a)))"
    done
    printf '%s\n' "$2"
}

# found FILE [PROCEDURE]: the two words of the result.
found() {
    $as "$vine" run "${2:-steal}" --chunk 4096 -a "$address" "$1" 2>said | cut -d ' ' -f 1 >result
    [ -s result ] || fail "it does not run: $(cat said)"
    ways=$((0x$(cut -c 1-2 result))) processes=$((0x$(cut -c 17-18 result)))
}

# Everything of one user, in a folder of theirs.
attack() {
    mkdir -p theirs
    chmod 755 theirs
    mkdir -m 700 theirs/keys theirs/procs
    head -c 32 /dev/urandom >theirs/keys/alpha
    openssl rand -hex 32 >theirs/keys/beta
    chmod 600 theirs/keys/*
    cp "$plugin" theirs/procs/thief.so
    chmod 700 theirs/procs/thief.so
    masked "$(hex theirs/keys/alpha)" "$PWD/theirs/keys/alpha" >alpha
    masked "$(cat theirs/keys/beta)" "$PWD/theirs/keys/beta" >beta
    [ "$(head -c 32 alpha | wc -c)" = 32 ] || fail "the masked key has another length"
    head -c 200000 /dev/urandom >plain
    [ -z "$as" ] || chown -R 65534:65534 theirs
    chmod 644 alpha beta plain
    address=$PWD/theirs/socket

    # Without keys of its own, the same code finds its own secret in memory and the key's file: it
    # can find what is there to be found. What it finds of other appliances' processes of keys on
    # this machine, which another test may have, says nothing.
    start --procs "$PWD/theirs/procs"
    $as "$vine" run wander -a "$address" alpha 2>said | cut -c 1-2 >result
    [ "$(cat result)" = 01 ] || fail "it does not find its own secret: $(cat result said)"
    found alpha
    [ $((ways & 2)) = 2 ] || fail "as a control it finds $ways"
    end

    start --procs "$PWD/theirs/procs" --keys "$PWD/theirs/keys"
    ! grep -q 'has no Landlock' serves || skip "this kernel has no Landlock, and says so"
    for round in 1 2 3; do
        # With tasks of all kinds just done, and with contexts in use.
        $as "$vine" run seal --key alpha -a "$address" -o "$PWD/theirs/out.$round" plain 2>said ||
            fail "$(cat said)"
        $as "$vine" run seal --key beta -a "$address" -o "$PWD/theirs/more.$round" plain 2>said-more &
        for name in alpha beta; do
            found $name
            [ $ways = 0 ] || fail "the thief has $name by the ways $ways"
            [ $processes -ge 2 ] || fail "it saw $processes processes"
        done
        wait $!
        $as "$vine" run open -a "$address" -o "$PWD/theirs/back.$round" \
            "theirs/out.$round/plain.sealed" 2>said || fail "$(cat said)"
        cmp plain "theirs/back.$round/plain" || fail "other bytes"
    done
    # A new process of keys is as closed as the first.
    keeper=$(pgrep -P "$(pgrep -P "$server" -x vine-keys)" -x vine-keys)
    kill -KILL "$keeper"
    until_true $as "$vine" run seal --key alpha -a "$address" -o "$PWD/theirs/again" plain
    found alpha
    [ $ways = 0 ] || fail "after a restart the thief has it by the ways $ways"
    end

    # Nor does a micro-process, whatever keeps it from others. It finds its own secret.
    for isolation in none mprotect pku; do
        begin --procs "$PWD/theirs/procs" --keys "$PWD/theirs/keys" --isolate $isolation \
            --run-limit 0
        if grep -q -e '--isolate pku' serves; then
            echo "left out: $(cat serves)"
            continue
        fi
        wait_for_thief
        $as "$vine" run wander_inside --chunk 4096 -a "$address" alpha 2>said | cut -c 1-2 >result
        [ "$(cat result)" = 01 ] || fail "$isolation: it does not find its own: $(cat result said)"
        $as "$vine" run seal --key alpha -a "$address" -o "$PWD/theirs/$isolation" plain 2>said ||
            fail "$(cat said)"
        for name in alpha beta; do
            found $name steal_inside
            [ $ways = 0 ] || fail "a micro-process ($isolation) has $name by the ways $ways"
            [ $processes -ge 2 ] || fail "a micro-process ($isolation) saw $processes processes"
        done
        end
    done
    rm -rf theirs
}

# begin OPTION...: the appliance's own pid is in $server.
begin() {
    : >serves # what the last one said is not what this one says
    $as "$vine" appliance --listen "$address" --memory 64M "$@" >serves 2>&1 &
    server=$!
    until_true sh -c "grep -q ready serves || ! kill -0 $server"
}

# The libraries are loaded a moment later.
wait_for_thief() {
    grep -q ready serves || fail "$(cat serves)"
    until_true sh -c "$as $vine procs -a $address | grep -q ^steal"
}

start() {
    begin "$@"
    wait_for_thief
}

end() {
    kill -TERM "$server"
    code=0
    wait "$server" || code=$?
    [ $code = 0 ] || fail "the appliance ended with $code: $(cat serves)"
}

as=
attack
if [ "$me" = 0 ]; then
    become_other
    cp "$beside/vine-keys" "$beside/vine-appliance" "$scratch"
    chmod 755 "$scratch/vine-keys" "$scratch/vine-appliance"
    attack
fi
