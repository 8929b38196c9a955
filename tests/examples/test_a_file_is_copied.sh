# SPDX-License-Identifier: Apache-2.0
# test: timeout=120
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

refused() {
    word=$1
    shift
    code=0
    "$examples/copy_file" "$@" >shown 2>said || code=$?
    [ "$code" != 0 ] || fail "copy_file $*: ended well"
    grep -q -e "$word" said || fail "copy_file $*: does not say '$word'"
}
refused usage from
refused 'missing: No such file' missing to
refused 'nowhere/to: No such file' from nowhere/to
refused 'Is a directory' . to
refused '/dev/full: No space left' from /dev/full
