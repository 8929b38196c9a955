/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/control_pools.h - what the control socket asks of pools, which takes its time.
 *
 * Owns:     what was asked, until it is done and nobody waits for it.
 * Threads:  the registry's.
 * Blocking: pools.json is written before a change of it is answered; all else is another thread's.
 * Trust:    as control.h.
 * Limits:   those of pools_file.h.
 */
#ifndef VINE_VMM_SERVER_CONTROL_POOLS_H
#define VINE_VMM_SERVER_CONTROL_POOLS_H

#include "vmm/server/control.h"
#include "vmm/server/pool_store.h"

struct vine__control_pools {
    struct vine__pool_work work; /* private, as all but what is said of */
    struct vine__control *control;
    enum vine_server_control action;
    void (*done)(struct vine__control_pools *pools); /* NULL: nobody waits */
    void *context;                                   /* the asker's */
    char *folder, *name, *path;
    struct vine_list link; /* of those that wait for VMs that run already */
    bool is_forgetting;    /* what could not be opened is taken out of the list again */
    /* What came of it, for who waits. */
    bool is_done;
    enum vine_server_error error;
    char why[VINE__SERVER_WHY_BYTES];
    char *text; /* of POOLS: JSON */
};

/* POOLS, OPEN_POOL or CLOSE_POOL: `done` is called when it is over, never within the call. */
VINE_MUST_CHECK enum vine_server_error
vine__control_ask_pools(struct vine__control *control, const struct vine__control_pools *wanted,
                        struct vine__control_pools **ret_pools, char why[VINE__SERVER_WHY_BYTES]);

/* VMs that ran already when their pool was opened are resumed, or cannot be. */
void vine__control_pools_settled(struct vine__control *control);

/* Nobody waits for it any more; it goes on, if it is not done. NULL is allowed. */
void vine__control_pools_leave(struct vine__control_pools *pools);

#endif
