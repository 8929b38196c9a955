#!/bin/sh
# SPDX-License-Identifier: Apache-2.0
#
# The line at the bottom of a terminal while `vine run` works, on a terminal of its own.
. "$(dirname "$0")/lib.sh"
command -v script >/dev/null || skip "there is no script(1)"

truncate -s 600M large
NO_COLOR=1 TERM=xterm script -qec "'$vine' run sha256 large" typed >/dev/null </dev/null ||
    fail "vine run on a terminal: $?"

# Each line begins with CR and ends by clearing the rest.
tr '\r' '\n' <typed | sed -n 's/\x1b\[K.*//p' | grep MB/s >lines || fail "no progress is shown"
number='[0-9.]*'
time="$number[num]*s\{0,1\}/$number[num]*s"
grep -qx "$number files $number/${number}MB/s in/out $number tasks\\{0,1\\} p50/p99 wait $time run $time" \
    lines || { cat lines; fail "the line does not tell what it should"; }
if grep -q '.\{80\}' lines; then cat lines; fail "the line is wider than a terminal"; fi

# What came to the disk late is told apart from the work.
"$vine" run zstd -o out large 2>said || fail "vine run zstd: $?"
grep -q 'MB/s\|GB/s' said && grep -q '; synced in [0-9]' said || fail "syncing is not told"
"$vine" run zstd --json -q -o again large >shown || fail "vine run --json: $?"
grep -q '"sync_seconds":[0-9.]*[1-9]' shown || fail "syncing is not in the summary"

# An appliance shows what it does, if it is told to and on a terminal alone.
cat >show <<END
'$vine' appliance --progress --listen ./shown.sock &
until [ -S ./shown.sock ]; do sleep 0.05; done
'$vine' run sha256 --quiet --appliance ./shown.sock large >/dev/null 2>said
until tr '\r' '\n' <typed | grep -q '600 tasks.* 0 tasks at work'; do sleep 0.05; done
kill -TERM \$!
wait \$!
END
NO_COLOR=1 TERM=xterm timeout 60 script -qefc 'sh ./show' typed >/dev/null </dev/null ||
    fail "vine appliance --progress: $?"
tr '\r' '\n' <typed | sed -n 's/\x1b\[K.*//p' | grep 'at work' >lines
grep -qvx "[01] pipes\{0,1\} [0-9]* tasks $number/${number}MB/s in/out [0-9]* tasks\{0,1\} at work" lines &&
    { cat lines; fail "the appliance's line does not tell what it should"; }
grep -q . lines || fail "the appliance shows nothing"
