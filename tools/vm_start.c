/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_start.c - `vine vm start`: have VMs boot.
 */
#include <stdio.h>
#include <stdlib.h>

#include "json.h"
#include "message.h"
#include "status.h"
#include "vm_verbs.h"

struct start_values {
    const char *socket;
    const char *options;
    uint64_t timeout_ns;
    bool no_wait;
    bool json;
};

static int start_one(struct vm_server *server, const struct vm *vm, void *context, json_t *object)
{
    const struct start_values *const values = context;
    const uint64_t timeout_ms = vm_milliseconds(values->timeout_ns, VM_WAIT_MS);
    char *console;
    int status = vm_execute(server, vm->uid, values->options != NULL ? values->options : "",
                            timeout_ms, &console);

    if (status != STATUS_DONE)
        return status;
    if (!values->no_wait)
        status = vm_wait_running(server, vm, timeout_ms);
    if (object != NULL)
        json_set_name(object, "console", console);
    else if (status == STATUS_DONE)
        printf("%s: console at %s\n", vm->name, message_escape(console));
    free(console);
    return status;
}

static int run_start(const struct arguments *arguments)
{
    struct start_values *const values = arguments->values;

    return vm_each(values->socket, arguments, values->json, start_one, values);
}

#define VALUE(field) .offset = offsetof(struct start_values, field)

static const struct option start_options[] = {
    VM_SOCKET_OPTION(struct start_values),
    {.name = "options",
     .kind = OPTION_TEXT,
     VALUE(options),
     .value = "TEXT",
     .help = "more for the kernel's command line"},
    VM_TIMEOUT_OPTION(struct start_values, "how long to wait for each until it runs", "60s"),
    {.name = "no-wait", .kind = OPTION_FLAG, VALUE(no_wait), .help = "do not wait for that"},
    VM_JSON_OPTION(struct start_values),
};

#undef VALUE

static const char *const start_description[] = {
    "Starts each VM, by its name or UID, in turn, and waits until it runs: until its QEMU does, "
    "that is, of what its kernel does the console tells. One that fails does not keep the others "
    "from it.",
    NULL,
};

const struct verb verb_vm_start = {
    .name = "vm start",
    .synopsis = "VM...",
    .description = start_description,
    .options = start_options,
    .option_count = sizeof(start_options) / sizeof(start_options[0]),
    .values_size = sizeof(struct start_values),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .hints = {COMPLETE_VM},
    .run = run_start,
};
