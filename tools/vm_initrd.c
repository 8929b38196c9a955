/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_initrd.c - `vine vm initrd`: another first file system for a machine, or none.
 */
#include "vm_files.h"
#include "vm_verbs.h"

static int run_initrd(const struct arguments *arguments)
{
    return vm_file_run(arguments, VINE__VM_INITRD);
}

#define VALUE(field) .offset = offsetof(struct vm_file_values, field)

static const struct option initrd_options[] = {
    VM_POOL_OPTION(struct vm_file_values),
    VM_SOCKET_OPTION(struct vm_file_values),
    {.name = "none", .kind = OPTION_FLAG, VALUE(none), .help = "take the one that it has away"},
    VM_JSON_OPTION(struct vm_file_values),
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
    .values_size = sizeof(struct vm_file_values),
    .operands_min = 1,
    .operands_max = 2,
    .hints = {COMPLETE_VM, COMPLETE_FILE},
    .run = run_initrd,
};
