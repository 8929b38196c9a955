#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# On kernels that lack what Vine can use: another way stands in, and `vine doctor` says which.
. "$(dirname "$0")/lib.sh"

code=0
"$VINE_WITHOUT" io_uring -- true 2>said || code=$?
[ "$code" != 77 ] || skip "$(cat said)"

# row NAME VERDICT WITHOUT: what doctor said of it.
row() {
    grep -A 2 "^$2 *$1 " told >about || { cat told; fail "$1 is not $2"; }
    [ "$2" = there ] || grep -q " $3" about || { cat about; fail "of $1 it does not say: $3"; }
}
all='io_uring pidfd peerpidfd membarrier memfd_flags populate'
for denied in '' --denied; do
    "$VINE_WITHOUT" $denied $all -- "$vine" doctor >told || fail "doctor: $?"
    row io_uring missing 'through epoll and plain calls'
    row pidfd missing 'told by its process id and start time'
    row membarrier missing 'wait mode sleepy'
    row 'memfd seals' there
done
"$VINE_WITHOUT" peerpidfd -- "$vine" doctor >told
row pidfd partly 'told by its process id and start time'
for lack in memfd seal_future_write; do
    "$VINE_WITHOUT" $lack -- "$vine" doctor >told
    row 'memfd seals' missing 'named segments alone'
done

mkdir files
printf hello >files/a
head -c 3000000 /dev/urandom >files/b
sha256sum files/a files/b >right

# run_without NAMES: an application that lacks them. It works, or fails here.
run_without() {
    code=0
    "$VINE_WITHOUT" $1 -- "$vine" run sha256 -a "$address" files/a files/b >sums 2>said || code=$?
    [ "$code" = 0 ] || fail "status $code without $1"
    cmp -s sums right || fail "other sums without $1"
}

# serve_without NAMES: an appliance that lacks them, and tells of its pipes.
serve_without() {
    real=$vine
    printf '#!/bin/sh\nexec "%s" %s -- "%s" "$@"\n' "$VINE_WITHOUT" "$1" "$real" >lacking
    chmod +x lacking
    vine=$scratch/lacking
    serve --verbose
    vine=$real
}

# Both, and either alone: what one of them has the other one may lack.
socket=$address
for names in peerpidfd "$all" "--denied $all"; do
    for address in "$socket" "file:$scratch/segment"; do
        serve_without "$names"
        run_without "$names"
        run_without io_uring
        stop
    done
done
address=$socket
serve
run_without "$all"
stop

# A death is noticed without pidfds too. told WORD: the appliance says so.
told() {
    while IFS= read -r line <&3; do
        case $line in *"$1"*) return ;; esac
    done
    fail "the appliance does not tell of '$1'"
}
truncate -s 30G endless
for dies in appliance application; do
    serve_without "$all"
    "$VINE_WITHOUT" $all -- "$vine" run sha256 -a "$address" --reconnect 0 endless >sums 2>said &
    running=$!
    told opened
    if [ $dies = appliance ]; then
        kill -KILL "$serving"
        wait "$serving" 2>/dev/null || :
        serving=
        code=0
        wait "$running" || code=$?
        [ "$code" = 75 ] || fail "status $code when the appliance was lost"
    else
        kill -KILL "$running"
        wait "$running" 2>/dev/null || :
        told closed
        stop
    fi
done

# Without memory that can be sealed there is no pipe over a socket, and that is said; a named segment
# does without.
for lack in memfd seal_future_write; do
    serve
    expect 69 "$VINE_WITHOUT" $lack -- "$vine" run sha256 -a "$address" files/a
    said 'memfd'
    stop
    address=file:$scratch/segment
    serve_without $lack
    run_without $lack
    stop
    address=$socket
done

# And the library, as its own tests see it; nothing spins instead of sleeping.
own() {
    program=$VINE_BUILD_DIR/tests/$1
    shift
    [ -x "$program" ] || return 0
    code=0
    "$VINE_WITHOUT" "$@" -- "$program" >said 2>&1 || code=$?
    [ "$code" = 0 ] || fail "$program without $*: status $code"
}
for name in pipe task data loss session named; do
    own test_unit_core_talk_$name $all
done
own test_stress_idle --denied $all
