/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_pools.h - what `vine up` and `vine down` share: the VMs of a pool that a server has,
 * appliances before the applications that are linked to them.
 */
#ifndef VINE_TOOLS_VM_POOLS_H
#define VINE_TOOLS_VM_POOLS_H

#include "vm_verbs.h"

struct pool_vm {
    struct vm vm;
    uint32_t depth; /* behind how many others, one behind the other, it has to be started */
};

struct pool_vms {
    struct pool_vm *all; /* in the order in which they are started */
    size_t count;
};

/* Have the server open the pool of this name in this folder, if it has not. Returns a status, as
 * all of these. */
int vm_pools_open(struct vm_server *server, const char *folder, const char *name);

/* Whether the server has it. STATUS_FAILED, which was told: it has not. */
int vm_pools_find(struct vm_server *server, const char *folder, const char *name);

/* Its VMs, for vm_pools_free. */
int vm_pools_list(struct vm_server *server, const char *name, struct pool_vms *ret_vms);
void vm_pools_free(struct pool_vms *vms);

/* FOLDER/NAME, or NAME of a pool that is here, with its folder made absolute; for free(). */
int vm_pools_name(const char *operand, char **ret_folder, char **ret_name);

#endif
