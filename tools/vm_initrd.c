/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_initrd.c - `vine vm initrd`: another first file system for a machine, or none.
 */
#include "message.h"
#include "status.h"
#include "verb.h"
#include "vm_files.h"
#include "vm_verbs.h"

struct initrd_values {
    const char *socket;
    const char *pool;
    bool none;
    bool json;
};

static int run_initrd(const struct arguments *arguments)
{
    const struct initrd_values *const values = arguments->values;
    char **const operands = arguments->operands;
    struct vm_file file = {
        .socket = values->socket,
        .vm = operands[0],
        .file = VINE__VM_INITRD,
        .path = values->none ? NULL : operands[1],
    };

    if (values->none != (arguments->operand_count == 1)) {
        message_error("say either FILE or --none");
        return STATUS_USAGE;
    }
    return vm_file_change(values->pool, &file, values->json);
}

#define VALUE(field) .offset = offsetof(struct initrd_values, field)

static const struct option initrd_options[] = {
    {.name = "pool",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(pool),
     .value = "POOL",
     .help = VM_POOL_HELP,
     .fallback = VM_POOL_FALLBACK},
    VM_SOCKET_OPTION(struct initrd_values),
    {.name = "none", .kind = OPTION_FLAG, VALUE(none), .help = "take the one that it has away"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print JSON"},
};

#undef VALUE

static const char *const initrd_description[] = {
    "Gives VM, of a server and off, an initrd in place of the one that it has, if any. The former "
    "one is there until the new one is, whatever ends this. With --pool it is a machine of a pool "
    "that no server has; only there it can be taken away.",
    NULL,
};

const struct verb verb_vm_initrd = {
    .name = "vm initrd",
    .synopsis = "VM [FILE]",
    .description = initrd_description,
    .options = initrd_options,
    .option_count = sizeof(initrd_options) / sizeof(initrd_options[0]),
    .values_size = sizeof(struct initrd_values),
    .operands_min = 1,
    .operands_max = 2,
    .hint = COMPLETE_FILE,
    .run = run_initrd,
};
