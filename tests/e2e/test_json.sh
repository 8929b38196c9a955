#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# --json everywhere: what is printed is JSON in UTF-8, whatever the names, and nothing else is.
. "$(dirname "$0")/lib.sh"

command -v jq >/dev/null || skip "no jq"

# is_json FILE FILTER...: it is UTF-8 and JSON, and each filter holds for all of it as an array.
is_json() {
    file=$1
    shift
    iconv -f UTF-8 -t UTF-8 "$file" >/dev/null || fail "$file is not UTF-8"
    jq . "$file" >/dev/null || fail "$file is not JSON: $(cat "$file")"
    for filter in "$@"; do
        jq -s -e "$filter" "$file" >/dev/null || { cat "$file"; fail "not so: $filter"; }
    done
}

odd=$(printf 'a\377b')
newline=$(printf 'new\nline')
mkdir -p src/sub "$newline"
printf 1 >"src/$odd"
printf 2 >"src/$newline"
printf 3 >'src/quote"back\slash'
printf 4 >"src/sub/grüße"
ln -s nowhere src/link
: >file
mkfifo src/fifo

expect 1 "$vine" run sha256 --json src missing >shown
is_json shown 'length == 8' '[.[] | select(.status == "done")] | length == 4' \
    '.[0].file_hex == "7372632f61ff62" and .[0].file == "src/a\ufffdb"' \
    '.[] | select(.file == "src/new\nline") | .status == "done"' \
    '.[] | select(.file == "src/sub/grüße") | has("file_hex") | not' \
    '.[] | select(.file == "src/fifo") | .status == "passed_over" and .reason == "a fifo"' \
    '.[] | select(.file == "missing") | .status == "failed" and (.reason | length > 0)' \
    '.[-1] | .summary and .done == 4 and .failed == 1 and .passed_over == 2 and .exit_status == 1'
expect 0 "$vine" run zstd --json --sums src -o out >shown
expect 0 "$vine" run zstd --json --sums src -o out >again
is_json shown '.[0].result_hex == "61ff622e7a7374"' '.[0].sha256 | length == 64'
is_json again '[.[] | select(.status == "unchanged")] | length == 4' '.[-1].unchanged == 4'

# Whatever cannot begin says why in one object, in each verb the same.
# cannot_begin STATUS PATTERN VERB...: `vine VERB...` ends so, and its object says so.
cannot_begin() {
    status=$1 pattern=$2
    shift 2
    expect "$status" "$vine" "$@" >shown
    is_json shown 'length == 1' ".[0] | (keys == [\"error\", \"exit_status\"]) and
        .exit_status == $status and (.error | test(\"$pattern\"))"
}
for verb in procs bench 'run sha256 src'; do
    cannot_begin 69 'no appliance listens at .*nobody' $verb --json -a "$scratch/nobody"
    cannot_begin 2 'no option --nonsense' $verb --json --nonsense
    cannot_begin 2 'no option --nonsense' $verb --nonsense --json
done
cannot_begin 2 'has no procedure nosuchproc' run --json nosuchproc src
cannot_begin 2 'say where with -o OUT' run --json zstd src
cannot_begin 2 'too few arguments' run sha256 --json
cannot_begin 2 "no verb 'frob'" frob --json
cannot_begin 2 "no verb '--json'" --json
cannot_begin 2 "no verb '--json'" --json run sha256 src
cannot_begin 1 'cannot write to file/out' run --json zstd src -o file/out
mkdir -p "$XDG_CONFIG_HOME/vine"
printf 'jobs caf\351\n' >"$XDG_CONFIG_HOME/vine/vine.conf"
for verb in procs bench config appliance 'run sha256 src'; do
    expect 2 "$vine" $verb --json >shown
    is_json shown 'length == 1' '.[0] | .exit_status == 2 and (.error | test("vine.conf:1: "))'
done
rm "$XDG_CONFIG_HOME/vine/vine.conf"
# An appliance of the command's own says it in another process.
expect 1 sh -c 'ulimit -n 8; exec "$@"' sh "$vine" run --json sha256 src >shown
is_json shown 'length == 1' '.[0].error | test("Too many open files")'
grep -qF "$(jq -r .error shown)" "$scratch/said" || fail "not on standard error: $(cat shown)"
# What may not grow is an error, and no death by a signal. ThreadSanitizer itself needs files that do.
if [ "${VINE_SANITIZE:-}" != thread ]; then
    { sh -c 'ulimit -f 0; exec "$@"' sh "$vine" run --json sha256 src 2>&1 || :; } |
        grep '^{' >shown
    is_json shown 'length == 1' '.[0] | .exit_status == 69 and (.error | test("File too large"))'
fi
# Only where it was asked for: neither an operand nor a value is an option.
expect 2 "$vine" run --nonsense -- sha256 --json >shown
[ ! -s shown ] || fail "JSON that nobody asked for"
expect 2 "$vine" frob -- --json >shown
[ ! -s shown ] || fail "JSON that nobody asked for"
expect 2 "$vine" run nosuchproc src -o --json >shown
[ ! -s shown ] || fail "JSON that nobody asked for"
# What began has its summary, also where nothing could be done.
expect 1 "$vine" run --json sha256 missing >shown
is_json shown 'length == 2' '.[0].status == "failed"' '.[1].summary and .[1].exit_status == 1'

# Settings and their origins with such names, too.
printf 'listen caf\351\n' >"$newline/conf"
mkdir -p "$newline/vine"
mv "$newline/conf" "$newline/vine/vine.conf"
expect 0 env XDG_CONFIG_HOME="$scratch/$newline" "$vine" config --json >shown
is_json shown '.[0].settings.listen.value_hex == "636166e9"' \
    '.[0].settings.listen.origin | test("new\nline/vine/vine.conf:1")' \
    '.[0].settings.jobs.value == "64" and .[0].segments.memfd == "hostile-safe"'

expect 0 "$vine" doctor --json >shown
is_json shown '.[0] | length > 5 and all(has("name") and has("state") and has("found"))'
expect 0 "$vine" version --json >shown
is_json shown '.[0].version | test("^[0-9]")'
expect 0 "$vine" bench --json --seconds 1 --rounds 1 >shown
is_json shown '.[0].noop.median > 0' '.[0].one_at_a_time | IN("pays", "costs", "neither", "unsure")'

# Help is the tables, all of them.
expect 0 "$vine" help --json >shown
is_json shown ".[0] | (.verbs | length) + (.groups | length) == $(grep -c '^ *X(' "$VINE_SOURCE_DIR/tools/commands.h")" \
    '.[0].settings[] | select(.key == "jobs") | .default == "64"' \
    '.[0].exit_statuses[] | select(.code == 69)'
jq -r '.verbs[].name' shown | while IFS= read -r verb; do
    expect 0 "$vine" help $verb --json >one
    is_json one ".[0].name == \"$verb\" and
        (.[0] | has(\"program\") or (.options | any(.name == \"json\")))"
done
expect 2 "$vine" help --json --man

# An appliance's life. Its libraries have odd names; one is none.
mkdir -m 700 procs
cp "$VINE_BUILD_DIR/tests/plugins/odd_arguments.so" "procs/$newline.so"
chmod 700 "procs/$newline.so"
printf x >"procs/$odd.so"
expect 69 "$vine" run sha256 -a "$address" src
"$vine" appliance --json --listen "$address" --procs procs >events 2>/dev/null &
serving=$!
until_true grep -q '"listening"' events
expect 0 "$vine" procs -a "$address" --json >shown
is_json shown '.[0][] | select(.name == "bounded") | .arguments[] | select(.name == "level") |
    .min == 1 and .max > 1e19'
expect 0 "$vine" run sha256 -a "$address" src >shown
rm "procs/$newline.so"
until_true grep -q '"library_gone"' events
until_true grep -q '"pipe_closed"' events
# One that dies without a word.
"$vine" run --reconnect 0 zstd --level 19 -a "$address" /dev/zero >/dev/null 2>&1 || :
"$vine" run sha256 -a "$address" src/fifo 2>/dev/null || :
kill -TERM "$serving"
wait "$serving" || fail "the appliance ended with $?"
serving=
is_json events 'all(has("event") and (.time | test("^[0-9-]{10}T[0-9:.]{12}Z$")))' \
    '.[] | select(.event == "library_loaded") | .file == "new\nline.so" and .procedures == 3' \
    '.[] | select(.event == "library_refused") | .file_hex == "61ff622e736f" and (.reason != "")' \
    ".[] | select(.event == \"listening\") | .address == \"$address\" and .workers > 0" \
    '[.[] | select(.event == "pipe_opened")][0] | .pipe == 1 and .name == "vine" and .pid > 1' \
    '[.[] | select(.event == "pipe_closed")][0] | .pipe == 1 and (has("error") | not)' \
    '[.[].event | select(. != "pipe_closed")][-2:] == ["draining", "stopped"]' \
    '.[-1].exit_status == 0 and .[-1].tasks_done > 0'

# One that cannot begin says so in the same way, and why: what stands on standard error, too.
# cannot_listen STATUS ERROR ADDRESS
cannot_listen() {
    expect "$1" "$vine" appliance --json --listen "$3" >events
    is_json events 'length == 1' \
        ".[0] | .event == \"stopped\" and .exit_status == $1 and .error == \"$2\""
    jq -r '"vine appliance: " + .reason' events | cmp - said || fail "$3: $(cat events)"
}
: >file
cannot_listen 1 ENOTDIR "$scratch/file/below"
cannot_listen 1 ENOENT file:/nonexistent/x
cannot_listen 2 VINE_ECONFIG vinetalk:
cannot_listen 2 VINE_ECONFIG pci:nonsense
serve
cannot_listen 75 EADDRINUSE "$address"
stop
