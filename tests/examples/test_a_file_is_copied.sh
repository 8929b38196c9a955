# SPDX-License-Identifier: Apache-2.0
#
# The example that copies a file, as its user starts it: all bytes, by each way, and what goes wrong.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$examples/copy_file" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }

fail() {
    echo "$*" >&2
    cat said >&2 || :
    exit 1
}

# copies OPTION...: `from` becomes `to`, and the last line says that all of it has.
copies() {
    rm -f to
    "$examples/copy_file" "$@" from to >shown 2>said || fail "copy_file $*: $?"
    cmp from to || fail "copy_file $*: other bytes"
    size=$(wc -c <from)
    [ "$(tail -n 1 shown)" = "$size of $size bytes" ] || fail "copy_file $*: ends with another line"
}

head -c 20000003 /dev/urandom >from
copies
copies --reactor-backend=epoll
# A core without an I/O queue of its own is not core 0: that one submits for others.
copies --overprovisioned --smp=2 --num-io-queues=1 --max-io-requests=2
if "$examples/copy_file" --direct from to >shown 2>said; then
    copies --direct
    copies --direct --reactor-backend=epoll
else
    grep -q 'Invalid argument' said || fail "copy_file --direct: $?"
fi
: >from
copies
printf x >from
copies

# What has no places gives all that comes, in its order, and takes it so.
for backend in io_uring epoll; do
    head -c 3000001 /dev/urandom >from
    rm -f to pipe
    mkfifo pipe
    cat from >pipe &
    "$examples/copy_file" --reactor-backend=$backend pipe to >shown 2>said || fail "from a pipe: $?"
    wait $!
    cmp from to || fail "by $backend: other bytes from a pipe"
    cat pipe >to &
    "$examples/copy_file" --reactor-backend=$backend from pipe >shown 2>said || fail "to a pipe: $?"
    wait $!
    cmp from to || fail "by $backend: other bytes to a pipe"
done

# Who waits for ever for the other end of a pipe ends when it is told to: at once by io_uring, and
# when it is told twice where a thread is held up by that.
for backend in io_uring epoll; do
    rm -f pipe
    mkfifo pipe
    : >said
    "$examples/copy_file" --reactor-backend=$backend --explain-start pipe to >shown 2>said &
    serving=$!
    until grep -q 'loop running' said; do
        kill -0 "$serving" 2>/dev/null || fail "by $backend: it has ended"
        command sleep 0.05
    done
    kill -s TERM "$serving"
    code=0
    if [ $backend = io_uring ]; then
        wait "$serving" || code=$?
        [ $code = 0 ] || fail "by $backend: ended with $code"
    else
        while command sleep 0.5; do
            kill -s TERM "$serving"
        done &
        teller=$!
        wait "$serving" || code=$?
        kill $teller
        [ $code = 143 ] || fail "by $backend: ended with $code"
    fi
    serving=
done

# One that becomes shorter and longer meanwhile is copied without a hole.
head -c 20000000 /dev/zero | tr '\0' x >changing
{
    i=0
    while [ $i -lt 20 ]; do
        truncate -s $((20000000 - i * 900001)) changing
        printf x >>changing
        i=$((i + 1))
    done
} &
"$examples/copy_file" changing to >shown 2>said || fail "a file that changes: $?"
wait $!
[ "$(tr -d x <to | wc -c)" = 0 ] || fail "a file that changes: other bytes"

# Onto itself: it stays.
printf x >from
ln -s from again
refused() {
    word=$1
    shift
    code=0
    "$examples/copy_file" "$@" >shown 2>said || code=$?
    [ "$code" != 0 ] || fail "copy_file $*: ended well"
    grep -q -e "$word" said || fail "copy_file $*: does not say '$word'"
}
refused 'TO is missing' from
refused 'FROM is missing' --direct
refused "'more' is one too many" from to more
refused "'': No such file" '' to
refused 'that is to be copied' from from
refused 'that is to be copied' from again
[ "$(cat from)" = x ] || fail "what was to be copied is gone"
refused "'missing': No such file" missing to
refused "'nowhere/to': No such file" from nowhere/to
refused 'Is a directory' . to
refused "'/dev/full': No space left" from /dev/full
