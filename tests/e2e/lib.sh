# SPDX-License-Identifier: Apache-2.0
#
# For the tests of the command: a folder of one's own, nothing of the person who runs them, and an
# appliance in it where one is wanted.
set -eu
vine=$VINE_COMMAND
scratch=$(mktemp -d)
address=$scratch/vine.sock
serving=

# What a test has to undo besides; it may define its own.
undo() { :; }

# What still runs would keep the output of the test open. Machines need a moment to stop.
finish() {
    code=$?
    undo
    jobs -p >"$scratch/jobs"
    # Words, to be split.
    # shellcheck disable=SC2046
    set -- $(cat "$scratch/jobs")
    [ $# = 0 ] || kill -TERM "$@" 2>/dev/null || :
    for _ in $(seq 50); do
        alive=
        for pid; do
            if kill -0 "$pid" 2>/dev/null; then alive=yes; fi
        done
        [ -n "$alive" ] || break
        command sleep 0.1
    done
    [ $# = 0 ] || kill -KILL "$@" 2>/dev/null || :
    chmod -R u+rwx "$scratch" 2>/dev/null || :
    rm -rf "$scratch"
    exit "$code"
}
trap finish EXIT
trap 'exit 1' INT TERM HUP

mkdir -m 700 "$scratch/home" "$scratch/runtime"
HOME=$scratch/home XDG_RUNTIME_DIR=$scratch/runtime XDG_CONFIG_HOME=$scratch/home/.config
export HOME XDG_RUNTIME_DIR XDG_CONFIG_HOME
umask 022
LC_ALL=C.UTF-8
export LC_ALL
cd "$scratch"

fail() {
    echo "FAILED: $*"
    [ ! -s "$scratch/said" ] || sed 's/^/  stderr: /' "$scratch/said"
    exit 1
}

skip() {
    echo "skipped: $*"
    exit 77
}

# become_other: from here on `$as "$vine" ...` runs as a user whose rights count: as ourselves, or,
# since root may do everything, as nobody, with folders of its own. For subshells.
become_other() {
    as=
    [ "$(id -u)" = 0 ] || return 0
    chmod 755 "$scratch"
    cp "$vine" "$scratch/vine"
    chmod 755 "$scratch/vine"
    vine=$scratch/vine
    HOME=$scratch/other
    XDG_RUNTIME_DIR=$HOME/runtime XDG_CONFIG_HOME=$HOME/.config
    mkdir -p "$XDG_RUNTIME_DIR" "$XDG_CONFIG_HOME/vine"
    chmod -R go-rwx "$HOME"
    chown -R 65534:65534 "$HOME"
    as='setpriv --reuid=65534 --regid=65534 --clear-groups'
}

# expect STATUS COMMAND...: it ends with this status; its stderr is kept in $scratch/said.
expect() {
    wanted=$1
    shift
    got=0
    "$@" 2>"$scratch/said" || got=$?
    [ "$got" = "$wanted" ] || fail "status $got instead of $wanted: $*"
}

# said PATTERN: the last command that was expected said so on stderr.
said() {
    grep -q -e "$1" "$scratch/said" || fail "does not say '$1'"
}

# serve [OPTION...]: start an appliance at $address, or at $listened which it calls so, and wait until
# it is ready.
serve() {
    rm -f "$scratch/says"
    mkfifo "$scratch/says"
    case " $* " in
    *' --listen '*) ;;
    *) set -- --listen "${listened:-$address}" "$@" ;;
    esac
    "$vine" appliance "$@" >"$scratch/says" 2>&1 &
    serving=$!
    exec 3<"$scratch/says"
    before=
    while IFS= read -r line <&3; do
        case $line in
        *ready*"$address"*) return ;;
        esac
        before="$before
$line"
    done
    fail "the appliance ended before it was ready:$before"
}

# stop: have it drain; it must end well.
stop() {
    kill -TERM "$serving"
    code=0
    wait "$serving" || code=$?
    serving=
    [ "$code" = 0 ] || fail "the appliance ended with $code: $(cat <&3)"
}

# until COMMAND...: repeat it until it succeeds; the test's own time limit ends it otherwise.
until_true() {
    while ! "$@" 2>/dev/null; do
        # What we wait for is another process's doing: let it run.
        command sleep 0.01
    done
}

# no_leftovers FOLDER: nothing half-done lies below it.
no_leftovers() {
    left=$(find "$1" -name '*.part')
    [ -z "$left" ] || fail "left behind: $left"
}
