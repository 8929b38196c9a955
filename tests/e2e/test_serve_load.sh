# SPDX-License-Identifier: Apache-2.0
#
# `vine serve` under the load of tools that others measure servers with: every answer is counted, and
# right, whether connections stay or not, and one by one or in pipelines.
. "$VINE_SOURCE_DIR/tests/e2e/services.sh"

# value NAME: the number behind it in what a tool said.
value() {
    sed -n "s/^ *$1[: ] *\([0-9][0-9]*\).*/\1/p" load | head -n 1
}

# load_by COMMAND...: what it says is in `load`.
load_by() {
    "$@" >load 2>&1 || fail "$*: ended with $?: $(cat load)"
}

# by_ab PATH BYTES WORD...: ab asks 4,000 times by 32 connections, and each answer has that many bytes.
by_ab() {
    path=$1
    bytes=$2
    shift 2
    load_by ab -q -n 4000 -c 32 "$@" "http://127.0.0.1:$port$path"
    [ "$(value 'Complete requests')" = 4000 ] || fail "ab $*: not all: $(cat load)"
    [ "$(value 'Failed requests')" = 0 ] || fail "ab $*: failed ones: $(cat load)"
    [ -z "$(value 'Non-2xx responses')" ] || fail "ab $*: other answers: $(cat load)"
    [ "$(value 'HTML transferred')" = $((4000 * bytes)) ] || fail "ab $*: bytes: $(cat load)"
}

# Of a file of 100,000 bytes and of one of none.
mkdir root
head -c 100000 /dev/urandom >root/some.bin
: >root/none.txt

# A script of wrk's looks at each answer, and its last line has the sums.
cat >check.lua <<'END'
local threads = {}
function setup(thread)
    table.insert(threads, thread)
end
function init(arguments)
    answers, wrong = 0, 0
    if arguments[1] == "pipeline" then
        local one = wrk.format("GET", "/a")
        local many = one:rep(16)
        request = function() return many end
    end
end
function response(status, fields, body)
    answers = answers + 1
    if status ~= 200 or body ~= "hello" or fields["Content-Length"] ~= "5" then
        wrong = wrong + 1
    end
end
function done(summary)
    local answers, wrong, errors = 0, 0, summary.errors
    for _, thread in ipairs(threads) do
        answers = answers + thread:get("answers")
        wrong = wrong + thread:get("wrong")
    end
    print(string.format("sums %d %d %d %d", answers, wrong, errors.connect + errors.read +
        errors.write + errors.status + errors.timeout, summary.requests))
end
END

# by_wrk WORD...: for a second, by 32 connections of two threads.
by_wrk() {
    load_by wrk -t 2 -c 32 -d 1s --timeout 60s -s check.lua "http://127.0.0.1:$port/" -- "$@"
    sums=$(sed -n 's/^sums //p' load)
    # Words, to be split.
    # shellcheck disable=SC2086
    set -- $sums
    [ $# = 4 ] && [ "$1" -gt 0 ] && [ "$1" = "$4" ] || fail "wrk: answers: $(cat load)"
    [ "$2" = 0 ] && [ "$3" = 0 ] || fail "wrk: wrong ones or errors: $(cat load)"
}

# has TOOL: whether it is at hand.
has() {
    command -v "$1" >/dev/null
}
has ab || has wrk || has h1load || skip "no ab, no wrk, and no h1load"
has ab || echo "left out: no ab (package apache2-utils)"
has wrk || echo "left out: no wrk"
has h1load || echo "left out: no h1load (https://github.com/wtarreau/h1load; Debian has no package)"

for how in '--smp 1 --isolate none' '--smp 2 --isolate mprotect' \
    '--smp 1 --reactor-backend epoll'; do
    # shellcheck disable=SC2086
    begin http --hello $how
    if has ab; then
        by_ab / 5
        by_ab / 5 -k
        by_ab / 0 -k -i
        printf 'a body that is thrown away' >posted
        by_ab / 5 -k -p posted -T text/plain
    fi
    if has wrk; then
        case $how in
        *epoll*) by_wrk ;;
        *) by_wrk pipeline ;;
        esac
    fi
    if has h1load; then
        # It ends with 2 at the first error: a connection that is lost, or another answer.
        load_by h1load -e -t 2 -c 32 -n 4000 "http://127.0.0.1:$port/"
        load_by h1load -e -t 2 -c 32 -n 4000 -r 1 "http://127.0.0.1:$port/"
    fi
    end_quietly
    # shellcheck disable=SC2086
    begin http --root root $how
    if has ab; then
        by_ab /some.bin 100000 -k
        by_ab /some.bin 100000
        by_ab /none.txt 0 -k
    fi
    end_quietly
done
