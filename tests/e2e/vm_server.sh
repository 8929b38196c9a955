# SPDX-License-Identifier: Apache-2.0
#
# For tests that run a VM server: after lib.sh.

# The consoles' links lie in the runtime folder, and guests run under QEMU's own translation.
server_options='--console-links runtime --accelerator tcg'

# begin_server OPTION...: start one with the folders `state` and `run` as $server, and wait until it
# is ready. What it says is in the file `serving`.
begin_server() {
    : >serving # of the former one, which was ready
    "$vine" server --state state --runtime run "$@" 2>serving &
    server=$!
    until grep -q ': ready: ' serving; do
        kill -0 "$server" 2>/dev/null || fail "the server has ended: $(cat serving)"
        command sleep 0.05
    done
}

# end_server [SIGNAL]: it ends well, but for KILL.
end_server() {
    kill "-${1:-TERM}" "$server"
    wait "$server" || [ "${1:-TERM}" = KILL ] || fail "the server: $(cat serving)"
}

# kill_machines: they outlive the server, and would outlive the test.
kill_machines() {
    # shellcheck disable=SC2046
    set -- $(jq -r '.vms[].identity.pid' "$scratch/run/machines.json" 2>/dev/null)
    [ $# = 0 ] || kill -KILL "$@" 2>/dev/null || :
}
