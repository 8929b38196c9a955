#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The appliance that a command starts for its own length: nobody can be in its way, and nothing is
# left of it.
. "$(dirname "$0")/lib.sh"

printf hello >small
truncate -s 30G endless
small=$(sha256sum small)
mkdir tmp
TMPDIR=$scratch/tmp
export TMPDIR
unset XDG_RUNTIME_DIR

nothing_left() {
    [ -z "$(ls -A "$TMPDIR")" ]
}
has_folder() {
    ! nothing_left
}

# Its folder is its user's alone, and goes with it, however the command ends.
[ "$("$vine" run sha256 small 2>said)" = "$small" ] || fail "run without a runtime directory"
nothing_left || fail "run leaves $(ls -A tmp)"
expect 0 "$vine" procs >/dev/null
nothing_left || fail "procs leaves $(ls -A tmp)"
for signal in INT TERM HUP KILL; do
    # A shell has what it starts in the background ignore SIGINT.
    env --default-signal "$vine" run sha256 endless >/dev/null 2>&1 &
    running=$!
    until_true has_folder
    [ "$(stat -c %a tmp/*)" = 700 ] || fail "its folder is open: $(ls -l tmp)"
    kill -$signal "$running"
    wait "$running" && fail "it goes on after SIG$signal"
    until_true nothing_left
done
# ...and if the appliance is killed, and another started.
"$vine" run zstd small endless -o out >/dev/null 2>&1 &
running=$!
until_true test -e out/small.zst
first=$(ls -A tmp)
kill -KILL $(cat "/proc/$running/task/$running/children")
until_true sh -c '[ -n "$(ls -A tmp)" ] && [ "$(ls -A tmp)" != "$0" ]' "$first"
kill -INT "$running"
wait "$running" && fail "it goes on after SIGINT"
nothing_left || fail "an appliance that was killed leaves $(ls -A tmp)"

# Where one folder will not do, the next one does.
for XDG_RUNTIME_DIR in "$scratch/not there" "$scratch/small" relative \
    "$scratch/$(printf '%0100d' 0)"; do
    export XDG_RUNTIME_DIR
    [ "$("$vine" run sha256 small 2>said)" = "$small" ] || fail "run at $XDG_RUNTIME_DIR"
done
unset XDG_RUNTIME_DIR

# Somebody else was there first, where names live. It takes root to be two users.
if [ "$(id -u)" != 0 ]; then
    echo "note: not root: nobody else's folder could be tried"
    exit 0
fi
other=54321
become_other
undo() { rmdir "/tmp/vine-$other"; }
mkdir -p "/tmp/vine-$other"
chown -R $other "$HOME"
unset XDG_RUNTIME_DIR TMPDIR
as="setpriv --reuid=$other --regid=$other --clear-groups"
expect 77 $as "$vine" run sha256 -a default small
said 'yours alone'
[ "$($as "$vine" run sha256 small 2>said)" = "$small" ] || fail "somebody else is in its way"
