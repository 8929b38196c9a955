# SPDX-License-Identifier: Apache-2.0
# test: long timeout=1800
#
# An ordinary Debian, made and started as the guide to guests says: by its very commands, files and
# plan. It does its work through a link to a small guest, with a doorbell, hears its power button, and
# boots again.
. "$VINE_SOURCE_DIR/tests/e2e/lib.sh"
. "$VINE_SOURCE_DIR/tests/e2e/guest.sh"
PATH=$PATH:/usr/sbin:/sbin
needs_guests debootstrap mke2fs debugfs e2fsck zstd jq
[ "$(id -u)" = 0 ] || skip "debootstrap wants root"
# What debootstrap mounts and starts is gone with it, however it ends.
alone='unshare --mount --pid --fork --kill-child'
$alone true 2>said || skip "no namespaces: $(cat said)"
chmod 711 "$scratch"

# commands1, commands2: what the guide has the reader type; ini, sh, json: its files.
awk '/^## / { here = $0 == "## An ordinary Debian" }
    !here { next }
    /^```/ { fence = fence == "" ? substr($0, 4) : ""; next }
    fence != "" { print >fence; next }
    !/^    / { typed = 0; next }
    !typed++ { count++ }
    { print substr($0, 5) >("commands" count) }' "$VINE_SOURCE_DIR/docs/guides/guest.md"
for part in commands1 commands2 ini sh json; do
    [ -s $part ] || fail "the guide has no $part"
done

# Packages are downloaded once for a list of them.
mkdir -p bin out/release "$XDG_CACHE_HOME/debootstrap"
ln -s "$vine" out/release/vine
cat >bin/debootstrap <<END
#!/bin/sh
set -eu
cache=$XDG_CACHE_HOME/debootstrap
packages=\$cache/\$(echo "\$*" | sha256sum | cut -c 1-16).tgz
exec 9>"\$cache/lock"
flock 9
[ -e "\$packages" ] || {
    rm -f "\$cache"/*.tgz
    $(command -v debootstrap) --make-tarball="\$cache/new.tgz" "\$@"
    mv "\$cache/new.tgz" "\$packages"
}
exec $(command -v debootstrap) --unpack-tarball="\$packages" "\$@"
END
chmod +x bin/debootstrap

# guide COMMANDS: what the reader types. Whoever interrupts us need not wait for it.
guide() {
    PATH=$scratch/bin:$PATH $alone sh -eu "$1" >typed 2>&1 &
    wait $! && return
    tail -n 20 typed
    ! grep -qE '^E: (Failed getting release|Couldn.t download)' typed ||
        skip "debootstrap cannot download"
    fail "the guide's commands: $(cat "$1")"
}
guide commands1
mv ini root/etc/systemd/system/vine-doorbell.service
mv sh root/usr/local/sbin/vine-doorbell

# Its work, for the first time and for the second. A console that a login takes over may lose a line.
cat >root/etc/systemd/system/work.service <<'END'
[Unit]
After=vine-doorbell.service systemd-logind.service
[Service]
ExecStart=/bin/sh /usr/local/sbin/work
StandardOutput=tty
StandardError=inherit
TTYPath=/dev/console
[Install]
WantedBy=multi-user.target
END
cat >root/usr/local/sbin/work <<'END'
cd /root
if [ -e first ]; then
    vine run sha256 --appliance pci:auto /usr/bin/dpkg | tee second
    exec systemctl poweroff
fi
vine doctor | sed -n '/Links/,$p'
vine doctor --json >first
vine agent --wait --appliance pci:auto --listen /run/agent 2>agent &
until [ -S /run/agent ]; do sleep 0.1; done
vine procs --appliance /run/agent >procs
vine doctor --json >rings
kill $!
wait $!
vine run zstd --sums --appliance pci:zip /usr/lib/systemd -o results
code=$?
sync
while echo "work ended with $code"; do sleep 1; done
END
chroot root systemctl enable work 2>said || fail "systemctl enable work"
guide commands2

build_guest guest --quiet
# run: start what the guide's plan says.
run() {
    "$vine" guest run json >console 2>&1 &
    machines=$!
}
# ended STATUS PATTERN: the run ended so, and the Debian as this says.
ended() {
    code=0
    wait "$machines" || code=$?
    [ "$code" = "$1" ] && grep -q "app: ended: the guest has powered off$2\$" console ||
        { sed 's/^/  /' console; fail "the run ended with $code"; }
    ! grep 'Initramfs unpacking failed' console || fail "the archive behind its initrd is lost"
    e2fsck -fn debian.img >checked 2>&1 || fail "its disk: $(cat checked)"
}
# fetch NAME: out of the Debian's /root.
fetch() {
    debugfs -R "rdump /root/$1 $scratch" debian.img 2>said
    [ -e "$1" ] || { sed 's/^/  /' console; fail "it made no $1"; }
}
# doorbell FILE PATTERN: what `vine doctor` said of it there.
doorbell() {
    fetch "$1"
    jq -e --arg found "$2" 'map(select(.name == "doorbell")) |
        length == 1 and .[0].state == "there" and (.[0].found | test($found))' "$1" >/dev/null ||
        fail "doctor says: $(jq -c '.[] | select(.name == "doorbell")' "$1")"
}

# Its button is pressed.
run
awaits 'work ended with [0-9]'
grep -q 'work ended with 0' console || { sed 's/^/  /' console; fail "its work failed"; }
kill -TERM "$machines"
ended 143 ', as it was told'
doorbell first 'unused$'
doorbell rings 'rings for process .*vine'
fetch results
mkdir expanded
(cd results && find . -name '*.zst' -type f -print0 |
    xargs -0 -r zstd -q -d --output-dir-mirror "$scratch/expanded") || fail "zstd -d"
# By tools that know nothing of Vine.
(cd root/usr/lib/systemd && find . -type f -print0 | xargs -0 sha256sum) | sort >sums
(cd expanded && find . -type f -print0 | xargs -0 sha256sum) | sort | diff sums - >differences ||
    fail "what came of its files is not what they were: $(head differences)"
sed 's|  |  ./|' results/SHA256SUMS | sort | diff sums - >differences ||
    fail "other sums than sha256sum makes: $(head differences)"

# It ends by itself, and all with it.
run
ended 0 ''
fetch second
(cd root && sha256sum usr/bin/dpkg | sed 's|  |  /|') | diff - second || fail "another sum"
