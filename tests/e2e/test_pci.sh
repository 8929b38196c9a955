#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# Over the memory of a PCI device, as two guests see it: two trees that look like sysfs, each with a
# device of its own, whose memory is one and the same. By address and by configuration file; and what
# is said where there is no such device, another one, too small a one, or one that is in use.
. "$(dirname "$0")/lib.sh"

# device TREE BDF VENDOR PRODUCT BYTES
device() {
    folder=$scratch/$1/bus/pci/devices/$2
    mkdir -p "$folder"
    echo "$3" >"$folder/vendor"
    echo "$4" >"$folder/device"
    echo 0 >"$folder/enable"
    {
        printf '0x%016x 0x%016x 0x0000000000040200\n' 0xfebd1000 0xfebd10ff
        printf '0x%016x 0x%016x 0x0000000000000000\n' 0 0
        printf '0x%016x 0x%016x 0x000000000014220c\n' 0xfe00000000 $((0xfe00000000 + $5 - 1))
    } >"$folder/resource"
    truncate -s "$5" "$folder/resource2"
    chmod 600 "$folder/resource2"
}

first=0000:00:04.0 second=0000:01:02.3
mebibyte=$((1 << 20))
device here 0000:00:03.0 0x1af4 0x1000 $((4 * mebibyte))
device here $first 0x1af4 0x1110 $((4 * mebibyte))
device there $second 0x1af4 0x1110 $((4 * mebibyte))
ln -f "$scratch/here/bus/pci/devices/$first/resource2" \
    "$scratch/there/bus/pci/devices/$second/resource2"
device small 0000:00:05.0 0x1af4 0x1110 65536

mkdir files
printf 'hello' >files/a
head -c 3000000 /dev/urandom >files/b

# sums ADDRESS: the appliance at the other end hashes as sha256sum does.
sums() {
    expect 0 sh -c 'VINE_SYSFS=$1 exec "$2" run sha256 --appliance "$3" files/a files/b >sums' \
        sh "$scratch/there" "$vine" "$1"
    sha256sum -c --quiet sums || fail "wrong sums by $1"
}

# By address: it is told which device `auto` was, and its whole memory is used.
VINE_SYSFS=$scratch/here
export VINE_SYSFS
address=pci:$first
for listened in "pci:$first" "pci:${first#0000:}" pci:auto; do
    serve
    [ "$(cat "here/bus/pci/devices/$first/enable")" = 1 ] || fail "the device is not enabled"
    sums "pci:$second"
    sums pci:auto

    # In this guest it is taken.
    expect 75 "$vine" appliance --listen "pci:$first"
    said "device $first is used by another process"
    expect 75 "$vine" run sha256 --appliance "pci:$first" files/a
    said "device $first is used by another process"
    stop
done

# What lies there can be looked at from either guest while both processes have it; a device of which
# nobody made a segment, and one that is not there.
walks() {
    VINE_SYSFS=$scratch/$1 "$vine" doctor --segment pci:auto >walked &&
        grep -q "^  application  alive, process $application," walked &&
        grep -q "^tasks    sha256 " walked
}
listened=pci:$first
serve
if [ -x "$VINE_BUILD_DIR/vine-appliance" ]; then
    mkfifo held
    VINE_SYSFS=$scratch/there "$vine" run sha256 --quiet --appliance pci:auto - <held >sum &
    application=$!
    exec 4>held
    head -c 100000 files/b >&4
    for side in here there; do
        until_true walks $side
        grep -q '^0 inconsistencies' walked || fail "$(cat walked)"
    done
    exec 4>&-
    wait $application || fail "the application was disturbed"
    head -c 100000 files/b | sha256sum | cmp - sum || fail "another sum"
fi
stop
expect 0 env VINE_SYSFS="$scratch/small" "$vine" doctor --segment pci:auto
expect 69 "$vine" doctor --segment pci:00:09.0
said 'device 0000:00:09.0 is not there'

# By configuration file, each side with the path of its own device.
for side in here there; do
    bdf=$first
    [ $side = here ] || bdf=$second
    printf 'shm_file %s\nshm_size 3M\nshm_off 4096\nshm_trunc 1\nshm_ivshmem 1\n' \
        "$scratch/$side/bus/pci/devices/$bdf/resource2" >"$side.conf"
done
unset VINE_SYSFS
# Zeros, as a host gives them: at the offset lies what is no segment.
truncate -s 0 "here/bus/pci/devices/$first/resource2"
truncate -s $((4 * mebibyte)) "here/bus/pci/devices/$first/resource2"
listened=vinetalk:$scratch/here.conf
serve
sums "vinetalk:$scratch/there.conf"
stop
[ "$(stat -c %s "here/bus/pci/devices/$first/resource2")" = $((4 * mebibyte)) ] ||
    fail "the device's memory was cut"

# What is wrong is said by either side: refused ADDRESS MESSAGE [STATUS-OF-APPLIANCE STATUS-OF-RUN].
refused() {
    expect "${3:-1}" env VINE_SYSFS="$scratch/$tree" "$vine" appliance --listen "$1"
    said "$2"
    expect "${4:-69}" env VINE_SYSFS="$scratch/$tree" "$vine" run sha256 --appliance "$1" files/a
    said "$2"
}
tree=here
refused pci:00:09.0 'device 0000:00:09.0 is not there or is no 1af4:1110'
refused pci:00:03.0 'device 0000:00:03.0 is not there or is no 1af4:1110'
refused pci:00:99.0 "'00:99.0' is no PCI address" 2 2
tree=nowhere
refused pci:auto "there is no PCI device in $scratch/nowhere/bus/pci/devices"
tree=here
printf 'shm_file %s\nshm_size 2M\nshm_ivshmem 1\n' "$scratch/files/b" >here.conf
refused "vinetalk:$scratch/here.conf" 'is not the memory of a PCI device' 2 2

# More than there is.
printf 'shm_file %s\nshm_size 8M\nshm_ivshmem 1\n' \
    "$scratch/here/bus/pci/devices/$first/resource2" >here.conf
expect 1 "$vine" appliance --listen "vinetalk:$scratch/here.conf"
said 'has 4194304 bytes, and 8388608 at offset 0 are asked for'

# Too small for a pipe, so that nobody ever serves there.
VINE_SYSFS=$scratch/small
export VINE_SYSFS
expect 1 "$vine" appliance --listen pci:auto
said 'pci:0000:00:05.0: a named segment needs at least 266240 bytes, and has 65536'
expect 75 "$vine" run sha256 --appliance pci:auto files/a
said 'it is not initialized yet'
