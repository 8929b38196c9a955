# SPDX-License-Identifier: Apache-2.0
#
# The server of the guide, as its user starts it: its answers, what it does not take, more reads than
# it has turns for, and its end, with requests that are being worked on and clients that wait.
. "$VINE_SOURCE_DIR/tests/examples/serving.sh"
cd "$scratch"
[ -x "$examples/word_server" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }
command -v bash >/dev/null || { echo "skipped: no bash, which connects"; exit 77; }
. "$VINE_SOURCE_DIR/tests/examples/words.sh"

refused() {
    code=0
    "$examples/word_server" --overprovisioned --smp=2 "$@" >shown 2>said || code=$?
    [ "$code" = "$status" ] || fail "word_server $*: ended with $code"
    grep -qF -e "$word" said || { cat said; fail "word_server $*: does not say '$word'"; }
}
status=2
word='FOLDER is missing' refused
word="'more' is one too many: it takes FOLDER" refused "$scratch" more
word="FOLDER '$scratch/nowhere': No such file" refused "$scratch/nowhere"
word="--listen: 'nonsense' is not what it takes: an address" refused --listen nonsense "$scratch"
word="--listen: '' is not what it takes" refused --listen= "$scratch"
status=1
word='cannot listen at 192.0.2.1:7009: Cannot assign' refused --listen=192.0.2.1:7009 "$scratch"
"$examples/word_server" --help >shown
grep -q '^Usage: word_server .* FOLDER$' shown || fail "--help: $(cat shown)"
grep -q -e '--listen ADDRESS' shown || fail "--help does not name --listen"

make_words
for how in '--smp=1' '--smp=3' '--smp=3 --reactor-backend=epoll'; do
    begin_words "$examples/word_server" --overprovisioned $how
    ask_words
    # Many clients at once, each with several lines in one piece.
    bash -c "
        for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20; do
            (exec 3<>/dev/tcp/127.0.0.1/$port
             printf 'four\nfile%s\nnone\n' \$i >&3
             head -n 3 <&3 >answers\$i
             printf 'four: 4 words\nfile%s: 2 words\nnone: 0 words\n' \$i | cmp - answers\$i) &
            clients=\"\$clients \$!\"
        done
        for client in \$clients; do wait \$client || exit 1; done" || fail "$how: many clients"
    # Who sends no line's end, or too long a line, is not kept.
    bash -c "exec 3<>/dev/tcp/127.0.0.1/$port; printf '%064d' 0 >&3; [ -z \"\$(cat <&3)\" ]" ||
        fail "$how: a line that is too long"
    end_words "$how"
done
