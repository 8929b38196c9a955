/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_files.h - one file of a machine, in a pool that no server serves or of a server's VM: put
 * there, or taken away.
 */
#ifndef VINE_TOOLS_VM_FILES_H
#define VINE_TOOLS_VM_FILES_H

#include "pools.h"
#include "verb.h"

/* A file for a machine, or none: VM, for a disk its name, and FILE. */
struct vm_file_values {
    const char *socket;
    const char *pool;
    bool is_read_only;
    bool none;
    bool json;
};

/* Returns a status, which was told. */
int vm_file_run(const struct arguments *arguments, enum vine__vm_file file);

/* Either a pool that no server has, or a server's socket. Returns a status, which was told. */
int vm_files_check_place(const char *pool_name, const char *socket);

/* A usable machine of a pool that no server has, to be changed. Returns a status, which was told;
 * `ret_pool` is to be closed whatever it is. */
int vm_files_open(const char *pool_name, const char *name, struct vine__pool **ret_pool,
                  const struct vine__pool_vm **ret_vm);

#define VM_POOL_OPTION(type)                                                                       \
    {                                                                                              \
        .name = "pool", .letter = 'p', .kind = OPTION_TEXT, .hint = COMPLETE_POOL,                 \
        .offset = offsetof(type, pool), .value = "POOL",                                           \
        .help = "the pool that the machine is in, which no server has: FOLDER/NAME, or NAME of "   \
                "one that is here",                                                                \
        .fallback = "(it is a server's)",                                                          \
    }

#endif
