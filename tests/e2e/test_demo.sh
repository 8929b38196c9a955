# SPDX-License-Identifier: Apache-2.0
# test: timeout=1200
#
# The demo between two virtual machines, as `make demo` runs it, on a small tree: what comes out is
# looked at here, too. It does not end well if something is missing; and one Ctrl-C stops it properly.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
PATH=$PATH:/usr/sbin:/sbin
TMPDIR=$scratch/tmp
DEMO_OUT=$scratch/results DEMO_GUEST=$scratch/guest DEMO_SECONDS=2
MODE=vm
export TMPDIR DEMO_OUT DEMO_GUEST DEMO_SECONDS MODE
mkdir "$TMPDIR"

mkdir -p 'tree/a folder'
cp "$VINE_SOURCE_DIR"/include/vine/*.h tree
head -c 3000000 /dev/urandom >'tree/a folder/random  bytes'
: >tree/empty
ln -s empty tree/link
files=$(find tree -type f | wc -l)

nothing_is_left() {
    [ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"
    [ ! -e "$DEMO_OUT.check" ] || fail "left behind: $DEMO_OUT.check"
    # The server of doorbells goes two seconds after the last machine.
    until_true sh -c '! pgrep -a -f "$0" | grep -v "^$$ " >left' "$scratch" ||
        { cat left; fail "processes are left behind"; }
    ! grep -F "$scratch" /proc/mounts || fail "something is still mounted"
}

# loses NAME MODE PATTERN: with the command that is on stdin in the place of ours, the demo says so.
loses() {
    cat >"$1"
    chmod +x "$1"
    code=0
    VINE=$scratch/$1 MODE=$2 sh "$VINE_SOURCE_DIR/scripts/demo" tree >shown 2>said || code=$?
    [ "$code" = 1 ] || { cat shown; fail "$1: the demo ended with $code"; }
    grep -q -e "$3" shown || { cat shown; fail "$1: the demo does not say '$3'"; }
    nothing_is_left
}
loses one_result process "of $files files there are $((files - 1)) results and $files sums" <<END
#!/bin/sh
[ "\$1" != appliance ] || exec '$vine' "\$@"
'$vine' "\$@" || exit
rm -f '$DEMO_OUT/empty.zst'
END
loses one_sum process "of $files files there are $files results and $((files - 1)) sums" <<END
#!/bin/sh
[ "\$1" != appliance ] || exec '$vine' "\$@"
'$vine' "\$@" || exit
sed -i '/  empty\$/d' '$DEMO_OUT/SHA256SUMS'
END

needs_guests mkfs.ext4 debugfs
loses its_job vm 'the job did not end well' <<'END'
#!/bin/sh
case "$1 $2" in
"server "*) echo ready >&2 && exec sleep 1000 ;;
"vm console") echo 'vine-init: job ended with 1' ;;
esac
END

chmod 711 "$scratch" "$TMPDIR"
build_guest "$DEMO_GUEST" --quiet
VINE=$vine
export VINE
# Two minutes are for a real tree, on a machine of its own. This one may have others on it.
timeout 480 sh "$VINE_SOURCE_DIR/scripts/demo" tree >shown 2>said ||
    { code=$?; cat shown; fail "the demo ended with $code (124: not within eight minutes)"; }
nothing_is_left
grep -q '^app | vine-init: job ended with 0' shown || { cat shown; fail "it was not the machines"; }
(cd tree && find . -type f -printf '%P\0' | xargs -0 sha256sum) | sort >sums
sort results/SHA256SUMS | diff sums - || fail "other sums than sha256sum makes"
(cd tree && find . -type f) | sort >sources
(cd results && find . -name '*.zst') | sed 's/\.zst$//' | sort | diff sources - ||
    fail "results of something else"
while IFS= read -r name; do
    zstd -q -dc "results/$name.zst" | cmp - "tree/$name" || fail "$name is another one"
done <sources
# A second application of that guest had its tasks done, through the agent; a machine that stands
# still has some wait for too long.
grep -q "through this guest's agent  *\([0-9]\|.*timed out\)" shown ||
    { cat shown; fail "nothing went through the agent"; }

# A terminal's Ctrl-C goes to all of its foreground. What a shell starts in the background does not
# hear it.
: >shown # what the first one showed is not what is waited for
env --default-signal=INT setsid sh "$VINE_SOURCE_DIR/scripts/demo" tree >shown 2>said &
demo=$!
until grep -q '^app | vine-init: the kernel was up' shown; do
    kill -0 "$demo" 2>/dev/null || { cat shown; fail "the demo ended"; }
    command sleep 0.05
done
kill -s INT -- "-$demo"
code=0
wait "$demo" || code=$?
[ "$code" = 130 ] || { cat shown; fail "the demo ended with $code"; }
[ "$(grep -c 'stopping; again to stop at once' said)" = 1 ] || fail "it was told once"
for machine in app zip; do
    grep -q "$machine: off: stopped, the guest has powered off" said ||
        { cat shown; fail "$machine did not end by itself"; }
done
nothing_is_left
