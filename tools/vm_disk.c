/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_disk.c - `vine vm disk`: another disk for a machine, or one less.
 */
#include "vm_files.h"
#include "vm_verbs.h"

static int run_disk(const struct arguments *arguments)
{
    return vm_file_run(arguments, VINE__VM_DISK);
}

#define VALUE(field) .offset = offsetof(struct vm_file_values, field)

static const struct option disk_options[] = {
    VM_POOL_OPTION(struct vm_file_values),
    VM_SOCKET_OPTION(struct vm_file_values),
    {.name = "read-only",
     .kind = OPTION_FLAG,
     VALUE(is_read_only),
     .help = "the guest cannot write it"},
    {.name = "none", .kind = OPTION_FLAG, VALUE(none), .help = "take the disk away"},
    VM_JSON_OPTION(struct vm_file_values),
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
    .values_size = sizeof(struct vm_file_values),
    .operands_min = 2,
    .operands_max = 3,
    .hints = {COMPLETE_VM, COMPLETE_NOTHING, COMPLETE_FILE},
    .run = run_disk,
};
