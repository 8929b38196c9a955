#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Keys that an appliance uses and does not have: files are sealed and opened by them, by their
# names; what was spoiled does not open; keys that are not kept well are refused; and what keeps
# them is started anew whenever it is killed.
. "$(dirname "$0")/lib.sh"

runs() { "$vine" run "$@" -a "$address" 2>"$scratch/said"; }

mkdir -m 700 keys
head -c 32 /dev/urandom >keys/alpha
openssl rand -hex 32 >keys/beta.2026
chmod 600 keys/*

# ---- refusals: of keys, before anything listens ----
refuse() {
    expect "$1" "$vine" appliance --listen "$address" --keys keys
    said "$2"
    [ ! -e "$address" ] || fail "it listens all the same"
}
expect 2 "$vine" appliance --listen "$address" --keys nowhere
said 'nowhere: No such file'
expect 2 "$vine" appliance --listen "$address" --keys "$vine"
chmod 640 keys/alpha
refuse 77 'keys/: alpha: others may read\|keys: alpha: others may read'
chmod 600 keys/alpha
chmod 777 keys
refuse 77 'keys: others may write it'
chmod 700 keys
echo "not a key, but a secret" >keys/gamma
chmod 600 keys/gamma
refuse 2 'gamma: neither 32 bytes nor 64 hexadecimal digits'
! grep -q secret said || fail "what is in a file is told"
rm keys/gamma
ln -s alpha keys/link
refuse 2 'link: a symbolic link'
rm keys/link
mkdir -m 700 keys/procs
expect 2 "$vine" appliance --listen "$address" --keys keys/procs --procs keys
said 'may not be in that of the procedure libraries'
rmdir keys/procs
mkdir -m 700 empty
expect 2 "$vine" appliance --listen "$address" --keys empty
said 'there is no key in it'
[ -z "$(ls "$XDG_RUNTIME_DIR/vine")" ] || fail "left behind: $(ls "$XDG_RUNTIME_DIR/vine")"

# Without an appliance that has keys there is no such procedure; and a key is needed, and known.
echo text >one
expect 2 "$vine" run seal --key alpha one -o out
said 'no procedure seal'
serve --keys keys
expect 2 runs seal one -o out
said 'seal needs a key: --key NAME'
expect 2 runs zstd --key alpha one -o out
said 'zstd takes no --key'
for name in nobody ../keys/alpha alph 'alpha ' ALPHA .; do
    expect 1 runs seal --key "$name" one -o out
    said 'one: key .*: the appliance has no such key'
done
expect 2 runs seal --key '' one -o out
expect 2 runs seal --key "$(head -c 65 /dev/zero | tr '\0' x)" one -o out
expect 2 runs seal --in-process --key alpha one -o out
said 'does not know what seal does'
"$vine" procs -a "$address" >shown
grep -q '^seal ' shown && grep -q '^ *bytes *key *1 B to 64 B' shown || fail "procs shows $(cat shown)"

# ---- round trips: sizes at which something changes, and chunks of each kind ----
mkdir src
for size in 0 1 15 16 65535 65536 65537 131072 1048576 3000001; do
    head -c $size /dev/urandom >src/$size
done
for chunk in 4K 64K 100000 1M; do
    rm -rf out back
    runs seal --key alpha --chunk $chunk src -o out || fail "sealing by $chunk"
    runs open out -o back || fail "opening what was sealed by $chunk"
    runs open --chunk 12345 --key alpha out -o back.2 || fail "in other chunks"
    for size in 0 1 15 16 65535 65536 65537 131072 1048576 3000001; do
        cmp src/$size back/$size || fail "$size by $chunk"
        cmp src/$size back.2/$size || fail "$size by $chunk"
        chunks=$(((size + 65535) / 65536))
        [ $chunks -gt 0 ] || chunks=1
        [ "$(stat -c %s out/$size.sealed)" = $((64 + size + 16 * chunks)) ] || fail "size of $size"
    done
    rm -rf back.2
done
# Run again, what is there is not sealed anew; with another key it is.
runs seal --key alpha --chunk 1M src -o out
said '0 files done, 10 unchanged'
cp out/1.sealed first
runs seal --key beta.2026 src -o out
said '10 files done'
runs open --key beta.2026 out -o back || fail "the other key"
! cmp -s first out/1.sealed || fail "it was not sealed anew"

# ---- OpenSSL's own command, by the format alone: docs/formats/sealed.md ----
hex() { od -An -v -tx1 "$@" | tr -d ' \n'; }
key=$(cat keys/beta.2026)
file=out/131072.sealed
id=$(openssl kdf -keylen 16 -kdfopt digest:SHA256 -kdfopt "hexkey:$key" \
    -kdfopt "hexinfo:$(printf 'vine seal key id' | hex)" -binary HKDF | hex)
[ "$(hex -j 16 -N 16 $file)" = "$id" ] || fail "another id"
made=$(openssl kdf -keylen 39 -kdfopt digest:SHA256 -kdfopt "hexkey:$key" \
    -kdfopt "hexsalt:$(hex -j 32 -N 32 $file)" \
    -kdfopt "hexinfo:$(printf 'vine seal file' | hex)$(hex -N 32 $file)" -binary HKDF | hex)
# GCM enciphers as CTR does from its second block on.
undo_chunk() { # INDEX LAST
    tail -c +$((65 + $1 * 65552)) $file | head -c 65536 |
        openssl enc -d -aes-256-ctr -K "$(echo "$made" | cut -c 1-64)" \
            -iv "$(echo "$made" | cut -c 65-78)$(printf '%08x%02x' "$1" "$2")00000002"
}
{
    undo_chunk 0 0
    undo_chunk 1 1
} | cmp - src/131072 || fail "OpenSSL reads something else"

# ---- what was spoiled does not open, and leaves nothing ----
spoil() { # WHAT: of ./bad.sealed
    rm -rf bad
    expect 1 runs open bad.sealed -o bad
    said "bad.sealed: $1"
    [ ! -e bad/bad ] || fail "something came out"
    no_leftovers bad
}
whole=out/3000001.sealed
for at in 64 1000 65615 65616 1500000 3000800; do
    cp $whole bad.sealed
    printf '\377\376' | dd of=bad.sealed bs=1 seek=$at conv=notrunc 2>/dev/null
    spoil 'the data does not authenticate'
done
for size in 64 79 80 65616 131168 3000000; do
    head -c $size $whole >bad.sealed
    spoil 'the data does not authenticate'
done
{ cat $whole; printf x; } >bad.sealed
spoil 'the data does not authenticate'
{ head -c 64 $whole; tail -c +65617 $whole; } >bad.sealed
spoil 'the data does not authenticate'
{ head -c 64 $whole; tail -c +65 out/131072.sealed; } >bad.sealed
spoil 'the data does not authenticate'
head -c 63 $whole >bad.sealed
spoil 'the input is not what'
: >bad.sealed
spoil 'the input is not what'
cp "$vine" bad.sealed
spoil 'the input is not what'
expect 1 runs open --key alpha $whole -o bad
said "key alpha: the appliance has no such key, or the data was sealed with another"

# ---- the process of keys is killed, again and again, while files go through it ----
mkdir many
for i in $(seq 30); do head -c 300000 /dev/urandom >many/$i; done
keepers() { pgrep -P "$(pgrep -P "$serving" -x vine-keys)" -x vine-keys; }
[ -n "$(keepers)" ] || fail "there is no process of keys"
(
    for _ in $(seq 15); do
        until_true keepers >keeper
        # At some moment of what it is doing.
        command sleep 0.$(($(od -An -N1 -tu1 /dev/urandom) % 4 + 1))
        kill -KILL "$(cat keeper)" 2>/dev/null || :
    done
    : >enough
) &
killer=$!
runs_done=0
until [ -e enough ] && [ $runs_done -ge 3 ]; do
    rm -rf back.*
    run=$((runs_done + 1))
    runs seal --key alpha --chunk 64K many -o out.$run || continue
    runs open --chunk 64K out.$run -o back.$run || continue
    runs_done=$run
    for file in $(seq 30); do cmp many/$file back.$run/$file || fail "$file of run $run"; done
done
wait $killer
# No salt came twice: not in what was sealed before a kill and after it either.
for file in out/*.sealed out.*/*.sealed; do hex -j 32 -N 32 "$file"; echo; done | sort >salts
[ "$(wc -l <salts)" = "$(uniq salts | wc -l)" ] || fail "a salt was used twice"
[ "$(wc -l <salts)" -ge 100 ] || fail "there were $(wc -l <salts) files"

# ---- it ends with the appliance, however that ends; a drain has its keys to the end ----
until_true keepers >keeper
kept="$(pgrep -P "$serving" -x vine-keys) $(cat keeper)"
kill -INT $kept && kill -TERM $kept && kill -HUP $kept # as a terminal or systemd would
runs seal --key alpha one -o out || fail "signals have ended it: $(cat said)"
stop
for pid in $kept; do ! kill -0 "$pid" 2>/dev/null || fail "$pid outlives its appliance"; done
[ -z "$(ls "$XDG_RUNTIME_DIR/vine")" ] || fail "left behind: $(ls "$XDG_RUNTIME_DIR/vine")"
serve --keys keys
kept="$(pgrep -P "$serving" -x vine-keys) $(keepers)"
kill -KILL "$serving"
wait "$serving" 2>/dev/null || :
serving=
gone() { for pid in $kept; do ! kill -0 "$pid" || return 1; done; }
until_true gone
[ -z "$(ls "$XDG_RUNTIME_DIR/vine")" ] || fail "left behind: $(ls "$XDG_RUNTIME_DIR/vine")"
