# SPDX-License-Identifier: Apache-2.0
# test: timeout=400
#
# `vine guest run`: a linked pair does its work; and whoever is interrupted leaves nothing behind.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
TMPDIR=$scratch/runs
export TMPDIR
mkdir "$TMPDIR"

needs_guests
chmod 711 "$scratch" "$TMPDIR"
build_guest guest --quiet
[ -s built ] && fail "--quiet says: $(cat built)"
echo '{"guest": "guest", "accelerator": "tcg", "machines": [{"name": "a", "disks": [{"file": "no"}]}]}' \
    >plan.json
expect 1 "$vine" guest run plan.json
said 'no: No such file'
echo '{"guest": "guest", "accelerator": "tcg", "machines": [{"name": "a"}]}' >plan.json
expect 1 env PATH=/nowhere "$vine" guest run plan.json
said 'does not start'

# Nobody is waited for who might write into it.
mkfifo fifo
echo '{"guest": "guest", "accelerator": "tcg", "machines": [{"name": "a", "files": {"a": "fifo"}}]}' \
    >plan.json
expect 1 timeout 60 "$vine" guest run plan.json
said 'fifo: it is no file'
echo '{"guest": "guest", "accelerator": "tcg",
    "machines": [{"name": "a", "disks": [{"file": "fifo", "read_only": true}]}]}' >plan.json
expect 1 timeout 60 "$vine" guest run plan.json

# A QEMU that closes its console and goes on costs nothing.
mkdir closing
cat >closing/qemu-system-x86_64 <<'END'
#!/bin/bash
for word in "$@"; do
    case $word in fd=*,set=1) fd=${word#fd=} fd=${fd%%,*} ;; esac
done
exec {fd}>&-
sleep 3
END
chmod -R a+rx closing
echo '{"guest": "guest", "accelerator": "tcg", "machines": [{"name": "a"}]}' >plan.json
(
    env PATH="$scratch/closing:$PATH" "$vine" guest run plan.json >shown 2>said || :
    times >used
)
awk 'NR == 2 { split($1, user, "[ms]"); split($2, kernel, "[ms]")
    exit !(user[1] * 60 + user[2] + kernel[1] * 60 + kernel[2] < 1) }' used ||
    fail "to wait for QEMU takes $(cat used)"

# The same bytes leave a guest as it is.
before=$(stat -c '%i %y' guest/*)
build_guest guest --quiet
[ "$before" = "$(stat -c '%i %y' guest/*)" ] || fail "a guest that is the same was written anew"

cat >pair.json <<'END'
{
  "guest": "guest", "accelerator": "tcg",
  "machines": [
    {"name": "zip", "init": ["keep appliance /usr/bin/vine appliance --listen pci:auto"]},
    {"name": "app", "ends_all": true, "files": {"/etc/hello": "hello"},
     "init": ["run sums /usr/bin/vine run sha256 --appliance pci:auto /etc/hello", "poweroff"]}
  ],
  "links": [{"name": "zip", "application": "app", "appliance": "zip", "size": "16M"}]
}
END
echo hello >hello
chmod 700 "$scratch" # QEMU of root is then root's, which is told
"$vine" guest run --quiet --log log pair.json >shown 2>said || fail "vine guest run: $?"
[ "$(id -u)" != 0 ] || grep -q 'QEMU runs as root, since' said || fail "nobody reaches everything"
[ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"
chmod 711 "$scratch"
chmod 600 guest/vmlinux # QEMU's user gets a copy
"$vine" guest run --log log pair.json >shown 2>said || fail "vine guest run: $?"
chmod 644 guest/vmlinux
for line in "app | $(sha256sum hello | cut -d' ' -f1)  /etc/hello" 'app | vine-init: sums ended with 0' \
    'zip | vine appliance: ready at pci:auto' 'zip | vine-init: appliance ended with 0'; do
    grep -qF "$line" shown || { cat shown; fail "the consoles lack '$line'"; }
    grep -qF "$line" log || { cat log; fail "the log lacks '$line'"; }
done
[ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"

# One machine's console is ours, both ways; those of the others are in the log. It boots something of
# its own, compressed, which ends anywhere.
expect 2 "$vine" guest run --console nobody pair.json
said 'there is no machine nobody'
expect 2 "$vine" guest run --console app --json pair.json
said 'do not go together'
build_guest with_shell --quiet --add /bin/sh:/usr/bin/sh
for odd in a ab; do
    cp with_shell/initrd.img $odd
    gzip $odd
    [ $(($(stat -c %s $odd.gz) % 4)) = 0 ] || break
done
cat >talk.json <<END
{
  "guest": "guest", "accelerator": "tcg",
  "machines": [
    {"name": "talks", "ends_all": true,
     "kernel": "with_shell/vmlinux", "initrd": "$odd.gz",
     "init": ["run talk /usr/bin/sh -c \"echo ready; read line; echo heard \$line\"", "poweroff"]},
    {"name": "other", "init": ["run it /usr/bin/vine version"]}
  ]
}
END
mkfifo typed
: >shown # of the run before, which was ready, too
"$vine" guest run --console talks --log log talk.json <typed >shown 2>said &
run=$!
exec 7>typed
until grep -q ready shown; do
    kill -0 "$run" || fail "vine guest run --console ended"
    command sleep 0.05
done
echo hello >&7
exec 7>&-
wait "$run" || fail "vine guest run --console: $?"
grep -q '^heard hello' shown || { cat shown; fail "the guest did not hear what was typed"; }
grep -q '^talks | heard hello' log || { cat log; fail "the log lacks what the console said"; }
if sed '/talk ended/,$d' shown | grep -q '^other'; then cat shown; fail "another machine talks in between"; fi

# Interrupted twice, when a guest is up and when it is not.
for when in started 'kernel was up'; do
    : >shown
    "$vine" guest run --json pair.json >shown 2>said &
    run=$!
    until grep -q "$when" shown; do
        kill -0 "$run" || fail "it ended"
        command sleep 0.05
    done
    machines=$(pgrep -P "$run" || :)
    [ -n "$machines" ] || fail "there is no QEMU"
    kill -TERM "$run"
    until grep -q 'told to power off\|"ended"' shown; do command sleep 0.05; done
    kill -TERM "$run"
    code=0
    wait "$run" || code=$?
    [ "$code" = 143 ] || fail "ended with $code"
    for machine in $machines; do
        kill -0 "$machine" 2>/dev/null && fail "QEMU still runs"
    done
    [ -z "$(ls -A "$TMPDIR")" ] || fail "left behind: $(ls -A "$TMPDIR")"
done
