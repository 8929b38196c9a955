# SPDX-License-Identifier: Apache-2.0
#
# A pipeline of coroutines: many lines at once by several clients, who end their input and read what
# comes until it ends, too.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$VINE_BUILD_DIR/vine-serve" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
command -v bash >/dev/null || { echo "skipped: no bash, which connects"; exit 77; }

seq 1 3000 | sed 's/$/ line  /; s/^\([0-9]*00\) /\1\n   \n/' >lines
awk '{ sub(/[ \t]+$/, "") } $0 != "" { print ++n ": " toupper($0) }' lines >expected
for how in '--smp=1' '--smp=2 --reactor-backend=epoll'; do
    rm -f says
    mkfifo says
    "$VINE_BUILD_DIR/vine-serve" "$examples/pipeline.so" --overprovisioned --blocked-reactor-notify-ms 10000 $how --listen=127.0.0.1:0 >says 2>said &
    serving=$!
    exec 3<says
    IFS= read -r line <&3 || { cat said; fail "it ended before it was ready: $how"; }
    port=${line#pipeline: listening at 127.0.0.1:}
    port=${port%% *}
    wanted=$(wc -l <expected)
    bash -c "
        for i in 1 2 3 4 5; do
            (exec 3<>/dev/tcp/127.0.0.1/$port
             cat lines >&3 &
             head -n $wanted <&3 | cmp - expected) &
            clients=\"\$clients \$!\"
        done
        for client in \$clients; do wait \$client || exit 1; done" || fail "$how: clients"
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; kill -TERM $serving; cat <&3" # waits for ever
    code=0
    wait "$serving" || code=$?
    serving=
    [ "$code" = 0 ] || { cat said; fail "$how: ended with $code"; }
    ! grep -q -v ' info ' said || { cat said; fail "$how: said something"; }
done
