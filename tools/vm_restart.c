/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_restart.c - `vine vm restart`: have VMs end and boot again.
 */
#include "status.h"
#include "vm_verbs.h"

struct restart_values {
    const char *socket;
    uint64_t timeout_ns;
    bool no_wait;
    bool json;
};

static int restart_one(struct vm_server *server, const struct vm *vm, void *context, json_t *object)
{
    const struct restart_values *const values = context;
    const uint64_t timeout_ms = vm_milliseconds(values->timeout_ns, VM_STOP_MS);
    const int status = vm_server_ask(server, vm_server_number(server, VINE_SERVER_RESTART), "si",
                                     vm->uid, (int64_t)timeout_ms);

    (void)object;
    if (status != STATUS_DONE || values->no_wait)
        return status;
    return vm_wait_running(server, vm, timeout_ms + VM_WAIT_MS);
}

static int run_restart(const struct arguments *arguments)
{
    struct restart_values *const values = arguments->values;

    return vm_each(values->socket, arguments, values->json, restart_one, values);
}

#define VALUE(field) .offset = offsetof(struct restart_values, field)

static const struct option restart_options[] = {
    VM_SOCKET_OPTION(struct restart_values),
    VM_TIMEOUT_OPTION(struct restart_values, "for a guest to end by itself", "30s"),
    {.name = "no-wait",
     .kind = OPTION_FLAG,
     VALUE(no_wait),
     .help = "do not wait until it runs again"},
    VM_JSON_OPTION(struct restart_values),
};

#undef VALUE

static const char *const restart_description[] = {
    "Ends each VM as `vine vm stop` does, and starts it again with the kernel's parameters that it "
    "was started with.",
    NULL,
};

const struct verb verb_vm_restart = {
    .name = "vm restart",
    .synopsis = "VM...",
    .description = restart_description,
    .options = restart_options,
    .option_count = sizeof(restart_options) / sizeof(restart_options[0]),
    .values_size = sizeof(struct restart_values),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .hints = {COMPLETE_VM},
    .run = run_restart,
};
