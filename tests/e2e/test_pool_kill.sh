# SPDX-License-Identifier: Apache-2.0
# test: timeout=300 long=1800
#
# kill -9 of each verb that writes a pool, at moments by chance: what was there before is there, or
# what should be there afterwards, and the file system is clean after the next verb - and at once, where
# no journal is left.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
PATH=$PATH:/usr/sbin:/sbin
command -v mkfs.ext4 >/dev/null && command -v e2fsck >/dev/null || skip "no e2fsprogs"
kills=5
[ -z "${VINE_TEST_LONG:-}" ] || kills=200
seed=${VINE_TEST_SEED:-$$}
echo "VINE_TEST_SEED=$seed"

checked() {
    [ -e farm.img.journal ] || e2fsck -fn farm.img >fsck 2>&1 || fail "unclean at once: $(cat fsck)"
    "$vine" pool check farm >shown 2>&1 || fail "not well: $(cat shown)"
    [ ! -e farm.img.journal ] || fail "a journal is left"
    e2fsck -fn farm.img >fsck 2>&1 || fail "unclean: $(cat fsck)"
}
# killed COMMAND...: it is killed after a part of a tenth of a second, if it has not ended.
killed() {
    "$@" >/dev/null 2>&1 &
    running=$!
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    command sleep "0.0$(printf '%03d' $((seed / 65536 % 1000)))"
    kill -9 "$running" 2>/dev/null || :
    wait "$running" 2>/dev/null || :
    checked
}
head -c 2000000 /dev/urandom >one
head -c 1500000 /dev/urandom >two
"$vine" pool create farm --size 64M
"$vine" pool add farm base --kernel one --disk root=one
for turn in $(seq "$kills"); do
    killed "$vine" pool add farm "m$turn" --kernel one --initrd two --disk root=two
    killed "$vine" vm kernel --pool farm base two
    size=$("$vine" pool show farm base --json | jq .kernel.size)
    [ "$size" = 2000000 ] || [ "$size" = 1500000 ] || fail "half a kernel: $size"
    killed "$vine" vm disk --pool farm base "d$((turn % 4))" two
    killed "$vine" vm limits --pool farm base --memory "$((256 + turn))M"
    killed "$vine" vm disk --pool farm base "d$((turn % 4))" --none
    killed "$vine" pool rm farm "m$turn"
    "$vine" pool rm farm "m$turn" 2>/dev/null || :
    killed "$vine" vm kernel --pool farm base one
    # One that makes a pool leaves one or none, and the next one makes it.
    "$vine" pool create new --size 16M >/dev/null 2>&1 &
    running=$!
    seed=$(((seed * 1103515245 + 12345) % 2147483648))
    command sleep "0.0$(printf '%03d' $((seed / 65536 % 1000)))"
    kill -9 "$running" 2>/dev/null || :
    wait "$running" 2>/dev/null || :
    # Its mkfs.ext4 may go on for a moment, and nobody comes into its way.
    [ -e new.img ] || until_true "$vine" pool create new --size 16M
    [ "$("$vine" pool check new)" = 'new: well' ] || fail "not well"
    rm -f new.*
done
