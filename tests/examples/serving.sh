# SPDX-License-Identifier: Apache-2.0
#
# For the tests of examples: a folder of one's own, and an appliance in it.
set -eu
examples=$VINE_BUILD_DIR/examples
scratch=$(mktemp -d)
address=$scratch/vine.sock
serving=

finish() {
    [ -z "$serving" ] || kill "$serving" 2>/dev/null || :
    rm -rf "$scratch"
}
trap finish EXIT
# Nothing of the person who runs the tests.
HOME=$scratch XDG_RUNTIME_DIR=$scratch XDG_CONFIG_HOME=$scratch
export HOME XDG_RUNTIME_DIR XDG_CONFIG_HOME
umask 022

# serve COMMAND...: start an appliance and wait until it says that it is ready.
serve() {
    mkfifo "$scratch/says"
    "$@" >"$scratch/says" 2>&1 &
    serving=$!
    exec 3<"$scratch/says"
    IFS= read -r line <&3 || { echo "it ended before it was ready: $*"; exit 1; }
    case $line in
    *"$address"*) ;;
    *) echo "$line"; cat <&3; exit 1 ;;
    esac
}

# stop: have it drain; it must end well.
stop() {
    kill -TERM "$serving"
    wait "$serving" || { echo "the appliance ended with $?"; cat <&3; exit 1; }
    serving=
}

fail() {
    echo "$*"
    exit 1
}
