# SPDX-License-Identifier: Apache-2.0
# test: timeout=120
#
# Every example as a reader would run it: against the command's appliance, and against its own.
set -eu

examples=$VINE_BUILD_DIR/examples
here=$(mktemp -d)
started=

finish() {
    for pid in $started; do
        kill "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    rm -rf "$here"
}
trap finish EXIT
trap 'exit 130' INT TERM

fail() {
    echo "FAILED: $*" >&2
    exit 1
}

# start NAME COMMAND...: run an appliance, and return when it says that it serves. What it says goes
# through a pipe that stays open on descriptor 3 or 4.
start() {
    name=$1 descriptor=$2
    shift 2
    mkfifo "$here/$name.says"
    "$@" 2>"$here/$name.says" &
    started="$started $!"
    eval "exec $descriptor<\"\$here/\$name.says\""
    eval "IFS= read -r line <&$descriptor" || fail "$name ended before it served"
    echo "$name: $line"
}

expect() {
    got=$1
    shift
    [ "$got" = "$*" ] || fail "expected '$*', got '$got'"
}

export HOME="$here" XDG_RUNTIME_DIR="$here" XDG_CONFIG_HOME="$here"
unset VINE_APPLIANCE || true

# Without an appliance each says so, and fails.
for name in hello zero_copy many_tasks; do
    if said=$("$examples/$name" "$here/nobody.sock" 2>&1); then
        fail "$name found an appliance where there is none"
    fi
    expect "$said" "$name: no appliance answers at this address"
done

mkdir -m 755 "$here/procs"
cp "$examples/my_library.so" "$here/procs/"
chmod 644 "$here/procs/my_library.so"
start appliance 3 "$VINE_COMMAND" appliance --listen "$here/vine.sock" --procs "$here/procs"

expect "$("$examples/hello" "$here/vine.sock")" "$(printf hello | sha256sum | cut -d' ' -f1)  hello"
expect "$("$examples/zero_copy" "$here/vine.sock")" \
    "1048576 of 1048576 bytes came back, 0 were copied on our side"
expect "$("$examples/many_tasks" "$here/vine.sock" | cut -d, -f1)" "10000 tasks ended"
VINE_APPLIANCE=$here/vine.sock "$examples/hello" >/dev/null || fail "VINE_APPLIANCE is not followed"
"$VINE_COMMAND" procs --appliance "$here/vine.sock" | grep -q '^count_words' ||
    fail "the library's procedure is not offered"

start my_appliance 4 "$examples/my_appliance" "$here/rot.sock"
printf 'Hello, Vine!\n' >"$here/plain"
"$VINE_COMMAND" run rot13 "$here/plain" -o "$here/out" --appliance "$here/rot.sock" 2>/dev/null ||
    fail "vine run rot13"
rotated=$(find "$here/out" -type f ! -name '.*' -exec cat {} +)
expect "$rotated" "Uryyb, Ivar!"

# Told to stop, both end well.
for pid in $started; do
    kill "$pid"
    wait "$pid" || fail "an appliance ended with $?"
done
started=
echo "all examples ran"
