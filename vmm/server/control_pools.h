/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/control_pools.h - what the control socket asks of pools, which takes its time.
 *
 * Owns:     what was asked, until it is done and nobody waits for it.
 * Threads:  the registry's.
 * Blocking: never; a change is done when pools.json is on the disk (saver.h).
 * Trust:    as control.h.
 * Limits:   those of pools_file.h.
 */
#ifndef VINE_VMM_SERVER_CONTROL_POOLS_H
#define VINE_VMM_SERVER_CONTROL_POOLS_H

#include "vmm/server/control.h"
#include "vmm/server/pool_store.h"

/* POOLS, OPEN_POOL or CLOSE_POOL. The texts are copied; NULL: there is none. */
struct vine__control_pools_wish {
    enum vine_server_control action;
    const char *folder, *name;
};

VINE_MUST_CHECK enum vine_server_error
vine__control_ask_pools(struct vine__control *control, const struct vine__control_pools_wish *wish,
                        struct vine__control_asked **ret_asked, char why[VINE__SERVER_WHY_BYTES]);

/* VMs that ran already when their pool was opened are resumed, or cannot be. */
void vine__control_pools_settled(struct vine__control *control);

#endif
