#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Settings in layers, each with its origin; mistakes in files are named with their line.
. "$(dirname "$0")/lib.sh"

conf=$XDG_CONFIG_HOME/vine/vine.conf
mkdir -p "${conf%/*}"
printf 'good\n' >good

# shows KEY VALUE ORIGIN
shows() {
    shift 0
    "$vine" config >shown 2>said || fail "vine config: $?"
    grep -q "^$1 *$2 *$3$" shown || { cat shown; fail "$1 is not $2 from $3"; }
}

shows jobs 64 'default'
shows shm_file - 'not set'
printf '# mine\n\njobs 5 # few\nappliance from-conf\n' >"$conf"
shows jobs 5 "$conf:3"
shows appliance from-conf "$conf:4"
printf 'appliance = from-vinetalk\n' >"$HOME/.vinetalk"
shows appliance from-vinetalk "$HOME/.vinetalk:1"
VINE_APPLIANCE=from-environment
export VINE_APPLIANCE
shows appliance from-environment '$VINE_APPLIANCE'
"$vine" config --appliance from-option >shown
grep -q '^appliance *from-option *--appliance$' shown || fail "an option does not win"
"$vine" config --json >shown
grep -q '"origin": "$VINE_APPLIANCE"' shown || fail "no origin in JSON"
grep -q '"memfd": "hostile-safe"' shown || fail "no trust class in JSON"
# One device is written by both sides; a link is two, and each side writes one of them.
grep -q '"ivshmem": "one-user"' shown || fail "JSON says too much of ivshmem"
grep -q '"link": "hostile-safe"' shown || fail "JSON says nothing of links"
"$vine" config >shown
grep -q '^  memfd  *the other side can be anybody$' shown || fail "no trust class in text"
grep -q '^  ivshmem  *for parties of one user: one shared device' shown ||
    fail "the text says too much of ivshmem"
grep -q '^  link  *the other side can be anybody: two devices' shown || fail "the text has no link"
unset VINE_APPLIANCE
rm "$HOME/.vinetalk"

shows dispatch_max 0 'default'
shows shares - 'not set'
printf 'dispatch_max 2.5ms\nshares user:0=200\npipes_stay 1\ndeadline 1min\n' >"$conf"
shows dispatch_max 2.5ms "$conf:1"
shows shares user:0=200 "$conf:2"
shows pipes_stay 1 "$conf:3"
shows deadline 1min "$conf:4"

# Mistakes, with file and line, whatever the verb.
for wrong in 'jobs many' 'chunk 1Q' 'jobs' 'jobs 1\njobs 2' 'shm_trunc 2' \
    'jobs 0' 'chunk 1' 'chunk 9999G' 'workers 5000' 'dispatch_max 5' 'dispatch_max 2h' 'pipes_stay 2' 'deadline soon' 'a-key-that-is-far-too-long-to-be-one 1'; do
    printf "# one\n$wrong\n" >"$conf"
    for verb in 'config' 'run sha256 good' 'procs'; do
        expect 2 "$vine" $verb
        said "$conf:[23]: "
    done
done
printf 'jobs 1\0\n' >"$conf"
expect 2 "$vine" config
said "$conf:1: "
rm "$conf"
mkdir "$conf"
expect 2 "$vine" config
said "$conf"
rmdir "$conf"
(
    become_other
    conf=$XDG_CONFIG_HOME/vine/vine.conf
    printf 'jobs 5\n' >"$conf"
    chmod 0 "$conf"
    expect 77 $as "$vine" config
    said "$conf: .*Permission denied"
    expect 77 $as "$vine" run sha256 good
    rm -f "$conf"
)
expect 2 env VINE_JOBS=x "$vine" config
said 'VINE_JOBS'
expect 2 env VINE_CHUNK=9999G "$vine" config
said "VINE_CHUNK: chunk: '9999G' is not from 4K to 256M"
"$vine" run --help | tr -s ' \n' ' ' | grep -q '`chunk`, 4K to 256M, default 1M)' ||
    fail "--help does not tell the limits"

# A key that nobody knows is worth a word.
printf 'jbos 5\n' >"$conf"
expect 0 "$vine" config
said "$conf:1: unknown key"
rm "$conf"

# A segment that the configuration describes only half is an error that names the key.
printf 'shm_file /vine-test-%s\n' "$$" >"$HOME/.vinetalk"
expect 2 "$vine" run sha256 good
said 'shm_size'
