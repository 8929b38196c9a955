/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_pools.h - what `vine up` and `vine down` share: the VMs of a pool that a server has,
 * appliances before the applications that are linked to them.
 */
#ifndef VINE_TOOLS_VM_POOLS_H
#define VINE_TOOLS_VM_POOLS_H

#include "vm_verbs.h"

/* Or closing: it may be another file system that is read, and a change that is finished. */
#define VM_POOL_OPENING_MS (600 * 1000)

struct pool_vm {
    struct vm vm;
    uint32_t depth; /* behind how many others, one behind the other, it has to be started */
    int status;     /* of what was done with it */
};

/* One that a server has, with the connection to that. */
struct vm_pool {
    struct vm_server *server;
    char *name;
    struct pool_vm *vms; /* in the order in which they are started */
    size_t count;
    size_t problem_count; /* what is not well with the pool, which was told */
};

/* All that the server has. Returns a status, which was told. */
int vm_pools_get(struct vm_server *server, json_t **ret_pools);

/* FOLDER/NAME, or NAME of one that is here. One that the server has not it opens, where it is to,
 * and is an error else. Returns a status, which was told; with an error there is nothing
 * to be closed. */
int vm_pool_open(const char *socket, const char *operand, bool is_to_open,
                 struct vm_pool *ret_pool);
void vm_pool_close(struct vm_pool *pool);

#endif
