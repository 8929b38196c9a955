#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# A link between two virtual machines: polling and asleep, beside its bare memory and its bare
# doorbell, TCP over virtio-net and virtio-serial; what an idle pair costs; how long a boot takes.
# Everything is measured VINE_BENCH_ROUNDS (3) times in turns, and a ratio is the median of theirs.
#
# Guests whose code is translated (TCG) run it slower by a factor, f: of the same code of ours, a message
# pushed and popped by one thread, there and here. What runs here is measured before the guests and
# after them, since a neighbour on the same core halves its speed for a while, or theirs.
set -eu
cd "$(dirname "$0")/.."
vine=${VINE_BENCH_DIR:-out/release/bench}/../vine
rounds=${VINE_BENCH_ROUNDS:-3}
guest=out/bench-guest
work=$(mktemp -d)
running=
finish() {
    code=$?
    trap '' INT TERM
    [ -z "$running" ] || { kill -TERM "$running" 2>/dev/null || :; wait "$running" 2>/dev/null || :; }
    rm -rf "$work"
    exit "$code"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

for program in qemu-system-x86_64 jq; do
    command -v "$program" >/dev/null || { echo "Left out: there is no $program."; exit 0; }
done
"$vine" guest build --quiet -o "$guest" >/dev/null || { echo "Left out: no guest can be built."; exit 0; }

# plan NAME LINES-OF-ZIP LINES-OF-APP OPTIONS: two machines, linked twice.
plan() {
    cat >"$work/$1.json" <<END
{ "machines": [
    {"name": "zip", "kernel_options": ["quiet"], "init": [$2]},
    {"name": "app", "kernel_options": ["quiet"], "ends_all": true, "init": [$3]}],
  "links": [{"name": "zip", "application": "app", "appliance": "zip", "size": "16M"},
            {"name": "bare", "application": "app", "appliance": "zip", "size": "1M"}]$4 }
END
}
bench='/usr/bin/vine guest bench --json --appliance pci:zip'
plan polling '"net eth0 10.0.0.2/24", "start echo /usr/bin/vine guest echo --tcp 5000 --serial vine.serial --link bare", "keep appliance /usr/bin/vine appliance --listen pci:zip"' \
    "\"net eth0 10.0.0.1/24\", \"run bench $bench --seconds 10 --tcp 10.0.0.2:5000 --serial vine.serial --link bare\", \"poweroff\"" \
    ', "network": true, "serial": true'
plan asleep '"run bell /usr/bin/vine guest echo --bell bare", "keep appliance /usr/bin/vine appliance --listen pci:zip --spin 1"' \
    "\"run bell /usr/bin/vine guest bench --json --bell bare --seconds 4\", \"run bench $bench --asleep --seconds 4\", \"poweroff\"" ''
plan idle '"keep appliance /usr/bin/vine appliance --listen pci:zip"' \
    '"start agent /usr/bin/vine agent --wait --appliance pci:zip"' ''
plan still '"watch no"' '"watch no"' ''
cat >"$work/one.json" <<END
{ "machines": [{"name": "one", "kernel_options": ["quiet"], "init": ["poweroff"]}] }
END

# guests PLAN: run it to its end; each line of JSON that the application's machine prints.
guests() {
    "$vine" guest run --quiet --json --guest "$guest" "$work/$1.json" |
        jq -c 'select(.machine == "app" and .event == "line") | .text | select(startswith("{")) | fromjson'
}

# busy PLAN: processor time, in microseconds a second, that its machines use when nothing happens.
busy() {
    "$vine" guest run --quiet --json --guest "$guest" "$work/$1.json" >"$work/said" &
    running=$!
    for second in $(seq 90); do
        [ "$(grep -c 'the kernel was up' "$work/said")" -lt 2 ] || break
        sleep 1
    done
    sleep 20 # the watcher of ends looks less often once nobody has come or gone for ten seconds
    spent() {
        for pid in $(cat "/proc/$running/task/$running/children"); do
            cat "/proc/$pid"/task/*/schedstat 2>/dev/null
        done | awk '{ ns += $1 } END { printf "%d", ns / 1000 }'
    }
    before=$(spent)
    sleep 20
    after=$(spent)
    kill -TERM "$running"
    wait "$running" || :
    running=
    echo $(((after - before) / 20))
}

# up COMMAND...: milliseconds until a guest's first process speaks.
up() {
    start=$(date +%s%N)
    "$@" 2>/dev/null </dev/null | while IFS= read -r line; do
        case $line in
        *'the kernel was up'*) echo $((($(date +%s%N) - start) / 1000000)); cat >/dev/null ;;
        esac
    done
}
# by_hand KERNEL OPTIONS-OF-THE-KERNEL
by_hand() {
    up qemu-system-x86_64 -nodefaults -no-user-config -no-reboot -display none -machine q35 \
        -accel "$accel" -cpu max -smp 1 -m 256 -device pvpanic-pci -serial stdio \
        -kernel "$1" -initrd "$work/one.initrd" -append "console=ttyS0 panic=-1 $2 quiet"
}
# The same initrd and the same options as our own machine has.
printf 'poweroff\n' >"$work/init.conf"
mkdir -p "$work/root/etc/vine"
cp "$work/init.conf" "$work/root/etc/vine/init.conf"
{
    cat "$guest/initrd.img"
    (cd "$work/root" && find . | sort | cpio -o -H newc --quiet)
} >"$work/one.initrd"
khz=$(awk '/^cpu MHz/ { printf "%d", $4 * 1000; exit }' /proc/cpuinfo)
timing="tsc_early_khz=$khz lpj=$((khz * 4)) no_timer_check cryptomgr.notests"
# The kernel as Debian packs it, of the package that the guest was made of.
package=$(ls -t "${XDG_CACHE_HOME:-$HOME/.cache}"/vine/guest/linux-image-*.deb 2>/dev/null | head -n 1)
[ -z "$package" ] || dpkg-deb --fsys-tarfile "$package" |
    tar -x -O --wildcards './boot/vmlinuz-*' >"$work/bzImage" || rm -f "$work/bzImage"

# What QEMU was told by our own machines: kvm where it boots this guest.
"$vine" guest run --quiet --guest "$guest" "$work/one.json" >/dev/null &
running=$!
accelerator=
while [ -z "$accelerator" ] && kill -0 "$running" 2>/dev/null; do
    for pid in $(cat "/proc/$running/task/$running/children" 2>/dev/null); do
        accelerator=$(tr '\0' '\n' <"/proc/$pid/cmdline" 2>/dev/null |
            sed -n '/^-accel$/{n;s/,.*//;p;q;}') || :
        [ -z "$accelerator" ] || break
    done
    sleep 0.05
done
wait "$running" || :
running=
case $accelerator in
kvm) accel=kvm ;;
*) accelerator=tcg accel=tcg,thread=multi ;;
esac

# here FILE: what this machine does by itself, a line each time.
here() {
    for sample in 1 2 3; do
        "$vine" guest bench --json --seconds 1 | jq -c '{code: .code.ns}'
        "$vine" bench --json --seconds 2 | jq -c '{ours: (.noop.median - .cache_line.median)}'
    done >>"$1"
}
# boots FILE: in turns, so that what changes meanwhile changes for all: ours, the same by hand, that
# of the packed kernel, and that without the options by which a guest measures less at its start.
boots() {
    for pair in 1 2 3 4 5; do
        bz=null
        [ ! -s "$work/bzImage" ] || bz=$(by_hand "$work/bzImage" "$timing")
        echo "{\"own\": $(up "$vine" guest run --quiet --guest "$guest" "$work/one.json")," \
            "\"hand\": $(by_hand "$guest/vmlinux" "$timing"), \"bz\": $bz," \
            "\"untimed\": $(by_hand "$guest/vmlinux" "")}"
    done >"$1"
}

: >"$work/results"
for round in $(seq "$rounds"); do
    : >"$work/here"
    here "$work/here"
    polling=$(guests polling)
    here "$work/here"
    # A bell and a task cannot be measured at once, since either owns the doorbell: in short turns.
    asleep=$(for turn in 1 2 3; do guests asleep | jq -s -c 'add'; done | jq -s -c .)
    boots "$work/boots"
    jq -n -c --slurpfile here "$work/here" --argjson there "$polling" \
        --argjson asleep "$asleep" --slurpfile boots "$work/boots" \
        --argjson still "$(busy still)" --argjson idle "$(busy idle)" \
        'def median: sort | .[length / 2 | floor];
         {here: {code: ($here | map(.code // empty) | median), ours: ($here | map(.ours // empty) | median)},
          $there, $asleep, $boots, $still, $idle}' >>"$work/results"
done

echo '| what | measured | ratio | to | bar | |'
echo '|---|---:|---:|---|---|---|'
jq -s -r --arg accelerator "$accelerator" '
    def median: sort | .[length / 2 | floor];
    def us: . / 10 | round / 100 | tostring + " us";
    def rate: . / 1e7 | round / 100 | tostring + " GB/s";
    def fixed: . * 100 | round / 100 | tostring;
    def verdict(ok): if ok then "met" else "**not met**" end;
    def row(what; measured; ratio; to; bar; ok):
        "| \(what) | \(measured) | \(ratio) | \(to) | \(bar) | \(if ok == null then "" else verdict(ok) end) |";
    (map(.there.code.ns / .here.code) | median) as $f |
    (map(.there.line.ns) | median) as $bare |
    (map(.here.ours) | median) as $ours |
    (map(.there.noop.ns) | median) as $noop |
    # Nothing slows what KVM runs: there the bar is the bare line alone.
    (if $accelerator == "kvm" then {to: "the bare line", bar: 1.5}
     else {to: "the bare line + f x (task - line here)", bar: 1.2} end) as $held |
    (map(.there.noop.ns / (if $accelerator == "kvm" then .there.line.ns else .there.line.ns +
        .there.code.ns / .here.code * ([.here.ours, 1] | max) end)) | median) as $polling |
    row("a line of the bare memory there and back"; $bare | us; ""; ""; ""; null),
    row("a message pushed and popped by one thread in a guest"; map(.there.code.ns) | median | us;
        $f | fixed; "f: the same here"; ""; null),
    row("no-op task here, less the line here"; $ours | us; ""; ""; ""; null),
    row("no-op task between machines, polling"; $noop | us; $polling | fixed;
        $held.to; $held.bar | tostring; $polling <= $held.bar),
    row("a doorbell there and back"; map(.asleep[].bell.ns) | median | us; ""; ""; ""; null),
    (map(.asleep[] | .noop.ns / .bell.ns) | median) as $slept |
    row("no-op task, both asleep"; map(.asleep[].noop.ns) | median | us; $slept | fixed; "a doorbell";
        "1.2"; $slept <= 1.2),
    (map(.there.tcp.ns / .there.noop.ns) | median) as $tcp |
    row("64 B over TCP"; map(.there.tcp.ns) | median | us; $tcp | fixed; "a task, polling"; "at least 50";
        $tcp >= 50),
    row("64 B over virtio-serial"; map(.there.serial.ns) | median | us;
        map(.there.serial.ns / .there.noop.ns) | median | fixed; "a task, polling"; ""; null),
    (map(.there.in_place.bytes_per_second / .there.tcp_large.bytes_per_second) | median) as $place |
    row("1 MiB there and back, in place"; map(.there.in_place.bytes_per_second) | median | rate;
        $place | fixed; "over TCP"; "at least 10"; $place >= 10),
    (map(.there.copied.bytes_per_second / .there.tcp_large.bytes_per_second) | median) as $copied |
    row("1 MiB, copied in and out"; map(.there.copied.bytes_per_second) | median | rate;
        $copied | fixed; "over TCP"; "at least 4"; $copied >= 4),
    row("1 MiB over virtio-serial"; map(.there.serial_large.bytes_per_second) | median | rate; ""; ""; "";
        null),
    (map(.boots[]) | map(.own - .hand) | median) as $more |
    row("fork to user space"; (map(.boots[].own) | median | tostring) + " ms";
        ($more | tostring) + " ms more"; "the same QEMU by hand"; "50 ms"; $more <= 50),
    (map(.boots[] | select(.bz != null) | .bz - .hand)) as $packed |
    (if $packed == [] then empty else
    row("the same by hand, of the packed kernel (bzImage)";
        (map(.boots[].bz) | median | tostring) + " ms"; ($packed | median | tostring) + " ms more";
        "of the unpacked one, as ours"; "slower"; ($packed | median) >= 0) end),
    (map(.boots[]) | map(.untimed - .hand) | median) as $untimed |
    row("the same by hand, without options on timers and tests of ciphers";
        (map(.boots[].untimed) | median | tostring) + " ms"; ($untimed | tostring) + " ms more";
        "with them, as ours"; "slower"; $untimed >= 0),
    (map((.idle - .still) / 10000) | median) as $cost |
    row("the same machines without Vine, of one processor"; (map(.still / 10000) | median | fixed) + " %";
        ""; ""; ""; null),
    row("an idle pair, of one processor"; (map(.idle / 10000) | median | fixed) + " %";
        ($cost | fixed) + " % more";
        "the same machines without Vine"; "0.5 %"; $cost <= 0.5)
' "$work/results"
echo
jq -s -r 'map("\(.there.noop.ns / 1000 | floor) us") | "- no-op tasks of the rounds: " + join(", ")' "$work/results"
jq -s -r 'map("\((.idle - .still) / 100 | round / 100) %") | "- an idle pair more, in the rounds: " + join(", ")' "$work/results"
