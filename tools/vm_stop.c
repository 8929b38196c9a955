/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_stop.c - `vine vm stop`: have VMs end, gracefully and then harder.
 */
#include "status.h"
#include "vm_verbs.h"

struct stop_values {
    const char *socket;
    uint64_t timeout_ns;
    bool no_wait;
    bool json;
};

static int stop_one(struct vm_server *server, const struct vm *vm, void *context, json_t *object)
{
    const struct stop_values *const values = context;
    const uint64_t timeout_ms = vm_milliseconds(values->timeout_ns, VM_STOP_MS);
    const int status = vm_server_ask(server, vm_server_number(server, VINE_SERVER_STOP), "si",
                                     vm->uid, (int64_t)timeout_ms);

    return status != STATUS_DONE || values->no_wait ? status
                                                    : vm_wait_end(server, vm, timeout_ms, object);
}

static int run_stop(const struct arguments *arguments)
{
    struct stop_values *const values = arguments->values;

    return vm_each(values->socket, arguments, values->json, stop_one, values);
}

#define VALUE(field) .offset = offsetof(struct stop_values, field)

static const struct option stop_options[] = {
    VM_SOCKET_OPTION(struct stop_values),
    VM_TIMEOUT_OPTION(struct stop_values, "for a guest to end by itself", "30s"),
    {.name = "no-wait", .kind = OPTION_FLAG, VALUE(no_wait), .help = "do not wait for the end"},
    VM_JSON_OPTION(struct stop_values),
};

#undef VALUE

static const char *const stop_description[] = {
    "Presses the power button of each VM, in turn, waits until it is off, and says how it ended. A "
    "guest that is still there after TIME is told to quit, and then killed. It fails where what "
    "the "
    "guest has written to its disks cannot be put back into the pool: that is kept, and used by "
    "the "
    "next start.",
    NULL,
};

const struct verb verb_vm_stop = {
    .name = "vm stop",
    .synopsis = "VM...",
    .description = stop_description,
    .options = stop_options,
    .option_count = sizeof(stop_options) / sizeof(stop_options[0]),
    .values_size = sizeof(struct stop_values),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .hints = {COMPLETE_VM},
    .run = run_stop,
};
