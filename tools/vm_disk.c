/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_disk.c - `vine vm disk`: another disk for a machine, or one less.
 */
#include "message.h"
#include "status.h"
#include "verb.h"
#include "vm_files.h"
#include "vm_verbs.h"

struct disk_values {
    const char *socket;
    const char *pool;
    bool read_only;
    bool none;
    bool json;
};

static int run_disk(const struct arguments *arguments)
{
    const struct disk_values *const values = arguments->values;
    char **const operands = arguments->operands;
    struct vm_file file = {
        .socket = values->socket,
        .vm = operands[0],
        .file = VINE__VM_DISK,
        .disk = operands[1],
        .path = values->none ? NULL : operands[2],
        .is_read_only = values->read_only,
    };

    if (values->none != (arguments->operand_count == 2)) {
        message_error("say either FILE or --none");
        return STATUS_USAGE;
    }
    return vm_file_change(values->pool, &file, values->json);
}

#define VALUE(field) .offset = offsetof(struct disk_values, field)

static const struct option disk_options[] = {
    {.name = "pool",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(pool),
     .value = "POOL",
     .help = VM_POOL_HELP,
     .fallback = VM_POOL_FALLBACK},
    VM_SOCKET_OPTION(struct disk_values),
    {.name = "read-only",
     .kind = OPTION_FLAG,
     VALUE(read_only),
     .help = "the guest cannot write it"},
    {.name = "none", .kind = OPTION_FLAG, VALUE(none), .help = "take the disk away"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print JSON"},
};

#undef VALUE

static const char *const disk_description[] = {
    "Gives VM, of a server and off, the disk NAME, which is `root` there: a raw image in place of "
    "the one that it has. The former one is there until the new one is, whatever ends this. With "
    "--pool it is a machine of a pool that no server has, and may have more disks: a new one "
    "becomes the last of them.",
    NULL,
};

const struct verb verb_vm_disk = {
    .name = "vm disk",
    .synopsis = "VM NAME [FILE]",
    .description = disk_description,
    .options = disk_options,
    .option_count = sizeof(disk_options) / sizeof(disk_options[0]),
    .values_size = sizeof(struct disk_values),
    .operands_min = 2,
    .operands_max = 3,
    .hint = COMPLETE_FILE,
    .run = run_disk,
};
