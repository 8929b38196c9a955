#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
# test: serial
#
# vine doctor, vine bench, and the demo between two processes, on a small tree.
. "$(dirname "$0")/lib.sh"

# It tells of everything and never fails, whatever is missing; so with nothing to be found.
"$vine" doctor >shown || fail "vine doctor: $?"
for what in 'memfd seals' pidfd membarrier io_uring 'huge pages' 'protection keys' KVM QEMU OpenCL \
    'map count' descriptors apt; do
    grep -q " $what " shown || fail "doctor does not look for $what"
done
# What no pipe and no verb uses is told apart, and not counted.
sed -n '/^Not counted/,/^$/p' shown >later
for what in 'huge pages' io_uring 'protection keys' OpenCL; do
    grep -q " $what " later || fail "doctor counts $what"
done
grep -q '^[0-9]* of the 10 that this version makes use of are there' shown ||
    { cat shown; fail "doctor counts something else"; }
PATH=/nonexistent "$vine" doctor --json >shown || fail "vine doctor --json: $?"
[ "$(grep -c '"for_later": true' shown)" = 4 ] || fail "four are for later, not in JSON"
grep -q '"remedy": "apt-get install qemu-system-x86"' shown || fail "doctor has no remedy for QEMU"
(ulimit -n 64; "$vine" doctor >shown) || fail "vine doctor with few descriptors: $?"
grep -q '^partly *descriptors *64 open files' shown || fail "doctor does not see the limit"
if (ulimit -n 4096) 2>/dev/null; then
    (ulimit -n 4096; ulimit -Sn 64; "$vine" doctor >shown)
    grep -q -e '-> ulimit -Sn 4096$' shown || { cat shown; fail "the limit that may be raised"; }
fi

# What is there wants no remedy, in JSON either.
if command -v jq >/dev/null; then
    (ulimit -n 4096 || :; "$vine" doctor --json) >shown 2>/dev/null
    jq -e 'all(.[]; .state != "there" or (has("remedy") | not))' shown >/dev/null ||
        { cat shown; fail "a remedy for what is there"; }
fi

# names PATTERN [VARIABLE=VALUE...]: what doctor says of the runtime directory in this environment.
names() {
    pattern=$1
    shift
    env "$@" $as "$vine" doctor >shown
    awk '/^[^ ]|^$/ { ours = / runtime directory / } ours' shown >row
    tr -s ' \n' ' ' <row | grep -q "^$pattern *\$" || { cat row; fail "not so: $pattern"; }
}
no_names='appliances are found by path, not by name ->'
(
    become_other
    cd "$HOME"
    mine=$XDG_RUNTIME_DIR
    names "there runtime directory names will lie in $mine/vine"
    names "missing runtime directory $mine/none/vine cannot be made: .* $no_names make $mine/none, .*" \
        XDG_RUNTIME_DIR="$mine/none"
    $as mkdir -m 755 "$mine/vine"
    names "missing runtime directory $mine/vine is not .* yours alone $no_names chmod 700.*"
    $as chmod 700 "$mine/vine"
    names "there runtime directory names lie in $mine/vine"
    rmdir "$mine/vine"
    # Without a directory of the session, names have a folder below /tmp, if nobody else took it.
    code=0
    env -u XDG_RUNTIME_DIR $as "$vine" procs -a "nobody.$$" >/dev/null 2>said || code=$?
    if grep -q 'yours alone' said; then
        names "missing runtime directory /tmp/vine-.* $no_names .*" -u XDG_RUNTIME_DIR
    else
        names 'there runtime directory names \(will \)\?lie in /tmp/vine-[0-9]*' -u XDG_RUNTIME_DIR
    fi
)

"$vine" bench --seconds 1 --rounds 2 >shown 2>said || fail "vine bench: $?"
grep -q 'no-op task, one at a time' shown || fail "bench has no no-op row"
# What decides is what the table shows: the sentence has the ratio of its row.
row=$(sed -n '/4 KiB, here/{n;s/.* \([0-9.]*\) x$/\1/p}' shown)
grep -q "takes $row times as long over Vine as here: .*\(pay\|disagree\)" shown ||
    { cat shown; fail "bench says another ratio than $row, or nothing"; }
row=$(sed -n '/flight: here/{n;s/.* \([0-9.]*\) x$/\1/p}' shown)
grep -q "hashes $row times as many as this thread alone: .*\(pay\|disagree\)" shown ||
    { cat shown; fail "bench says another ratio than $row, or nothing"; }
"$vine" bench --seconds 1 --rounds 1 --json >shown 2>said || fail "vine bench --json: $?"
for key in cache_line noop noop_rate sha256_vine sha256_unix sha256_tcp memcpy copied \
    crc32_in_place; do
    grep -q "\"$key\": {" shown || fail "bench has no row $key"
done
# With one processor no line goes to another.
[ "$(nproc)" -gt 1 ] || sed -i '/"cache_line": {/,/}/d' shown
if grep -q '"error"' shown; then cat shown; fail "a row failed"; fi
grep -q '"in_place_bytes_copied": 0' shown || fail "bytes were copied in place"
[ -z "$(ls "$XDG_RUNTIME_DIR")" ] || fail "bench leaves a socket"

mkdir -p tree/sub
cp "$VINE_SOURCE_DIR"/include/vine/*.h tree
head -c 2000000 /dev/urandom >tree/sub/random
VINE=$vine DEMO_OUT=$scratch/demo DEMO_SECONDS=1 \
    sh "$VINE_SOURCE_DIR/scripts/demo-process" tree >shown 2>said ||
    { cat shown; fail "the demo: $?"; }
grep -q 'zstd -d' shown || fail "the demo does not say that zstd -d was content"
grep -q 'sha256sum -c' shown || fail "the demo does not say that sha256sum -c was content"
grep -q 'Offloading this tree' shown || { cat shown; fail "the demo concludes nothing"; }

# concludes THERE THERE-WORST HERE HERE-WORST PATTERN: what the demo says of these seconds.
concludes() {
    awk -v runs=2 -v there="$1" -v there_worst="$2" -v here="$3" -v here_worst="$4" \
        -v in_bytes=8e6 -v out_bytes=1e6 -f "$VINE_SOURCE_DIR/scripts/summary.awk" >shown
    tr -s ' \n' ' ' <shown | grep -q -e "Offloading this tree $5" || { cat shown; fail "$*"; }
}
concludes 2.2 2.3 2 2.1 'does not pay here: it takes 1.10 times as long, since'
grep -q 'each way the best of 2 runs' shown || { cat shown; fail "nothing of the two runs"; }
concludes 2.08 2.1 2 2.05 'neither pays nor costs: it takes 1.04 times as long\.'
concludes 3.2 3.9 4 4.1 'pays: it takes 0.80 times as long\.'
# The worst of one side has to beat the best of the other, and noise is not given the time to.
concludes 3.2 4 4 4.1 'cannot be told .* 0.80 times as long, but the runs contradict each other\.'
concludes 4.4 4.5 4 4.4 'cannot be told .* 1.10 times as long, but the runs contradict each other\.'
concludes 1.6 1.6 2 2 'ends too soon to tell .* 0.80 times as long, and less than 2 s\.'
concludes 2.1 2.1 1.9 1.9 'ends too soon to tell'
