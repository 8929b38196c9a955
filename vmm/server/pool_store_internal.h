/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/pool_store_internal.h - between the files of the store of pools.
 */
#ifndef VINE_VMM_SERVER_POOL_STORE_INTERNAL_H
#define VINE_VMM_SERVER_POOL_STORE_INTERNAL_H

#include "vmm/pool/change.h"
#include "vmm/pool/pool.h"
#include "vmm/server/pool_store.h"
#include "vmm/server/taken.h"

/* A pool that somebody wants open, with its thread. */
struct vine__pool_opened {
    struct vine__pool_opened *next; /* core 0's, from here... */
    uint32_t use_count;             /* of what was sent and has not come back */
    bool is_closed;                 /* it goes behind the last of that; */
    struct vine__pool_state *state; /* how it was behind the last work; NULL: no memory; */
    struct vine__errand last;       /* when the store ends; ...to here */
    struct vine__pool_store *store; /* nobody changes these */
    struct vine__errands *errands;
    char name[VINE__POOL_NAME_BYTES];
    char *folder;    /* the thread's, from here on; NULL: nobody has opened it */
    bool is_mounted; /* or is to be */
    char *mount_point;
    struct vine__pool *pool;                    /* NULL: it is not, */
    struct vine__problem problem;               /* and this is why */
    const struct vine__pool_contents *contents; /* of one that is */
};

/* Core 0's, but for the path. */
struct vine__pool_store {
    struct vine__vm_store base;
    struct vine__errands *errands;   /* for what there is no pool for */
    char *machines;                  /* STATE/machines, which nobody changes */
    struct vine__pool_opened *pools; /* in the order in which they were opened */
    uint32_t thread_count;           /* those of pools, and its own */
    void (*closed)(void *context);
    void *context;
};

/* pool_store_pools.c: a pool that is there, with its contents, or closed with a problem. */
void vine__pool_opened_open(struct vine__pool_opened *opened, bool is_mounted);
void vine__pool_opened_shut(struct vine__pool_opened *opened);
void vine__pool_opened_free(struct vine__pool_opened *opened);

/* One change, made of one step, and then the contents are what they are. */
typedef int (*vine__pool_step_fn)(struct vine__pool_change *change, void *context,
                                  struct vine__problem *problem);
VINE_MUST_CHECK int vine__pool_opened_change(struct vine__pool_opened *opened,
                                             vine__pool_step_fn step, void *context,
                                             struct vine__problem *problem);

/* The VM of this UID, or NULL. */
const struct vine__pool_vm *vine__pool_opened_find(const struct vine__pool_opened *opened,
                                                   const char *uid);

/* Facts of a VM. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__pool_store_tell(const struct vine__pool_store *store,
                                          const struct vine__pool_opened *opened,
                                          const struct vine__pool_vm *vm,
                                          struct vine__vm_facts *ret_facts);

/* How it is; without a name if nobody has opened it. NULL: no memory. */
struct vine__pool_state *vine__pool_opened_describe(const struct vine__pool_opened *opened);

/* How one is whose thread has not told yet. NULL: no memory. */
struct vine__pool_state *vine__pool_state_opening(const char *name, const char *folder);

/* Another one of the same. Returns false: no memory, and some of it. */
VINE_MUST_CHECK bool vine__pool_state_copy(const struct vine__pool_state *state,
                                           struct vine__pool_state *ret_copy);

/* Core 0: which of its VMs are another pool's already. Returns false: no memory. */
VINE_MUST_CHECK bool vine__pool_state_compare(struct vine__pool_state *state,
                                              const struct vine__registry *registry);

/* NULL is allowed. */
void vine__pool_state_free(struct vine__pool_state *state);

/* An error and its problem, as a client is told. */
enum vine_server_error vine__pool_store_error(int error);

/* pool_store_vms.c: work at a VM. */
void vine__pool_store_do(struct vine__vm_store_work *work);

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
