/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_log.c - `vine vm log`: what the guest of a VM has said.
 */
#include <stdlib.h>

#include "json.h"
#include "status.h"
#include "vm_text.h"
#include "vm_verbs.h"

struct log_values {
    const char *socket;
    uint64_t bytes;
    bool json;
};

static int run_log(const struct arguments *arguments)
{
    const struct log_values *const values = arguments->values;
    struct vm_server *server;
    struct vm vm;
    char *log;
    size_t size;
    int status = vm_open(values->socket, arguments->operands[0], &server, &vm);

    if (status != STATUS_DONE)
        return status;
    status = vm_log_get(server, vm.uid, values->bytes, &log, &size);
    vm_server_close(server);
    if (status != STATUS_DONE)
        return status;
    if (values->json) {
        json_t *const object = vm_json(&vm);

        vm_text_json(object, "log", log, size);
        status = json_print(object);
    } else {
        vm_text_print(log, size);
    }
    free(log);
    return status;
}

#define VALUE(field) .offset = offsetof(struct log_values, field)

static const struct option log_options[] = {
    VM_SOCKET_OPTION(struct log_values),
    {.name = "bytes",
     .letter = 'n',
     .kind = OPTION_SIZE,
     VALUE(bytes),
     .min = 1,
     .max = VM_LOG_BYTES_MAX,
     .value = "SIZE",
     .help = "of its end, at most 64 KiB",
     .fallback = "64K"},
    VM_JSON_OPTION(struct log_values),
};

#undef VALUE

static const char *const log_description[] = {
    "Prints the end of what the guest of VM has said on its console, as the server has kept it. On "
    "a terminal what is no text is shown as \\ooo, so that no guest can control it; elsewhere it "
    "comes as it is.",
    NULL,
};

const struct verb verb_vm_log = {
    .name = "vm log",
    .synopsis = "VM",
    .description = log_description,
    .options = log_options,
    .option_count = sizeof(log_options) / sizeof(log_options[0]),
    .values_size = sizeof(struct log_values),
    .operands_min = 1,
    .operands_max = 1,
    .hints = {COMPLETE_VM},
    .run = run_log,
};
