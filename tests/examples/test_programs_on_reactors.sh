# SPDX-License-Identifier: Apache-2.0
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
"$examples/who" --version >shown 2>said || fail "who --version: $?"
grep -Eqx 'who \(vine [0-9]+\.[0-9]+\.[0-9]+\)' shown || fail "who --version: $(cat shown)"

# More cores than this machine may have: they share processors then.
"$examples/core_ping" --overprovisioned --smp=3 --count=500 >shown 2>said || fail "core_ping: $?"
[ "$(grep -c '^core [12]: 500 calls, [0-9]* ns each$' shown)" = 2 ] || fail "not all cores were called"
"$examples/core_ping" --smp=1 >shown 2>said || fail "core_ping on one core: $?"
grep -q 'no other core' shown || fail "one core called another one"
for backend in io_uring epoll; do
    "$examples/core_ping" --overprovisioned --smp=2 --count=100 --reactor-backend=$backend \
        >shown 2>said || fail "core_ping by $backend: $?"
done

# Each answer of the store is what it has to be; by one core, by more than there are, on one key.
for how in '--smp=1' '--overprovisioned --smp=3 --in-flight=200' \
    '--overprovisioned --smp=2 --keys=1 --seed=9' '--overprovisioned --smp=2 --reactor-backend=epoll'; do
    "$examples/sharded_kv" --operations=3000 $how >shown 2>said || fail "sharded_kv $how: $?"
    grep -q '^[0-9]*000 operations, [0-9]* hits, 0 wrong, [0-9]* operations/s$' shown ||
        fail "sharded_kv $how: $(cat shown)"
done

# Each step of the start, once and in its order; and none without being asked.
! grep -q '^ *[0-9]*\. ' said || fail "it talks of its start without being asked"
"$examples/core_ping" --overprovisioned --smp=2 --count=1 --explain-start >shown 2>said ||
    fail "core_ping --explain-start: $?"
sed -n 's/^ *[0-9]*\. \([^:]*\):.*/\1/p' said >steps
printf '%s\n' signals affinity processors memory 'huge pages' 'lock memory' 'I/O queues' allocation \
    'main thread' 'signals blocked' threads barrier 'message queues' barrier \
    'queues started' \
    barrier network 'low-resolution clock' 'loop running' | diff - steps >&2 || fail "other steps"

# A core's calls to itself are no pair.
grep -qF 'message queues: 2, one for each ordered pair, and 2 for calls to oneself' said ||
    fail "the queues are counted otherwise"
"$examples/core_ping" --smp=1 --count=1 --memory=64M --explain-start >shown 2>said || fail "one core: $?"
grep -qF 'message queues: 0, one for each ordered pair, and 1 for calls to oneself' said ||
    fail "the queue of one core is counted otherwise"

# Each says what it is for, and takes nothing that it would not look at.
for program in who core_ping sharded_kv tcp_echo supervised_echo word_server copy_file; do
    "$examples/$program" --help >shown 2>said || fail "$program --help: $?"
    grep -q "^Usage: $program \[OPTION...\]" shown || fail "$program --help: $(head -n 1 shown)"
    code=0
    "$examples/$program" "$scratch" "$scratch/one" needless >shown 2>said || code=$?
    [ "$code" = 2 ] || fail "$program with a needless argument: ended with $code"
    case $program in
    copy_file) word="'needless' is one too many: it takes FROM TO" ;;
    word_server) word="'$scratch/one' is one too many: it takes FOLDER" ;;
    *) word="'$scratch': it takes options alone, and this is none" ;;
    esac
    grep -qF -e "$word" said || fail "$program with a needless argument: says something else"
    [ ! -s shown ] || fail "$program with a needless argument: it has begun"
done
for program in sharded_kv tcp_echo supervised_echo; do
    code=0
    "$examples/$program" --listen x >shown 2>said || code=$?
    [ "$code" = 2 ] || fail "$program --listen x: ended with $code"
    grep -qF -e "--listen: 'x' is not what it takes: an address, as 127.0.0.1:80" said ||
        fail "$program --listen x: does not say what would be right"
done

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

# begin PROGRAM ARGUMENT...: start it, and wait until its loop runs.
begin() {
    : >said # what the one before said is not what is waited for
    program=$1
    shift
    "$examples/$program" --overprovisioned --smp=2 --explain-start "$@" >shown 2>said &
    serving=$!
    until grep -q 'loop running' said; do
        kill -0 "$serving" 2>/dev/null || fail "$program $* has ended"
        command sleep 0.05
    done
}

# end_well WHAT: as Ctrl-C and a service manager do.
end_well() {
    kill -s TERM "$serving"
    code=0
    wait "$serving" || code=$?
    serving=
    [ "$code" = 0 ] || fail "$1 ended with $code"
}

# What cores do is told when somebody asks: while they serve, and under load.
ask_state() {
    begin sharded_kv "$@"
    kill -s USR1 "$serving"
    until [ "$(grep -c ' state: core [01]:' said)" = 2 ] && grep -q 'group 0 main: ' said; do
        kill -0 "$serving" 2>/dev/null || fail "sharded_kv $* was ended by SIGUSR1"
        command sleep 0.05
    done
    end_well "sharded_kv $*"
}
ask_state --listen="unix:$scratch/kv.sock"
ask_state --operations=1000000000000

begin core_ping --count=1000000000
end_well core_ping
