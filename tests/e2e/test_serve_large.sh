# SPDX-License-Identifier: Apache-2.0
# test: long
#
# Bodies of 1 GiB both ways through heaps of 64 KiB: one that is thrown away, one that is counted, and
# a file, whose bytes are all there.
. "$VINE_SOURCE_DIR/tests/e2e/services.sh"
needs curl
gib=1073741824

mkdir root
truncate -s 1G root/sparse # a hole, with something at either end and in the middle
printf begin | dd of=root/sparse conv=notrunc status=none
printf middle | dd of=root/sparse conv=notrunc bs=1 seek=536870000 status=none
printf 'the end' | dd of=root/sparse conv=notrunc bs=1 seek=$((gib - 7)) status=none

begin http --hello --heap 64K --smp 1
[ "$(curl -s -o body -w '%{http_code}' -T root/sparse "http://127.0.0.1:$port/")" = 200 ] ||
    fail "PUT of 1 GiB"
[ "$(curl -s -o body -w '%{http_code}' -T - "http://127.0.0.1:$port/" <root/sparse)" = 200 ] ||
    fail "PUT of 1 GiB in chunks"
end_quietly

# One digit at the beginning of each MiB: they are summed up on the way.
begin "$VINE_BUILD_DIR/examples/http_handlers.so" --heap 64K --smp 1
head -c 1048575 /dev/zero >zeros
{
    i=0
    while [ $i -lt 1024 ]; do
        printf 1
        cat zeros
        i=$((i + 1))
    done
} | curl -s -T - "http://127.0.0.1:$port/sum" >body || fail "1 GiB to be summed up"
[ "$(cat body)" = 1024 ] || fail "a sum: $(cat body)"
end_quietly

begin http --root root --heap 64K --smp 1
sum=$(sha256sum <root/sparse)
[ "$(curl -s "http://127.0.0.1:$port/sparse" | sha256sum)" = "$sum" ] || fail "GET of 1 GiB"
[ "$(curl -s -r "536869995-$((gib - 1))" "http://127.0.0.1:$port/sparse" | sha256sum)" = \
    "$(tail -c +536869996 root/sparse | sha256sum)" ] || fail "half of it"
end_quietly
