/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/pool_store_internal.h - between the files of the store of pools. All of it but the
 * base is of its thread.
 */
#ifndef VINE_VMM_SERVER_POOL_STORE_INTERNAL_H
#define VINE_VMM_SERVER_POOL_STORE_INTERNAL_H

#include "vmm/pool/change.h"
#include "vmm/pool/pool.h"
#include "vmm/server/pool_store.h"
#include "vmm/server/taken.h"

/* A pool that somebody wants open. */
struct vine__pool_opened {
    struct vine__pool_opened *next;
    char name[VINE__POOL_NAME_BYTES];
    char *folder;
    bool is_mounted; /* or is to be */
    char *mount_point;
    struct vine__pool *pool;                    /* NULL: it is not, */
    struct vine__problem problem;               /* and this is why */
    const struct vine__pool_contents *contents; /* of one that is */
};

struct vine__pool_store {
    struct vine__vm_store base;
    struct vine__errands *errands;
    char *machines; /* STATE/machines */
    struct vine__pool_opened *pools;
    struct vine__errand last;
    void (*closed)(void *context);
    void *context;
};

/* pool_store_pools.c: a pool that is there, with its contents, or closed with a problem. */
void vine__pool_opened_open(struct vine__pool_opened *opened, bool is_mounted);
void vine__pool_opened_close(struct vine__pool_opened *opened);

/* One change, made of one step, and then the contents are what they are. */
typedef int (*vine__pool_step_fn)(struct vine__pool_change *change, void *context,
                                  struct vine__problem *problem);
VINE_MUST_CHECK int vine__pool_opened_change(struct vine__pool_opened *opened,
                                             vine__pool_step_fn step, void *context,
                                             struct vine__problem *problem);

/* The pool of this name; the VM of this UID and its pool. Or NULL. */
struct vine__pool_opened *vine__pool_store_find(const struct vine__pool_store *store,
                                                const char *name);
const struct vine__pool_vm *vine__pool_store_find_vm(const struct vine__pool_store *store,
                                                     const char *uid,
                                                     struct vine__pool_opened **ret_opened);

/* Facts of a VM. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__pool_store_tell(const struct vine__pool_store *store,
                                          const struct vine__pool_opened *opened,
                                          const struct vine__pool_vm *vm,
                                          struct vine__vm_facts *ret_facts);

/* All that there are, for the work's asker. */
void vine__pool_store_list_all(struct vine__pool_store *store, struct vine__pool_work *work);

/* An error and its problem, as a client is told. */
enum vine_server_error vine__pool_store_error(int error);

/* pool_store_vms.c: work at a VM. */
void vine__pool_store_do(struct vine__pool_store *store, struct vine__vm_store_work *work);

/* pool_store_boot.c */
VINE_MUST_CHECK int vine__pool_store_take_out(struct vine__pool_store *store,
                                              struct vine__pool_opened *opened,
                                              const struct vine__pool_vm *vm,
                                              struct vine__boot **ret_boot,
                                              struct vine__problem *problem);
VINE_MUST_CHECK int vine__pool_store_put_back(struct vine__pool_store *store,
                                              struct vine__pool_opened *opened,
                                              const struct vine__pool_vm *vm,
                                              struct vine__problem *problem);

#endif
