/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_rm.c - `vine vm rm`: machines, removed.
 */
#include <jansson.h>

#include "json.h"
#include "pools.h"
#include "status.h"
#include "verb.h"
#include "vm_files.h"
#include "vm_verbs.h"

struct rm_values {
    const char *socket;
    const char *pool;
    bool json;
};

static int remove_one(struct vm_server *server, const struct vm *vm, void *context, json_t *object)
{
    (void)context, (void)object;
    return vm_server_ask_waiting(server, VM_SERVER_CHANGE_MS,
                                 vm_server_number(server, VINE_SERVER_DELETE), "s", vm->uid);
}

static int run_rm(const struct arguments *arguments)
{
    const struct rm_values *const values = arguments->values;

    const int status = vm_files_check_place(values->pool, values->socket);

    if (status != STATUS_DONE)
        return status;
    if (values->pool == NULL)
        return vm_each(values->socket, arguments, values->json, remove_one, NULL);
    return pools_remove(values->pool, arguments->operands, arguments->operand_count, values->json);
}

#define VALUE(field) .offset = offsetof(struct rm_values, field)

static const struct option rm_options[] = {
    VM_POOL_OPTION(struct rm_values),
    VM_SOCKET_OPTION(struct rm_values),
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print names and UIDs of what was removed as JSON"},
};

#undef VALUE

static const char *const rm_description[] = {
    "Removes VMs of a server, which are off, with all that they have, one after the other. With "
    "--pool they are machines of a pool that no server has, and removed as by `vine pool rm`: all "
    "of them, or, if something is wrong, none.",
    NULL,
};

const struct verb verb_vm_rm = {
    .name = "vm rm",
    .synopsis = "VM...",
    .description = rm_description,
    .options = rm_options,
    .option_count = sizeof(rm_options) / sizeof(rm_options[0]),
    .values_size = sizeof(struct rm_values),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .hints = {COMPLETE_VM},
    .run = run_rm,
};
