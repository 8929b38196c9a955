/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_wait.c - `vine vm wait`: until a VM is in a state.
 */
#include "json.h"
#include "status.h"
#include "vm_verbs.h"

struct wait_values {
    const char *socket;
    uint64_t timeout_ns;
    bool json;
};

static int run_wait(const struct arguments *arguments)
{
    const struct wait_values *const values = arguments->values;
    const char *const state = arguments->operand_count > 1 ? arguments->operands[1] : "off";
    struct vm_server *server;
    struct vm vm;
    int status = vm_open(values->socket, arguments->operands[0], &server, &vm);

    if (status != STATUS_DONE)
        return status;
    status = vm_wait(server, vm.uid, state, vm_milliseconds(values->timeout_ns, VM_WAIT_MS));
    vm_server_close(server);
    if (status != STATUS_DONE || !values->json)
        return status;
    return json_print(json_pack("{s:s, s:s, s:s}", "name", vm.name, "uid", vm.uid, "state", state));
}

static const struct option wait_options[] = {
    VM_SOCKET_OPTION(struct wait_values),
    VM_TIMEOUT_OPTION(struct wait_values, "how long at most, a day or less", "60s"),
    VM_JSON_OPTION(struct wait_values),
};

static const char *const wait_description[] = {
    "Waits until VM is in STATE, or was for a moment since: off (where nothing is said), starting, "
    "running, paused, stopping, backoff (off, until it starts again by itself) or deleted. Ends "
    "with 75 when it was not in TIME.",
    NULL,
};

const struct verb verb_vm_wait = {
    .name = "vm wait",
    .synopsis = "VM [STATE]",
    .description = wait_description,
    .options = wait_options,
    .option_count = sizeof(wait_options) / sizeof(wait_options[0]),
    .values_size = sizeof(struct wait_values),
    .operands_min = 1,
    .operands_max = 2,
    .hints = {COMPLETE_VM, COMPLETE_STATE},
    .run = run_wait,
};
