#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Named segments that are not as they should be: an application, and who asks the doctor, is told
# what is wrong and where, in time; an appliance makes anew what is Vine's and nobody's, and leaves
# alone what is not.
. "$(dirname "$0")/lib.sh"

printf 'good\n' >good
sum=$(sha256sum good)
address=$scratch/live
serve --listen "file:$scratch/live"
[ "$("$vine" run sha256 -a "file:$scratch/live" good 2>said)" = "$sum" ] || fail "a good one"
cp live model

# In use by an appliance, and by an application.
expect 75 "$vine" appliance --listen "file:$scratch/live"
said "cannot listen at file:$scratch/live: .*is in use by an appliance, process $serving"
stop
serve --listen "file:$scratch/live" --verbose
"$vine" bench --seconds 60 -a "file:$scratch/live" >/dev/null 2>&1 &
holder=$!
until IFS= read -r line <&3 && case $line in *opened) true ;; *) false ;; esac; do :; done
expect 75 "$vine" run sha256 -a "file:$scratch/live" good
said "is in use by an application, process $holder"
kill "$holder"
wait "$holder" 2>/dev/null || :
[ "$("$vine" run sha256 -a "file:$scratch/live" good 2>said)" = "$sum" ] || fail "after it went"
stop

# patched NAME OFFSET BYTES: a copy with other bytes there.
patched() {
    cp model "$1"
    printf "$3" | dd of="$1" bs=1 seek="$2" conv=notrunc status=none
}
: >empty
head -c 1000 model >short
head -c 5000 model >cut
patched foreign 0 'NOTASEG!'
patched version 8 '\143\0'
patched initializing 12 '\1\0\0\0'
patched corrupted 12 '\3\0\0\0'
patched status 12 '\77\0\0\0'
patched fingerprint 16 'xxxxxxxx'
patched size 40 '\0\0\0\0\1'
printf 'a text of mine\n' >text
mkdir folder
mkfifo fifo
ln -s model link

# refused FILE WORDS: in time, by an application.
refused() {
    expect 69 timeout 100 "$vine" run sha256 -a "file:$scratch/$1" good
    said "$scratch/$1"
    said "$2"
}
refused missing 'No such file'
refused empty 'is empty (VINE_ETRUNCATED)'
refused short 'VINE_ETRUNCATED'
refused cut 'claims 16777216 bytes at offset 40 and has 5000 (VINE_ETRUNCATED)'
refused foreign 'at offset 0.*VINE_EMAGIC'
refused version 'major version 99 at offset 8.*VINE_EVERSION'
refused initializing 'VINE_ECORRUPT'
refused corrupted 'status 3 (corrupted) at offset 12 (VINE_ECORRUPT)'
refused status 'VINE_ECORRUPT'
refused fingerprint 'at offset 16.*VINE_EFINGERPRINT'
refused size 'claims 4294967296 bytes at offset 40.*VINE_ETRUNCATED'
refused text 'VINE_ETRUNCATED'
refused folder 'is not a regular file'
refused fifo 'not a regular file'
refused link 'symbolic link'
refused model 'no appliance lives in'
chmod 622 model
expect 77 "$vine" run sha256 -a "file:$scratch/model" good
said 'can be written by others'
chmod 600 model

# surveyed STATUS FILE WORDS: what the doctor says of it, who changes nothing.
surveyed() {
    cp "$2" before
    expect "$1" timeout 100 "$vine" doctor --segment "file:$scratch/$2" >shown
    grep -q "$3" shown || { cat shown; fail "doctor --segment $2: no '$3'"; }
    cmp "$2" before || fail "the doctor changed $2"
}
surveyed 0 model '^0 inconsistencies$'
surveyed 1 empty 'wrong at offset 0, header: 0 bytes; expected 4096 at least'
surveyed 1 short 'header: 1000 bytes; expected 4096 at least'
surveyed 1 cut 'size_bytes 16777216; expected 5000 at most'
surveyed 1 foreign 'magic .*; expected'
surveyed 1 version 'offset 8, header: major version 99; expected 2'
surveyed 1 initializing 'status 1 (initializing); expected somebody alive'
surveyed 1 corrupted 'offset 12, header: status 3 (corrupted); expected 2'
surveyed 1 fingerprint 'offset 16, header: fingerprint'
surveyed 1 size 'size_bytes 4294967296; expected 16777216 at most'
surveyed 1 text '15 bytes; expected 4096 at least'
expect 69 "$vine" doctor --segment "file:$scratch/missing"
said 'missing: No such file'
expect 1 "$vine" doctor --segment "file:$scratch/fifo"
said 'is not a regular file'
expect 2 "$vine" doctor --segment file:
said 'names nothing'
expect 1 "$vine" doctor --json --segment "file:$scratch/version" >shown
grep -q '"offset": 8' shown || fail 'doctor --segment --json'

# What is a segment's is made anew.
for file in empty cut version initializing corrupted status fingerprint size; do
    address=$scratch/$file
    serve --listen "file:$scratch/$file"
    [ "$("$vine" run sha256 -a "file:$scratch/$file" good 2>said)" = "$sum" ] ||
        fail "$file was not made anew"
    stop
done
# What is not is left as it was.
for file in short foreign text folder fifo link; do
    [ -f "$file" ] && cp "$file" before
    expect 1 timeout 100 "$vine" appliance --listen "file:$scratch/$file"
    said "cannot listen at file:$scratch/$file: "
    [ ! -f "$file" ] || cmp "$file" before || fail "$file was changed"
done
# But for who says so.
printf 'shm_file %s\nshm_size 1M\nshm_trunc 1\n' "$scratch/text" >"$HOME/.vinetalk"
address=$scratch/text
serve --listen vinetalk:
# It is small: what does not fit is refused before any work.
expect 2 "$vine" run sha256 --chunk 1M good
said 'chunks of 1048576 bytes do not fit'
[ "$("$vine" run sha256 --chunk 64K good 2>said)" = "$sum" ] || fail "shm_trunc"
stop
