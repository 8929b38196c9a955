/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/pool_store_internal.h - between the files of the store of pools.
 */
#ifndef VINE_VMM_SERVER_POOL_STORE_INTERNAL_H
#define VINE_VMM_SERVER_POOL_STORE_INTERNAL_H

#include "vmm/pool/arrival.h"
#include "vmm/pool/change.h"
#include "vmm/pool/pool.h"
#include "vmm/server/pool_store.h"
#include "vmm/server/taken.h"

/* A pool that somebody wants open, with its thread. */
struct vine__pool_opened {
    struct vine__pool_opened *next; /* core 0's, from here... */
    uint32_t use_count;             /* of what was sent and has not come back */
    uint32_t opening_count;         /* of that, what opens it */
    bool is_closed;                 /* it goes behind the last of that; */
    struct vine__pool_state *state; /* how it was behind the last work; NULL: no memory; */
    struct vine__errand last;       /* when the store ends; ...to here */
    struct vine__pool_store *store; /* nobody changes these */
    struct vine__errands *errands;
    char name[VINE__POOL_NAME_BYTES];
    uint32_t haul_count; /* the thread's, from here on: of work that has begun and goes on */
    char *folder;        /* NULL: nobody has opened it */
    bool is_mounted;     /* or is to be, */
    bool is_in_place;    /* and is not as long as it is changed: it is read in place, as others */
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

/* One that is mounted is not any more, until work that has begun is done: nobody changes what the
 * kernel has mounted. Contents are others then. Returns 0, or an error with a problem. */
VINE_MUST_CHECK int vine__pool_opened_leave_mount(struct vine__pool_opened *opened,
                                                  struct vine__problem *problem);
/* Behind each piece of work that is done. */
void vine__pool_opened_settle(struct vine__pool_opened *opened);

/* One change, made of one step, and then the contents are what they are. */
typedef int (*vine__pool_step_fn)(struct vine__pool_change *change, void *context,
                                  struct vine__problem *problem);
VINE_MUST_CHECK int vine__pool_opened_change(struct vine__pool_opened *opened,
                                             vine__pool_step_fn step, void *context,
                                             struct vine__problem *problem);

/* The VM of this UID, or NULL. */
const struct vine__pool_vm *vine__pool_opened_find(const struct vine__pool_opened *opened,
                                                   const char *uid);

/* Whether it is known which VMs it has: there is none that cannot be told from another. */
bool vine__pool_opened_is_whole(const struct vine__pool_opened *opened);

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

/* pool_store_vms.c: work at a VM, or as much of it as is done at a time. Returns false: there is
 * more, and other work of the pool comes first. */
VINE_MUST_CHECK bool vine__pool_store_do(struct vine__vm_store_work *work);

/* ---- pool_store_haul.c: files that are on their way, a piece at a time ----------------------- */

/* One that comes into the pool, ahead of the change. */
struct vine__hauled {
    struct vine__arrival *arrival; /* NULL: nothing of it is there */
    off_t from;                    /* of the source */
    bool is_whole;
};

/* What a piece of work keeps while it is not at it. All zero at first, but for the descriptor. */
struct vine__pool_haul {
    struct vine__hauled upload, back[VINE__TAKEN_FILES_MAX];
    bool is_taking; /* and what is taken out is this: */
    struct vine__taken taken;
    bool is_changed; /* the record is not as it was written down */
    bool is_copied[VINE__TAKEN_FILES_MAX];
    struct vine__pool_copy copy; /* of the file that is being copied out; -1: none is */
};

struct vine__pool_haul *vine__pool_haul_create(void);
void vine__pool_haul_free(struct vine__pool_haul *haul);

/* Read on from a descriptor's beginning, into a pool that is read in place. Returns 0: all of it is
 * there; 1: there is more; or an error. */
VINE_MUST_CHECK int vine__pool_haul_in(struct vine__pool_opened *opened,
                                       struct vine__hauled *hauled, enum vine__vm_file file,
                                       const struct vine__source *source,
                                       struct vine__problem *problem);

/* ---- pool_store_boot.c: the first two return 1 if there is more to do ------------------------ */

VINE_MUST_CHECK int
vine__pool_store_take_out(struct vine__pool_store *store, struct vine__pool_opened *opened,
                          const struct vine__pool_vm *vm, struct vine__pool_haul *haul,
                          struct vine__boot **ret_boot, struct vine__problem *problem);
VINE_MUST_CHECK int vine__pool_store_put_back(struct vine__pool_store *store,
                                              struct vine__pool_opened *opened,
                                              const struct vine__pool_vm *vm,
                                              struct vine__pool_haul *haul,
                                              struct vine__problem *problem);

/* A VM is about to be removed, or is not; and is gone: what was taken out of it goes behind it.
 * Whatever ends a server in between, that is found when the pool is opened. */
void vine__pool_store_going(const struct vine__pool_store *store, const char *uid, bool is_going);
void vine__pool_store_gone(const struct vine__pool_store *store, const char *uid);
void vine__pool_store_end_removals(struct vine__pool_opened *opened);

#endif
