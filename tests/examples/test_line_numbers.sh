# SPDX-License-Identifier: Apache-2.0
#
# A service of coroutines: clients at once, lines in pieces and longer than its room, one without a
# newline, and its end with clients that wait.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$VINE_BUILD_DIR/vine-serve" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
command -v bash >/dev/null || { echo "skipped: no bash, which connects"; exit 77; }

begin() {
    rm -f says
    mkfifo says
    "$@" >says 2>said &
    serving=$!
    exec 3<says
    IFS= read -r line <&3 || { cat said; fail "it ended before it was ready: $*"; }
    port=${line#line_numbers: listening at 127.0.0.1:}
    port=${port%% *}
}

end() {
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; kill -TERM $serving; cat <&3" # waits for ever
    code=0
    wait "$serving" || code=$?
    serving=
    [ "$code" = 0 ] || { cat said; fail "$1: ended with $code"; }
    ! grep -q -v ' info ' said || { cat said; fail "$1: said something"; }
}

seq 1 3000 >lines
awk '{ print NR ": " $0 }' lines >expected
for how in '--smp=1' '--smp=2' '--smp=2 --reactor-backend=epoll'; do
    begin "$VINE_BUILD_DIR/vine-serve" "$examples/line_numbers.so" --overprovisioned --blocked-reactor-notify-ms 10000 $how --listen=127.0.0.1:0
    # Files whose lines come in many pieces, by many clients.
    bash -c "
        for i in 1 2 3 4 5 6 7 8 9 10; do
            (exec 3<>/dev/tcp/127.0.0.1/$port
             cat lines >&3 &
             head -n 3000 <&3 | cmp - expected) &
            clients=\"\$clients \$!\"
        done
        for client in \$clients; do wait \$client || exit 1; done" || fail "$how: clients"
    # What is longer than its room comes as two.
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$port
        printf '%01100d\n' 7 >&3; IFS= read -r line <&3
        [ \"\$(printf %s \"\$line\" | wc -c)\" = 1106 ]" || fail "$how: a line that is too long"
    end "$how"
done

# A library is found by its bare name, too, and what is wrong with one is said in words.
serve() {
    code=0
    "$VINE_BUILD_DIR/vine-serve" "$@" --stdio --overprovisioned >shown 2>said </dev/null || code=$?
}
cp "$examples/line_numbers.so" line_numbers.so
serve line_numbers.so
[ "$code" = 0 ] || { cat said; fail "line_numbers.so, without a slash: ended with $code"; }
cp line_numbers.so other-name.so
serve ./other-name.so
[ "$code" = 2 ] || fail "a library without a service of its name: ended with $code"
grep -q '^vine serve: ./other-name.so: it declares no service .*VINE_SERVICE(other_name, ' said ||
    { cat said; fail "a library without a service of its name"; }
echo nonsense >broken.so
serve broken.so
[ "$code" = 2 ] || fail "what is no library: ended with $code"
grep -qx 'vine serve: broken.so: [a-z ]*' said || { cat said; fail "what is no library"; }
