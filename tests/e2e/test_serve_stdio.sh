# SPDX-License-Identifier: Apache-2.0
#
# `vine serve ... --stdio`: one connection, standard input and output, whatever these are; and what
# it refuses.
set -eu
scratch=$(mktemp -d)
trap 'rm -rf "$scratch"' EXIT
cd "$scratch"
vine=$VINE_BUILD_DIR/vine
lines=$VINE_BUILD_DIR/examples/line_numbers.so
[ -x "$VINE_BUILD_DIR/vine-serve" ] || { echo "skipped: libvine-runtime was not built"; exit 77; }

fail() {
    echo "$*"
    cat said
    exit 1
}

serve() {
    "$vine" serve "$@" --stdio --overprovisioned --blocked-reactor-notify-ms 10000 2>said
}

# Refusals: what is for many connections.
for more in '--listen 127.0.0.1:0' '--processes 2' '--tls a,b'; do
    code=0
    serve echo $more </dev/null >out || code=$?
    [ "$code" = 2 ] || fail "$more: ended with $code"
    [ -s said ] || fail "$more: does not say why"
done
# What cannot be read from.
code=0
serve echo <&- >out || code=$?
[ "$code" = 2 ] || fail "without an input: ended with $code"
[ -s said ] || fail "without an input: does not say why"
code=0
serve echo <. >out || code=$?
[ "$code" = 1 ] || fail "a folder: ended with $code"

for how in '' '--isolate none' '--isolate mprotect' '--reactor-backend epoll'; do
    # Pipes, and not a word beside what the service writes.
    printf 'a\nb\n' | serve "$lines" $how | cat >out || fail "$how: pipes"
    [ "$(cat out)" = "$(printf '1: a\n2: b')" ] || fail "$how: pipes: $(cat out)"
    [ ! -s said ] || fail "$how: said something"
    # Files.
    seq 1 5000 >in
    serve "$lines" $how <in >out || fail "$how: files"
    awk '{ print NR ": " $0 }' in | cmp - out || fail "$how: files"
    # Nothing at all.
    serve "$lines" $how </dev/null >out || fail "$how: nothing"
    [ ! -s out ] || fail "$how: something came of nothing"
    # More than any buffer on the way.
    head -c 3000000 /dev/zero >in
    serve echo $how <in | cmp - in ||
        fail "$how: much"
done
printf 'GET / HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' | serve http --hello >out ||
    fail "http"
[ "$(tail -n 1 out)" = hello ] || fail "http: $(cat out)"
printf 'SET a 1\r\nGET a\r\nQUIT\r\n' | serve resp | tr -d '\r' >out || fail "resp"
[ "$(cat out)" = "$(printf '+OK\n$1\n1\n+OK')" ] || fail "resp: $(cat out)"

# Whoever reads has had enough: no word of that.
seq 1 1000000 | { serve "$lines" || :; } | head -n 1 >out
[ "$(cat out)" = '1: 1' ] || fail "head: $(cat out)"
[ ! -s said ] || fail "head: said something"

# A socket, and a terminal, where there is something that makes one.
command -v python3 >/dev/null || exit 0
python3 - "$vine" "$lines" <<'END' || fail "a socket or a terminal"
import os, pty, socket, subprocess, sys
command = [sys.argv[1], "serve", sys.argv[2], "--stdio", "--overprovisioned"]

ours, theirs = socket.socketpair()
child = subprocess.Popen(command, stdin=theirs, stdout=theirs)
theirs.close()
ours.sendall(b"a\nb")
ours.shutdown(socket.SHUT_WR)
got = b""
while True:
    more = ours.recv(4096)
    if not more:
        break
    got += more
assert got == b"1: a\n2: b", got
assert child.wait(60) == 0

ours, theirs = pty.openpty()
child = subprocess.Popen(command, stdin=theirs, stdout=theirs)
os.close(theirs)
os.write(ours, b"hello\n\x04")
got = b""
while b"1: hello" not in got:
    got += os.read(ours, 4096)
assert child.wait(60) == 0
END
