/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_files.h - one file of a machine, in a pool that no server serves or of a server's VM: put
 * there, or taken away.
 */
#ifndef VINE_TOOLS_VM_FILES_H
#define VINE_TOOLS_VM_FILES_H

#include "vmm/pool/pool.h"

struct vm_file {
    const char *socket; /* of the server, where there is no pool; or NULL */
    const char *vm;
    enum vine__vm_file file;
    const char *disk; /* its name, of a disk */
    const char *path; /* where it comes from; NULL: it is taken away */
    bool is_read_only;
    /* Ours. */
    struct vine__source source;
    const struct vine__pool_vm *former;
};

/* Without a pool it is a server's. Returns a status, which was told. */
int vm_file_change(const char *pool_name, struct vm_file *file, bool json);

/* Either a pool that no server has, or a server's socket. Returns a status, which was told. */
int vm_files_check_place(const char *pool_name, const char *socket);

#define VM_POOL_HELP                                                                               \
    "the pool that the machine is in, which no server has: FOLDER/NAME, or NAME of one that is "   \
    "here"
#define VM_POOL_FALLBACK "(it is a server's)"

#endif
