/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_kernel.c - `vine vm kernel`: another kernel for a machine.
 */
#include "verb.h"
#include "vm_files.h"
#include "vm_verbs.h"

struct kernel_values {
    const char *socket;
    const char *pool;
    bool json;
};

static int run_kernel(const struct arguments *arguments)
{
    const struct kernel_values *const values = arguments->values;
    char **const operands = arguments->operands;
    struct vm_file file = {
        .socket = values->socket,
        .vm = operands[0],
        .file = VINE__VM_KERNEL,
        .path = operands[1],
    };

    return vm_file_change(values->pool, &file, values->json);
}

#define VALUE(field) .offset = offsetof(struct kernel_values, field)

static const struct option kernel_options[] = {
    {.name = "pool",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(pool),
     .value = "POOL",
     .help = VM_POOL_HELP,
     .fallback = VM_POOL_FALLBACK},
    VM_SOCKET_OPTION(struct kernel_values),
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print JSON"},
};

#undef VALUE

static const char *const kernel_description[] = {
    "Gives VM, of a server and off, a kernel in place of the one that it has. The former one is "
    "there until the new one is, whatever ends this. With --pool it is a machine of a pool that no "
    "server has.",
    NULL,
};

const struct verb verb_vm_kernel = {
    .name = "vm kernel",
    .synopsis = "VM FILE",
    .description = kernel_description,
    .options = kernel_options,
    .option_count = sizeof(kernel_options) / sizeof(kernel_options[0]),
    .values_size = sizeof(struct kernel_values),
    .operands_min = 2,
    .operands_max = 2,
    .hint = COMPLETE_FILE,
    .run = run_kernel,
};
