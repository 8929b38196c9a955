#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# `vine appliance --take-over --keys`: files are sealed and opened while the appliance that has the
# keys is replaced, again and again. Each has a process of keys of its own, which it made of its own
# options and which ends with it; nothing of one comes to the next; no salt, and so no nonce, is used
# twice; and what the successor has no key for, it says.
. "$(dirname "$0")/lib.sh"
[ -x "$VINE_BUILD_DIR/vine-appliance" ] || skip "libvine-runtime was not built"
busy='--overprovisioned --blocked-reactor-notify-ms 10000' # others use these processors too

runs() { "$vine" run "$@" -a "$address" 2>"$scratch/said"; }
keepers() { pgrep -P "$1" -x vine-keys; }
hex() { od -An -v -tx1 "$@" | tr -d ' \n'; }

# succeed OPTION...: another one takes its place, and the one before ends well.
succeed() {
    was=$serving
    # shellcheck disable=SC2086
    serve $busy --take-over "$@"
    code=0
    wait "$was" || code=$?
    [ "$code" = 0 ] || fail "the one before ended with $code"
}

# Memory that a process shares with others: of an appliance without pipes, that of the pipe to its
# process of keys.
shared() { sed -n 's/.* \([1-9][0-9]*\) *\/memfd:.*/\1/p' "/proc/$1/maps" | sort -u; }

mkdir -m 700 keys fewer
head -c 32 /dev/urandom >keys/alpha
openssl rand -hex 32 >keys/beta
cp keys/alpha fewer
chmod 600 keys/* fewer/*
mkdir files
for i in $(seq 40); do
    head -c 300000 /dev/urandom >"files/$i"
done
head -c 40000000 /dev/urandom >files/large
echo text >one

# ---- one has nothing of another's ----
# shellcheck disable=SC2086
serve $busy --keys keys
first=$serving
kept=$(keepers "$first")
[ -n "$kept" ] || fail "there is no process of keys"
shared "$first" >shared.first || : >shared.first # where we may not look
folder=$(ls "$XDG_RUNTIME_DIR/vine")
mkdir out
succeed --keys keys
[ "$(keepers "$serving" | wc -l)" = 1 ] || fail "its keys are no child's of the successor"
! kill -0 "$kept" 2>/dev/null || fail "keys of the one before outlive it"
[ "$(ls "$XDG_RUNTIME_DIR/vine" | wc -l)" = 1 ] || fail "more than the folder of one is left"
[ "$(ls "$XDG_RUNTIME_DIR/vine")" != "$folder" ] || fail "the successor has the predecessor's folder"
if shared "$serving" >shared.second; then
    [ -z "$(comm -12 shared.first shared.second)" ] || fail "memory came from the one before"
    [ ! -s shared.first ] || [ -s shared.second ] || fail "no memory of keys was seen"
fi
ls -l "/proc/$serving/fd" | grep -q "$folder" && fail "a descriptor of the keys came from the one before"

# The process of keys leaves its pipe to nobody, not even to its own user.
socket=$XDG_RUNTIME_DIR/vine/$(ls "$XDG_RUNTIME_DIR/vine")/socket
! "$vine" appliance --listen "$socket" --take-over 2>said || fail "keys were left to another"
said 'cannot take over'

# ---- files go on ----
for i in 1 2 3; do
    runs seal --key alpha --chunk 64K files -o "out.$i" &
    sealing=$!
    succeed --keys keys --smp $((i % 2 + 1))
    code=0
    wait $sealing || code=$?
    [ "$code" = 0 ] || fail "sealing ended with $code"
    runs open --chunk 64K "out.$i" -o "back.$i" &
    opening=$!
    succeed --keys keys
    code=0
    wait $opening || code=$?
    [ "$code" = 0 ] || fail "opening ended with $code"
    for file in files/*; do
        cmp "$file" "back.$i/${file#files/}" || fail "$file of run $i"
    done
done
for file in out.*/*.sealed; do hex -j 32 -N 32 "$file"; echo; done | sort >salts
[ "$(wc -l <salts)" = 123 ] || fail "there are $(wc -l <salts) files"
[ "$(uniq salts | wc -l)" = 123 ] || fail "a salt was used twice"

# ---- its own keys, by its own options ----
runs seal --key beta one -o out || fail "$(cat "$scratch/said")"
succeed --keys fewer
expect 1 runs open out -o back
said 'key'
expect 1 runs seal --key beta one -o other
said 'key beta: the appliance has no such key'
succeed
expect 2 runs seal --key alpha one -o other
said 'no procedure seal'
[ -z "$(ls "$XDG_RUNTIME_DIR/vine" 2>/dev/null)" ] || fail "left behind: $(ls "$XDG_RUNTIME_DIR/vine")"
succeed --keys keys
runs open out -o back || fail "$(cat "$scratch/said")"
cmp one back/one
stop
