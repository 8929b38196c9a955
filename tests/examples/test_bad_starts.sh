# SPDX-License-Identifier: Apache-2.0
#
# Programs on reactors that cannot start, or not as they were asked to: options that are wrong, each
# of the table, and machines that lack something. Each is told with what would be right, and nothing
# has begun.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$examples/core_ping" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }

fail() {
    echo "$*" >&2
    cat said >&2 || :
    exit 1
}

# try COMMAND...: its exit code is $code, what it says is in the file said.
try() {
    code=0
    "$@" >shown 2>said || code=$?
}

# refused WORD ARGUMENT...: before anything starts, and WORD says why.
refused() {
    word=$1
    shift
    try "$@"
    [ "$code" = 2 ] || fail "$*: ended with $code"
    grep -qF -e "$word" said || fail "$*: does not say '$word'"
    [ ! -s shown ] || fail "$*: it has begun"
}

# told WORD COMMAND...: while it starts.
told() {
    word=$1
    shift
    try "$@"
    [ "$code" = 1 ] || fail "$*: ended with $code"
    grep -qF -e "$word" said || fail "$*: does not say '$word'"
}

ping=$examples/core_ping

# ---- options ------------------------------------------------------------------------------------

# The table itself says which there are and what they take.
rows_of() {
    "$1" --help=markdown |
        sed -n 's/\\|/;/g; s/^| `\(--[a-z-]*\)[^|]*| \([^|]*[^ |]\) *|.*/\1 \2/p'
}
rows_of "$ping" >rows
[ "$(wc -l <rows)" -ge 24 ] || fail "the table has $(wc -l <rows) rows"
tried=0
while read -r option takes; do
    bad='no such, value'
    case $takes in
    'any text') continue ;;
    nothing) right='0 or 1, or no value' ;;
    'a path') right='mount of hugetlbfs' ;;
    *hwloc*) right='hwloc' ;;
    *) right=$takes ;;
    esac
    refused "$right" "$ping" "$option=$bad"
    grep -qF -e "$option" said || fail "$option: not named"
    grep -qF -e "$bad" said || fail "$option: does not show what was wrong"
    case $takes in
    nothing | text*) ;;
    *) refused "$option" "$ping" --smp=1 "$option" ;; # and no value at all
    esac
    tried=$((tried + 1))
done <rows
[ "$tried" -ge 22 ] || fail "$tried options were tried"
refused '--smp' "$ping" --smp=0
refused '--smp' "$ping" --smpp=1 # the one that is like it
refused '--bogus' "$ping" --bogus
refused '--memory' "$ping" --smp=1 --memory=1K
refused '--memory' "$ping" --memory=900T
refused '--reserve-memory' "$ping" --reserve-memory=900T
refused '--cpuset' "$ping" --cpuset=4000
refused '--num-io-queues' "$ping" --overprovisioned --smp=2 --num-io-queues=3
try "$ping" --smp=0 --memory=much --cpuset=x # all at once
[ "$(grep -c -e '--smp' -e '--memory' -e '--cpuset' said)" = 3 ] || fail "not all mistakes are told"

# ---- processors ---------------------------------------------------------------------------------

skip() {
    echo "left out: $*"
}

if [ "$(nproc)" -ge 2 ] && command -v taskset >/dev/null; then
    refused 'sched_getaffinity' taskset -c 0 "$ping" --cpuset=1
    refused '--smp' taskset -c 0 "$ping" --smp=2
    try taskset -c 0 "$ping" --count=10 --memory=64M
    [ "$code" = 0 ] || fail "on one processor: ended with $code"
    grep -q 'no other core' shown || fail "on one processor: it has another core"
    try taskset -c 0 "$ping" --overprovisioned --smp=2 --count=10 --memory=64M
    [ "$code" = 0 ] || fail "two cores on one processor: ended with $code"
else
    skip "a mask: there is one processor, or no taskset"
fi

# ---- under a supervisor ------------------------------------------------------------------------

# At once, and once: nobody listens before it is clear that somebody can serve.
echo_program=$examples/supervised_echo
supervised() {
    word=$1
    shift
    refused "$word" "$echo_program" --listen=127.0.0.1:0 "$@"
    [ "$(grep -cF -e "$word" said)" = 1 ] || fail "$*: told more than once"
    ! grep -q ' supervise: ' said || fail "$*: it has begun"
}
rows_of "$echo_program" >rows
while read -r option takes; do
    case $takes in
    'any text' | *hwloc*) continue ;;
    nothing) right='0 or 1, or no value' ;;
    'a path') right='mount of hugetlbfs' ;;
    *) right=$takes ;;
    esac
    supervised "$right" "$option=no such, value"
done <rows
supervised '--smp 64: there' --smp=64
supervised 'by process 0 of 2' --processes=2 --smp=63
supervised '--cpuset 4000: 4000 may not be used' --cpuset=4000
supervised '--memory 900T: there are' --memory=900T --processes=2
supervised '--num-io-queues 3: there are 2 cores' --overprovisioned --smp=2 --num-io-queues=3
supervised "'x' is not what it takes: an address" --listen=x
supervised "'needless': it takes options alone" needless
supervised '--processes' --processes=257
supervised "no machine in hwloc's words: the last level has to be pu" --processes=2 --topology=core:2
# What is told of a start that cannot be is told once, too.
try "$echo_program" --listen=127.0.0.1:0 --processes=2 --overprovisioned --cpuset=4000 --explain-start
[ "$(grep -c ' processors: not decided' said)" = 1 ] || fail "what was found is told otherwise"

# Each process of another machine has the part that it would have.
"$echo_program" --processes=2 --reserve-memory=0 \
    --topology='pack:2 [numa(memory=8GiB)] core:2 pu:1' >shown 2>said || fail "two processes: $?"
[ "$(grep -c '^Process [01] of 2:$' shown)" = 2 ] || fail "not each process is shown"
[ "$(grep -c ' usable     0-1$' shown) $(grep -c ' usable     2-3$' shown)" = '1 1' ] ||
    fail "processors are not divided"
[ "$(grep -c 'memory: 8 GiB for 2 cores, 4 GiB each' shown)" = 2 ] || fail "memory is not divided"

# ---- limits -------------------------------------------------------------------------------------

small='--overprovisioned --smp=2 --memory=64M --count=10'

# However few descriptors: it runs, or it says what it could not have.
ran=0
for limit in $(seq 3 40); do
    # shellcheck disable=SC2086
    try sh -c 'ulimit -n "$1"; shift; exec "$@"' sh "$limit" "$ping" $small
    case $code in
    0) ran=$((ran + 1)) ;;
    1) grep -q '^core_ping: [^ ]* ' said || fail "with $limit descriptors: no sentence" ;;
    127) ;; # nor can its libraries be opened
    *) fail "with $limit descriptors: ended with $code" ;;
    esac
done
[ "$ran" -gt 5 ] || fail "it never ran"

if [ -z "$VINE_SANITIZE" ]; then
    # A sanitizer wants more than that for itself.
    refused 'RLIMIT_AS' sh -c 'ulimit -v 4000000; exec "$@"' sh "$ping" --memory=8G
fi

if [ "$(id -u)" = 0 ] && command -v setpriv >/dev/null && chmod 755 "$scratch" &&
    setpriv --reuid=65534 --clear-groups --inh-caps=-all test -x "$ping"; then
    other='setpriv --reuid=65534 --clear-groups --inh-caps=-all'
    refused 'RLIMIT_MEMLOCK' sh -c 'ulimit -l 64; exec "$@"' sh $other "$ping" --smp=1 \
        --memory=64M --lock-memory=1
    if [ -z "$VINE_SANITIZE" ] && command -v prlimit >/dev/null; then
        # shellcheck disable=SC2086
        told 'no thread' $other prlimit --nproc=1 "$ping" $small
    fi
else
    skip "limits of an ordinary user: nobody may become one here"
fi

# ---- what a kernel lacks ------------------------------------------------------------------------

# shellcheck disable=SC2086
try "$VINE_WITHOUT" io_uring -- "$ping" $small --explain-start
if [ "$code" = 77 ]; then
    skip "io_uring that is forbidden: there are no filters of system calls"
else
    [ "$code" = 0 ] || fail "without io_uring: ended with $code"
    grep -q 'by epoll: this kernel has no io_uring' said || fail "does not say why it is epoll"
    # shellcheck disable=SC2086
    try "$VINE_WITHOUT" --denied io_uring -- "$ping" $small --explain-start
    [ "$code" = 0 ] || fail "with io_uring denied: ended with $code"
    grep -q 'by epoll: io_uring is forbidden here' said || fail "does not say that it is forbidden"
    # shellcheck disable=SC2086
    refused '--reactor-backend io_uring: io_uring is forbidden here' "$VINE_WITHOUT" --denied io_uring -- "$ping" $small \
        --reactor-backend=io_uring
fi

refused 'no mount of hugetlbfs' "$ping" --hugepages="$scratch"
if [ "$(id -u)" = 0 ] && unshare -m true 2>/dev/null && grep -q hugetlbfs /proc/filesystems; then
    mkdir huge
    refused '--hugepages' unshare -m sh -c '
        mount -t hugetlbfs none "$1" || exit 99
        shift
        exec "$@"' sh "$scratch/huge" "$ping" --hugepages="$scratch/huge" --memory=4000G
else
    skip "huge pages: nothing may be mounted, or there are none"
fi

# ---- groups -------------------------------------------------------------------------------------

group=
for tree in /sys/fs/cgroup/memory /sys/fs/cgroup; do
    if [ -z "$group" ] && [ -w "$tree" ] && [ "$(id -u)" = 0 ] &&
        mkdir "$tree/vine-test-$$" 2>/dev/null; then
        group=$tree/vine-test-$$
        limit=$group/memory.max
        [ -e "$limit" ] || limit=$group/memory.limit_in_bytes
        if ! echo 268435456 >"$limit" 2>/dev/null; then
            rmdir "$group"
            group=
        fi
    fi
done
if [ -n "$group" ]; then
    trap 'rmdir "$group" || :; finish' EXIT
    in_group='echo $$ >"$0/cgroup.procs"; exec "$@"'
    refused "$limit" sh -c "$in_group" "$group" "$ping" --smp=1 --memory=1G
    grep -qF '256 MiB' said || fail "does not say how much the group may have"
    try sh -c "$in_group" "$group" "$ping" --overprovisioned --smp=2 --count=10 --explain-start
    [ "$code" = 0 ] || fail "in a group: ended with $code"
    grep -qF "$limit" said || fail "--explain-start does not name the group's limit"
    # Not more than three quarters of it, and not the machine's.
    grep -q 'memory: 192 MiB for 2 cores' said || fail "it takes another part of what it may have"
else
    skip "a limit of a group: none can be made here"
fi
