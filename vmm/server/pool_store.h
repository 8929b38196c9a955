/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/pool_store.h - the store of the VM server: pools, opened as their owner, each on a
 * thread of its own; and what was taken out of them, in a folder of state.
 *
 * Owns:     its threads, its pools, and the folders below STATE/machines. What was taken out stays
 *           there when all of this ends, however that happens, and is found by the next one.
 * Threads:  core 0's; and one for each pool, where all work at it is done, one thing after the
 *           other, but for what takes long: large files go a piece at a time, and the rest has its
 *           turn in between. What was taken out of a VM is its pool's thread's.
 * Blocking: never; its threads read, write and sync files. Work at a pool waits for no other one.
 * Trust:    pools may hold anything: one that is bad is told by its name, and the others, and the
 *           other VMs of one that has bad ones, are there.
 * Limits:   VINE__POOLS_MAX pools, and those of vmm/pool. One server at a time has a state folder.
 */
#ifndef VINE_VMM_SERVER_POOL_STORE_H
#define VINE_VMM_SERVER_POOL_STORE_H

#include <vine/base.h>

#include "vmm/pool/problem.h"
#include "vmm/server/registry.h"
#include "vmm/server/vm_store.h"

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

/* Of server.conf, and as many again that were opened since. */
#define VINE__POOLS_MAX 128

/* A store without pools. `state` is a folder that is there; it is copied. What was begun to be
 * taken out when a former one ended is thrown away before it returns. Returns 0 or an error. */
VINE_MUST_CHECK int vine__pool_store_create(const char *state, struct vine__vm_store **ret_store);

/* End it when all work that it has is done; `done` is called behind that. Core 0, before reactors
 * stop. Pools are closed, VMs that run are not concerned. */
void vine__pool_store_destroy(struct vine__vm_store *store, void (*done)(void *context),
                              void *context);

/* Something that is wrong: with a VM, or with all of a pool. */
struct vine__pool_finding {
    char vm[VINE__VM_NAME_BYTES]; /* "": the pool */
    char text[VINE__PROBLEM_BYTES];
};

/* Which VM is which. */
struct vine__pool_member {
    char uid[VINE__VM_UID_BYTES];
    char name[VINE__VM_NAME_BYTES];
};

/* One pool, as it is. */
struct vine__pool_state {
    char name[VINE__POOL_NAME_BYTES];
    char *folder;
    char *mount_point; /* NULL: it is read in place */
    bool is_open;      /* else the first finding says why not */
    uint32_t vm_count, usable_count;
    uint64_t size_bytes, free_bytes; /* of the file system in it; 0: it is mounted, or not open */
    struct vine__pool_finding *findings;
    uint32_t finding_count;
    json_t *links;                     /* of NAME.json, as it has them; NULL: none */
    struct vine__pool_member *members; /* the store's: those that are usable */
    uint32_t member_count;
};

struct vine__pool_work {
    /* Whoever asks fills in these, and leaves all of it alone until `done`... */
    void (*done)(struct vine__pool_work *work); /* on core 0, once, never within the call */
    const char *folder;                         /* to open */
    const char *name;                           /* to open, to close */
    bool is_mounted;                            /* to open: by the system, where NAME.json says */
    /* ...which finds here what came of it. */
    enum vine_server_error error;
    char why[VINE__PROBLEM_BYTES];
    struct vine__pool_state *pools; /* of a list: for vine__pool_states_free */
    uint32_t pool_count;
    /* The store's. */
    struct vine__pool_store *store;
    struct vine__pool_opened *opened;
    struct vine__registry *registry;
    struct vine__pool_state *state;
    struct vine__vm_facts *facts;
    uint32_t facts_count;
    bool is_all; /* of what the pool has, these are */
    struct vine__errand errand;
};

/*
 * Open folder/name, as whom nobody else changes, and have the registry adopt its VMs. One that
 * cannot be opened is among the others too, with what is wrong with it, and is tried again by
 * opening it again. EXISTS: there is one of this name, which is open.
 */
void vine__pool_store_open(struct vine__vm_store *store, struct vine__registry *registry,
                           struct vine__pool_work *work);

/* Close one, if its VMs are off and idle, which are not there any more then. Else BAD_STATE, and
 * nothing happens; or BUSY while it is being opened. */
void vine__pool_store_close(struct vine__vm_store *store, struct vine__registry *registry,
                            struct vine__pool_work *work);

/* All of them, in the order in which they were opened, each as the last work at it that has ended
 * left it: this waits for none. */
void vine__pool_store_list(struct vine__vm_store *store, struct vine__registry *registry,
                           struct vine__pool_work *work);

void vine__pool_states_free(struct vine__pool_state *states, uint32_t count);

#endif
