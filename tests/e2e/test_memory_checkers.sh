# SPDX-License-Identifier: Apache-2.0
#
# valgrind and AddressSanitizer understand coroutines: they say nothing of what is right, in their
# own tests and in services, and tell of a coroutine that leaves its frame or its memory, or uses
# what it has given back. AddressSanitizer in a build with it; valgrind elsewhere, and of heaps in a
# debug build.
. "$VINE_SOURCE_DIR/tests/e2e/services.sh"
errors=$VINE_BUILD_DIR/tests/plugins/memory_errors.so
[ -e "$errors" ] || skip "no $errors"
case ${VINE_SANITIZE:-} in
*address*) tool=asan ;;
'') tool=valgrind ;;
*)
    echo "left out: a build with another sanitizer ($VINE_SANITIZE) is not watched"
    exit 0
    ;;
esac
if [ $tool = valgrind ]; then
    needs valgrind
    # 3.19 does not read what clang 14 writes for debuggers.
    valgrind -q --log-file=watched "$VINE_BUILD_DIR/vine-serve" --help >out 2>&1 || :
    ! grep -q 'debuginfo reader' watched || skip "valgrind cannot read what this compiler wrote"
fi

# watch COMMAND...: it, watched; what the tool tells is in `watched`, and $? is 9 if that is anything.
watch() {
    if [ $tool = asan ]; then
        ASAN_OPTIONS=${ASAN_OPTIONS:-}:exitcode=9 "$@" 2>watched
    else
        valgrind -q --error-exitcode=9 --log-file="$scratch/watched" "$@" 2>said
    fi
}

# serve_watched SERVICE WORD...: on standard input and output.
serve_watched() {
    # shellcheck disable=SC2086
    watch "$VINE_BUILD_DIR/vine-serve" "$@" --stdio --isolate none --memory 32M $busy
}

# quiet WHAT COMMAND...: the tool has nothing to tell of it.
quiet() {
    what=$1
    shift
    code=0
    "$@" >out || code=$?
    [ "$code" = 0 ] || fail "$what: ended with $code: $(tail -n 30 out watched)"
}

# told WHAT PATTERN: the tool tells of what a line has the service do.
told() {
    code=0
    echo "$1" | serve_watched "$errors" >out || code=$?
    [ "$code" = 9 ] || fail "$1: not noticed: ended with $code: $(cat out watched)"
    grep -q "$2" watched || fail "$1: not told as '$2': $(cat watched)"
    # Where it is: the coroutine, through the stack on which it runs.
    grep -q memory_errors.c watched || grep -q ' memory_errors (' watched ||
        fail "$1: not where it is: $(cat watched)"
}

# What is wrong, told.
if [ $tool = asan ]; then
    for what in frame freed beyond unkept; do
        # Of a word that is a part of a block's last one it says less.
        told $what 'AddressSanitizer: \(use-after-poison\|unknown-crash\)'
    done
else
    told local 'uninitialised value'
    if grep -q '^CMAKE_BUILD_TYPE:[A-Z]*=Debug' "$VINE_BUILD_DIR/CMakeCache.txt"; then
        for what in frame freed beyond; do
            told $what 'Invalid read of size 1'
        done
        told unkept 'Invalid write of size 1'
    else
        echo "left out: errors in heaps, of which a debug build tells valgrind"
    fi
fi

# What is right.
for backend in io_uring epoll; do
    printf 'a\nb\n' >in
    quiet "$backend: nothing wrong" serve_watched "$errors" --reactor-backend $backend <in
    [ "$(cat out)" = "$(cat in)" ] || fail "$backend: nothing wrong: $(cat out)"
    seq 1 300 >in
    quiet "$backend: line numbers" serve_watched "$VINE_BUILD_DIR/examples/line_numbers.so" \
        --reactor-backend $backend <in
    awk '{ print NR ": " $0 }' in | cmp - out || fail "$backend: line numbers: $(cat out)"
done
printf 'some words\nand more\n' >in
quiet "pipeline" serve_watched "$VINE_BUILD_DIR/examples/pipeline.so" <in
[ -s out ] || fail "pipeline: says nothing"
[ $tool = valgrind ] || exit 0
# Their own tests, which run with AddressSanitizer as they are.
for name in state_coroutines state_family future_futures socket_operations process_connections \
    process_park process_end process_poll process_splice process_further mail_mail service_here; do
    program=$VINE_BUILD_DIR/tests/test_unit_core_$name
    [ ! -x "$program" ] || quiet "$name" watch "$program"
done
