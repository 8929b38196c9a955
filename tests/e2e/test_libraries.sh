#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Procedure libraries: which files cannot go through their procedures, who may write them, and that
# a new version is taken up under load without a task being dropped.
. "$(dirname "$0")/lib.sh"

plugins=$VINE_BUILD_DIR/tests/plugins

# install PLUGIN NAME: as an installer does, so that nobody sees half of it.
install() {
    cp "$plugins/$1.so" procs/.new
    chmod 700 procs/.new
    mv procs/.new "procs/$2.so"
}

# offers NAME: the appliance has such a procedure.
offers() {
    "$vine" procs -a "$address" | grep -q "^$1 "
}

# expect_refusal FILE WORDS: an appliance that finds it says why it does not take it.
expect_refusal() {
    rm -f refused
    "$vine" appliance --listen "$address" --procs "${1%/*}" 2>refused &
    serving=$!
    until_true grep -q ' ready at ' refused
    grep -q "$1: .*$2" refused || fail "it says: $(cat refused)"
    kill -TERM "$serving"
    wait "$serving" || fail "the appliance ended with $?"
    serving=
}

mkdir -m 700 procs
install odd_arguments odd
serve --procs procs
mkdir src
printf '123456789' >src/nine
printf 'x' >src/one
printf '0123456789abcdef' >src/many

# Refused before any work, with the argument.
expect 2 "$vine" run floats -a "$address" src
said "floats cannot be run on files: its input 'numbers' is of type f32"
expect 2 "$vine" run keyed -a "$address" src
said "keyed needs a key: --key NAME"
expect 2 "$vine" run keyed --key short -a "$address" src
said "keyed takes a key of 16 to 32 bytes, not 'short'"
expect 2 "$vine" run bounded --key sixteen-bytes-16 -a "$address" src
said "bounded takes no --key"
[ "$("$vine" run keyed --key sixteen-bytes-16 -a "$address" src/one)" = '6f646421  src/one' ] ||
    fail "a key of the right size is not taken"
expect 2 "$vine" run bounded -a "$address" --level 0 src
said 'levels 1 to'
# What it cannot do of what it can do is named; the rest is done.
expect 1 "$vine" run bounded -a "$address" --level 7 src >shown
said 'src/one: it has 1 bytes, and bounded takes 2 to 10'
said 'src/many: it has 16 bytes'
[ "$(cat shown)" = '6f646421  src/nine' ] || fail "the file that fits is not done: $(cat shown)"
stop

# Files that somebody else could have written: what is loaded is code of the appliance. One that is
# mended is taken up.
rm procs/odd.so
install version_1 version
chmod 777 procs
expect 77 "$vine" appliance --listen "$address" --procs procs
said 'others may write it'
chmod 700 procs
chmod 722 procs/version.so
serve --procs procs
expect 2 "$vine" run version -a "$address" src
said 'no procedure version'
chmod 700 procs/version.so
until_true offers version
stop
if [ "$(id -u)" = 0 ]; then
    chown 12345 procs/version.so
    expect_refusal procs/version.so 'belongs to user 12345'
fi

# New versions under load: every task of every run ends well, with the one version or the other, and
# once the new one has been seen the old one does not come back.
rm -f procs/*
install version_1 version
serve --procs procs --workers 2
seq 300 | while read -r i; do printf '%s' "$i" >"src/f$i"; done
: >shown
(
    until [ -e enough ]; do
        "$vine" run version -j 16 -a "$address" src 2>>ended | cut -c 1-2 >>shown || exit 1
        grep -q '303 files done' ended || exit 1
        : >ended
    done
) &
load=$!
for version in 2 1 2; do
    until_true sh -c "[ \"\$(tail -n 1 shown)\" = 0$((3 - version)) ]"
    install version_$version version
done
until_true sh -c '[ "$(tail -n 1 shown)" = 02 ]'
: >enough
wait "$load" || fail "a run failed while versions changed: $(cat ended)"
[ "$(sort -u shown)" = "$(printf '01\n02')" ] || fail "something else than two versions answered"
stop
