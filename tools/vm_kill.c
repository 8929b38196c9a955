/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_kill.c - `vine vm kill`: end VMs at once.
 */
#include "status.h"
#include "vm_verbs.h"

struct kill_values {
    const char *socket;
    bool json;
};

static int kill_one(struct vm_server *server, const struct vm *vm, void *context, json_t *object)
{
    json_t *const told = object != NULL ? json_incref(object) : json_object();
    int status = vm_server_ask(server, vm_server_number(server, VINE_SERVER_KILL), "s", vm->uid);

    (void)context;
    if (status == STATUS_DONE)
        status = vm_wait_end(server, vm, 0, told);
    json_decref(told);
    return status;
}

static int run_kill(const struct arguments *arguments)
{
    struct kill_values *const values = arguments->values;

    return vm_each(values->socket, arguments, values->json, kill_one, NULL);
}

static const struct option kill_options[] = {
    VM_SOCKET_OPTION(struct kill_values),
    VM_JSON_OPTION(struct kill_values),
};

static const char *const kill_description[] = {
    "Ends each VM at once, as if its power was cut, and waits until it is off. What its guest had "
    "not written is lost: `vine vm stop` asks it first.",
    NULL,
};

const struct verb verb_vm_kill = {
    .name = "vm kill",
    .synopsis = "VM...",
    .description = kill_description,
    .options = kill_options,
    .option_count = sizeof(kill_options) / sizeof(kill_options[0]),
    .values_size = sizeof(struct kill_values),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .hints = {COMPLETE_VM},
    .run = run_kill,
};
