# SPDX-License-Identifier: Apache-2.0
#
# For the tests of the guide's server, behind serving.sh: a folder to be served, and clients.

# Files, of which it is known how many words they have.
make_words() {
    mkdir words words/folder
    printf 'a bc  d\n\te\n' >words/four
    : >words/none
    head -c 65535 /dev/zero | tr '\0' x >words/one
    head -c 65536 /dev/zero | tr '\0' x >words/large
    for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
        echo "file $i" >words/file$i
    done
}

# begin_words PROGRAM OPTION...: start it, and wait until it listens at $port.
begin_words() {
    : >said # what the one before said is not what is waited for
    "$@" --listen=127.0.0.1:0 words >shown 2>said &
    serving=$!
    until grep -q 'listening at' said; do
        kill -0 "$serving" 2>/dev/null || { cat said; fail "$* has ended"; }
        command sleep 0.05
    done
    port=$(sed -n 's/.*listening at 127.0.0.1:\([0-9]*\) .*/\1/p' said)
}

# One client asks for all kinds of names, all at once.
ask_words() {
    cat >asked <<'END'
four: 4 words
none: 0 words
one: 1 words
large: File too large
folder: Is a directory
missing: No such file or directory
../words/four: Invalid argument
.: Invalid argument
: Invalid argument
four: 4 words
END
    sed 's/: .*//' asked >names
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; cat names >&3; head -n $(wc -l <asked) <&3" >answers ||
        fail "a client got $?"
    diff asked answers || fail "other answers than these"
}

# end_words WHAT: SIGTERM, while one client waits in the middle of a line and others for answers. All
# that was asked for before is answered, all are told of the end, and the program ends well.
end_words() {
    bash -c "
        exec 3<>/dev/tcp/127.0.0.1/$port 4<>/dev/tcp/127.0.0.1/$port
        printf 'four\nfo' >&3
        read -r line <&3
        cat names >&4
        read -r line <&4
        kill -s TERM $serving
        [ -z \"\$(cat <&3)\" ] || exit 1
        cat <&4 >rest
        [ \"\$(wc -l <rest)\" = $(($(wc -l <names) - 1)) ] || { cat rest; exit 2; }" ||
        fail "$1: at its end a client got $?"
    code=0
    wait "$serving" || code=$?
    serving=
    [ "$code" = 0 ] || { cat said; fail "$1: it ended with $code"; }
    ! grep -q 'did not stop in time' said || fail "$1: something was left"
}
