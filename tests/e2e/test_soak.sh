# SPDX-License-Identifier: Apache-2.0
# test: long=1200
#
# An appliance on two cores under mixed load, ten minutes in the long run: files go through it as
# streams and as single tasks, large ones and small ones, by applications that end well, that are
# killed, and that say nothing. What it holds then does not grow: it has the descriptors that it had
# in the beginning, and memory that it has given back is used again.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
[ -x "$VINE_BUILD_DIR/vine-appliance" ] || skip "libvine-runtime was not built"
[ -r /proc/self/status ] || skip "no /proc"
seconds=6
[ -z "${VINE_TEST_LONG:-}" ] || seconds=600

# A sanitizer keeps what was given back.
more_kilobytes=8192
[ -z "${VINE_SANITIZE:-}" ] || more_kilobytes=$((1 << 30))

mkdir keys files
head -c 32 /dev/urandom >keys/one
chmod 700 keys
chmod 600 keys/one
for size in 0 1 4095 70000 3000000; do head -c $size /dev/urandom >files/$size; done
cat "$VINE_SOURCE_DIR"/src/core/talk/*.c >files/text
for file in files/*; do sha256sum <"$file" >"$file.sum"; done

serve --keys keys --smp 2 --overprovisioned
cat <&3 >>appliance_said &
end=$(($(date +%s) + seconds))

is_over() { [ -e over ] || [ "$(date +%s)" -ge "$end" ]; }

# broken WHAT...: the soak ends, and this is why.
broken() {
    echo "$*" >>why
    : >over
    exit 1
}

# There and back again, by what compresses and what encrypts.
goes_round() {
    mkdir "round$1"
    until is_over; do
        for file in files/[0-9text]*; do
            case $file in *.sum) continue ;; esac
            for pair in 'zstd unzstd' 'gzip gunzip' 'seal open'; do
                key=
                [ "$pair" != 'seal open' ] || key='--key one'
                # shellcheck disable=SC2086 # an option and its word
                "$vine" run ${pair% *} $key --quiet -a "$address" "$file" -o "round$1/there" &&
                    "$vine" run ${pair#* } --quiet -a "$address" "round$1/there"/* \
                        -o "round$1/back" || broken "${pair% *} of $file: $?"
                [ "$(cat "round$1/back"/* | sha256sum)" = "$(cat "$file.sum")" ] ||
                    broken "${pair% *} of $file: another file came back"
                rm -rf "round$1"/*
            done
        done
    done
}

sums() {
    until is_over; do
        for file in files/[0-9text]*; do
            case $file in *.sum) continue ;; esac
            [ "$("$vine" run sha256 --quiet -a "$address" "$file" | cut -d' ' -f1)" = \
                "$(cut -d' ' -f1 <"$file.sum")" ] || broken "another sum of $file"
        done
    done
}

# Killed in the middle of it.
dies() {
    until is_over; do
        "$vine" run zstd --quiet -a "$address" files/3000000 -o died 2>/dev/null &
        command sleep "0.0$(($(od -An -N1 -tu1 /dev/urandom) % 90 + 10))"
        kill -KILL $! 2>/dev/null || :
        wait $! || :
        rm -rf died*
    done
}

# What the appliance has.
descriptors() { find "/proc/$serving/fd" -mindepth 1 -maxdepth 1 | wc -l; }
kilobytes() { awk '/^RssAnon/ { anonymous = $2 } END { print anonymous }' "/proc/$serving/status"; }

before_all=$(descriptors)
workers=
for worker in 1 2; do
    goes_round $worker &
    workers="$workers $!"
done
sums &
workers="$workers $!"
dies 2>/dev/null &
workers="$workers $!"
# Halves and pools have the size that this load wants of them after a while.
command sleep $((seconds / 4))
before=$(kilobytes)
while ! is_over; do
    command sleep 1
    kill -0 "$serving" || fail "it ended: $(tail -n 5 appliance_said)"
    [ "$seconds" -lt 60 ] || [ $(($(date +%s) % 60)) != 0 ] ||
        echo "$((end - $(date +%s))) s left: $(kilobytes) KiB, $(descriptors) descriptors"
done
after=$(kilobytes)
wait $workers || :
[ ! -e why ] || fail "$(cat why)"
echo "$before KiB after a quarter, $after at the end"
[ $((after - before)) -lt $more_kilobytes ] || fail "memory grows"

# And when all have gone, nothing of them is left; but its own pipe to the process that has the keys may
# have grown, by an extent or a few on either side.
tries=0
until [ "$(descriptors)" -le $((before_all + 6)) ]; do
    tries=$((tries + 1))
    [ $tries -lt 300 ] || fail "$(descriptors) descriptors, after $before_all: $(ls -l /proc/$serving/fd)"
    command sleep 0.1
done
serving_well=$("$vine" run sha256 --quiet -a "$address" files/70000 | cut -d' ' -f1)
[ "$serving_well" = "$(cut -d' ' -f1 <files/70000.sum)" ] || fail "it serves no more"
stop
