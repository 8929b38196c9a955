# SPDX-License-Identifier: Apache-2.0
#
# For tests that boot a guest: after lib.sh.
#
# Guests run under QEMU's own translation, which is slow but there everywhere.

# What is downloaded lies under out/, for all tests of all builds.
XDG_CACHE_HOME=$VINE_SOURCE_DIR/out/cache
export XDG_CACHE_HOME

needs_guests() {
    [ -z "${VINE_SANITIZE:-}" ] || skip "guests are booted by builds without a sanitizer"
    for program in qemu-system-x86_64 apt-get apt-cache dpkg-deb "$@"; do
        command -v "$program" >/dev/null || skip "no $program"
    done
}

# build_guest DIR [OPTION...]
build_guest() {
    folder=$1
    shift
    "$vine" guest build -o "$folder" "$@" >"$scratch/built" 2>"$scratch/said" && return
    grep -qE 'cannot download|apt knows no package' "$scratch/said" &&
        skip "no package of a kernel: $(cat "$scratch/said")"
    fail "vine guest build -o $folder $*"
}

# boot DIR [OPTION OF QEMU...]: in the background, as $machine. Its console is the file DIR/console,
# and DIR/qmp.in and DIR/qmp.out take and give QMP's lines.
boot() {
    folder=$1
    shift
    rm -f "$folder/qmp.in" "$folder/qmp.out"
    mkfifo "$folder/qmp.in" "$folder/qmp.out"
    timeout 240 qemu-system-x86_64 -M q35 -accel tcg,thread=multi -m 256 -smp 1 -nodefaults \
        -no-user-config -display none -no-reboot -kernel "$folder/vmlinux" \
        -initrd "$folder/initrd.img" \
        -append "console=ttyS0 quiet panic=-1 no_timer_check cryptomgr.notests" \
        -serial "file:$folder/console" -chardev "pipe,id=qmp,path=$folder/qmp" \
        -mon chardev=qmp,mode=control "$@" >"$folder/qemu" 2>&1 &
    machine=$!
    exec 8>"$folder/qmp.in" 9<"$folder/qmp.out"
    echo '{"execute": "qmp_capabilities"}' >&8
}

# on_console PATTERN: wait until it is there; fails when the machine has ended without.
on_console() {
    until grep -q -e "$1" "$folder/console" 2>/dev/null; do
        if ! kill -0 "$machine" 2>/dev/null; then
            grep -q -e "$1" "$folder/console" && return
            sed 's/^/  console: /' "$folder/console"
            fail "the console never had '$1': $(cat "$folder/qemu")"
        fi
        command sleep 0.05
    done
}

press_power_button() {
    echo '{"execute": "system_powerdown"}' >&8
}

# has_ended: wait for the machine's end, which must be a good one.
has_ended() {
    code=0
    wait "$machine" || code=$?
    exec 8>&- 9<&-
    sed 's/^/  console: /' "$folder/console" >"$scratch/console"
    [ "$code" = 0 ] || { cat "$scratch/console"; fail "QEMU ended with $code: $(cat "$folder/qemu")"; }
}

# awaits PATTERN: wait until it is in the file `console`, where the run $machines writes.
awaits() {
    until grep -q -e "$1" console; do
        kill -0 "$machines" 2>/dev/null || { sed 's/^/  /' console; fail "no '$1'"; }
        command sleep 0.1
    done
}
