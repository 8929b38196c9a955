#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# What the command refuses, before it does anything, and what it says of itself.
. "$(dirname "$0")/lib.sh"

mkdir -p one two/sub
printf 1 >one/a
printf 2 >two/a
printf 3 >two/sub/b

expect 2 "$vine"
expect 2 "$vine" frobnicate
said "no verb 'frobnicate'"
expect 2 "$vine" vm
said 'Verbs'
expect 2 "$vine" vm frobnicate
said "no verb 'vm frobnicate'"
expect 2 "$vine" help vm frobnicate
said "no verb 'vm frobnicate'"
expect 2 "$vine" run
expect 2 "$vine" run zstd
expect 2 "$vine" run --nothing zstd one
expect 2 "$vine" run zstd one
said 'say where with -o OUT'
expect 2 "$vine" run sha256 --sums one
expect 2 "$vine" run frobnicate one
said 'no procedure frobnicate'
expect 2 "$vine" run noop one
expect 2 "$vine" run zstd --level 99 one -o out
expect 2 "$vine" run zstd --level x one -o out
expect 2 "$vine" run sha256 --level 1 one
expect 2 "$vine" run zstd --chunk 1 one -o out
expect 2 "$vine" run sha256 --in-process --deadline 1s one
said 'it takes no --deadline'
expect 2 "$vine" run unzstd --in-process one -o out
# Nought is a number, and what it means is said.
expect 2 "$vine" run sha256 --jobs 0 one
said "\--jobs: jobs: '0' is not from 1 to 4096"
expect 2 env VINE_JOBS=0 "$vine" run sha256 one
# What is no number, none that fits, or nothing at all, is told as such.
expect 2 "$vine" run sha256 --jobs 99999999999999999999 one
said "\--jobs N takes a number below 2^64, not '99999999999999999999'"
expect 2 "$vine" run sha256 --jobs many one
said "\--jobs N takes a number, not 'many'"
expect 2 "$vine" appliance --listen ''
said "\--listen ADDRESS is empty"
expect 2 "$vine" bench --rounds 0
said 'from 1 to'
expect 2 "$vine" bench --seconds 0
expect 2 "$vine" config extra
expect 2 "$vine" help frobnicate
expect 2 "$vine" help --completion tcsh

# An address of no meaning is the user's mistake, and no appliance that is missing.
for wrong in pci:zz vinetalk:/nope vinetalk:/tmp odd:thing; do
    expect 2 "$vine" procs -a "$wrong"
    expect 2 "$vine" appliance --listen "$wrong"
done
expect 1 "$vine" appliance --procs /nonexistent
[ "$(grep -c /nonexistent said)" = 1 ] || fail "what is wrong with --procs is said twice"

# Two arguments whose results are one; an output that is an argument.
expect 2 "$vine" run zstd one two -o out
said 'a.zst'
expect 2 "$vine" run zstd one/a two/a -o out
expect 2 "$vine" run zstd one ./one/ -o out
expect 2 "$vine" run zstd one -o one
[ ! -e out ] || fail "something was made of what was refused"
[ -z "$(ls "$XDG_RUNTIME_DIR")" ] || [ -z "$(ls "$XDG_RUNTIME_DIR/vine")" ] ||
    fail "a socket is left"
expect 0 "$vine" run zstd one two/sub -o out

# Nothing but data on standard output; no escapes off a terminal.
"$vine" run sha256 one >own 2>said
[ "$(cat own)" = "$(sha256sum one/a)" ] || fail "stdout has more than data"
if grep -q "$(printf '\033')" own said; then fail "escapes off a terminal"; fi
"$vine" run sha256 -q one >own 2>said
[ ! -s said ] || fail "--quiet says something"

# A reader that goes away, and a full device, are failures.
if [ -e /dev/full ]; then
    got=0
    "$vine" run sha256 one >/dev/full 2>said || got=$?
    [ "$got" = 1 ] || fail "a full device is not noticed: $got"
fi

# Help and man pages come from the same tables; so do completions (test_completion.sh).
for verb in run appliance procs pipes config doctor bench "guest build" "guest run" "guest ctl" "guest bells" \
    "pool create" "pool ls" "pool show" "pool check" "pool add" "pool rm" "pool export" server up down \
    "vm create" "vm ls" "vm show" "vm start" "vm stop" "vm restart" "vm kill" "vm console" "vm log" \
    "vm events" "vm wait" "vm configure" "vm rm" "vm kernel" "vm initrd" "vm disk" "vm limits" \
    "client add" "client ls" "client rm" "client give" help version; do
    "$vine" $verb --help >shown || fail "$verb --help"
    grep -q "usage: vine $verb" shown || fail "$verb --help has no usage"
    "$vine" help $verb | cmp - shown || fail "vine help $verb is another"
    "$vine" help --man $verb >page
    grep -q '^.SH OPTIONS' page || fail "no man page of $verb"
    for option in $(sed -n 's/^  *\(-[a-z], \)\{0,1\}\(--[a-z-]*\).*/\2/p' shown); do
        grep -q "$(printf '%s' "$option" | sed 's/-/\\\\-/g')" page ||
            fail "$option of $verb has no place in its page"
    done
done
# A verb that becomes a program has all of that one's options in its page, the reactors' included.
if [ -x "$VINE_BUILD_DIR/vine-serve" ]; then
    "$vine" help --man serve >page || fail "no man page of serve"
    "$vine" serve --help | sed -n 's/^  \(--[a-z-]*\).*/\1/p' >shown
    [ "$(wc -l <shown)" -ge 36 ] || fail "vine serve --help has $(wc -l <shown) options"
    while read -r option; do
        grep -q "^\.B $(printf '%s' "$option" | sed 's/-/\\\\-/g')\( \|\\\\fR\|$\)" page ||
            fail "$option of serve has no place in its page"
    done <shown
    grep -q '^.SH EXIT STATUS' page || fail "vine-serve.1 does not say how it ends"
fi
"$vine" help --man >page
grep -q "EXIT STATUS" page || fail "vine.1"
grep -q VINE_SYSFS page || fail "vine.1 has not all of the environment"
# One list of the forms of an address, which the guide has too.
"$vine" help >shown
for form in PATH NAME file:PATH shm:NAME pci:BDF pci:auto vinetalk: vinetalk:FILE; do
    grep -q "^  $form  " shown || fail "vine help does not list $form"
    grep -qx "\.B $form" page || fail "vine.1 does not list $form"
    grep -q "$form" "$VINE_SOURCE_DIR/docs/guides/operation.md" || fail "the guide lacks $form"
done
for verb in run appliance procs pipes config bench; do
    "$vine" $verb --help | grep -q 'lists the forms of an ADDRESS' ||
        fail "$verb --help does not say where addresses are explained"
    "$vine" help --man $verb | grep -q 'forms of an' || fail "vine-$verb.1 has no such word"
done
# A group of verbs has a page and a help, which say what it is and list its verbs.
"$vine" help --man >whole
for group in guest pool vm client; do
    "$vine" help --man $group >page || fail "no man page of $group"
    grep -qi "^\.TH \"vine-$group\"" page || fail "vine-$group.1 has another title: $(head -n 1 page)"
    "$vine" $group --help >shown
    "$vine" help $group | cmp - shown || fail "vine help $group is another"
    for section in NAME SYNOPSIS DESCRIPTION VERBS 'SEE ALSO'; do
        [ "$(grep -c "^\.SH $section$" page)" = 1 ] || fail "vine-$group.1 has no $section"
    done
    for verb in $("$vine" help | sed -n "s/^  $group \([a-z]*\)  .*/\1/p"); do
        grep -qx "\.B $group $verb" page || fail "vine-$group.1 does not list $verb"
        grep -q "^\.BR vine-$group-$verb (1)" page || fail "vine-$group.1 does not name the page of $verb"
        grep -q "^  $group $verb  " shown || fail "vine help $group does not list $verb"
        "$vine" help --man $group $verb | grep -q "^\.BR vine-$group (1)" ||
            fail "vine-$group-$verb.1 does not name the page of its group"
    done
    grep -q "^\.BR vine-$group (1)" whole || fail "vine.1 does not name vine-$group.1"
    "$vine" help --json $group | grep -q "\"name\": *\"$group\"" || fail "help --json knows no $group"
done
"$vine" --version >shown
grep -q '^vine [0-9]' shown || fail "--version"
"$vine" version --json >shown
grep -q '"version"' shown || fail "version --json"
