/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_kernel.c - `vine vm kernel`: another kernel for a machine.
 */
#include "vm_files.h"
#include "vm_verbs.h"

static int run_kernel(const struct arguments *arguments)
{
    return vm_file_run(arguments, VINE__VM_KERNEL);
}

static const struct option kernel_options[] = {
    VM_POOL_OPTION(struct vm_file_values),
    VM_SOCKET_OPTION(struct vm_file_values),
    VM_JSON_OPTION(struct vm_file_values),
};

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
    .values_size = sizeof(struct vm_file_values),
    .operands_min = 2,
    .operands_max = 2,
    .hints = {COMPLETE_VM, COMPLETE_FILE},
    .run = run_kernel,
};
