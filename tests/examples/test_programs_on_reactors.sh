# SPDX-License-Identifier: Apache-2.0
# test: timeout=120
#
# The examples on reactors, as their user starts them: their work, what they say of their start, bad
# options, and how they end.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$examples/core_ping" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }

fail() {
    echo "$*" >&2
    cat said >&2 || :
    exit 1
}

"$examples/who" --overprovisioned --smp=3 >shown 2>said || fail "who: $?"
grep -qx 'core 2 answered' shown || fail "who: $(cat shown)"

# More cores than this machine may have: they share processors then.
"$examples/core_ping" --overprovisioned --smp=3 --count=500 >shown 2>said || fail "core_ping: $?"
[ "$(grep -c '^core [12]: 500 calls, [0-9]* ns each$' shown)" = 2 ] || fail "not all cores were called"
"$examples/core_ping" --smp=1 >shown 2>said || fail "core_ping on one core: $?"
grep -q 'no other core' shown || fail "one core called another one"
for backend in io_uring epoll; do
    "$examples/core_ping" --overprovisioned --smp=2 --count=100 --reactor-backend=$backend \
        >shown 2>said || fail "core_ping by $backend: $?"
done

# Each step of the start, once and in its order; and none without being asked.
[ ! -s said ] || fail "it talks of its start without being asked"
"$examples/core_ping" --overprovisioned --smp=2 --count=1 --explain-start >shown 2>said ||
    fail "core_ping --explain-start: $?"
sed -n 's/^ *[0-9]*\. \([^:]*\):.*/\1/p' said >steps
printf '%s\n' signals affinity processors memory 'huge pages' 'lock memory' 'I/O queues' allocation \
    'main thread' 'signals blocked' threads barrier 'message queues' barrier 'queues started' \
    barrier network 'loop running' | diff - steps >&2 || fail "other steps"

# What cannot be is refused by its name, and nothing has begun.
refused() {
    word=$1
    shift
    code=0
    "$examples/core_ping" "$@" >shown 2>said || code=$?
    [ "$code" = 2 ] || fail "core_ping $*: ended with $code"
    grep -q -e "$word" said || fail "core_ping $*: does not name $word"
    [ ! -s shown ] || fail "core_ping $*: it has begun"
}
refused --bogus --bogus
refused --smp --smp=0
refused --smp --smp=100000
refused --cpuset --cpuset=4000
refused --memory --memory=900T
refused --hugepages --hugepages=/tmp
refused --count --count=none

# Ctrl-C ends it well.
"$examples/core_ping" --overprovisioned --smp=2 --count=1000000000 --explain-start >shown 2>said &
serving=$!
until grep -q 'loop running' said; do
    kill -0 "$serving" 2>/dev/null || fail "it has ended"
    command sleep 0.05
done
kill -s TERM "$serving"
code=0
wait "$serving" || code=$?
serving=
[ "$code" = 0 ] || fail "it ended with $code"
