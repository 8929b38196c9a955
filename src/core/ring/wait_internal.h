/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/ring/wait_internal.h - what waits on either kind of ring share.
 *
 * Owns:     nothing.
 * Threads:  as vine/wait.h.
 * Blocking: vine__wait_for, at most for its time-out.
 * Trust:    as the ring's.
 * Limits:   as vine/wait.h.
 */
#ifndef VINE_CORE_RING_WAIT_INTERNAL_H
#define VINE_CORE_RING_WAIT_INTERNAL_H

#include <stdbool.h>

#include <vine/wait.h>

struct vine_mpmc_sleepers;

/* What is waited for: one end of a ring, and how to look at it. */
struct vine__wait_target {
    void *end;
    int (*look)(void *end); /* 1: it is there; 0: it is not; or an error */
    uint64_t awaited;       /* for the sleeper's line */
    const uint32_t *word;   /* changes from `expected` when the other side moves */
    uint32_t expected;
    /* Whether it is only a stalled party that is in our way: then the sleep is short, and the wait
     * ends. NULL: never. */
    bool (*is_held)(void *end);
    struct vine_mpmc_sleepers *sleepers; /* of an mpmc queue, instead of the line */
};

/* Returns 0, -ETIMEDOUT, what `look` or the waiter's `alive` returned. */
int vine__wait_for(struct vine_waiter *waiter, uint64_t timeout_ns,
                   struct vine__wait_target *target);

/* Say that we sleep, and pass the fence after which a look is decisive; and take it back. */
void vine__wait_raise(struct vine_waiter *waiter, struct vine__wait_target *target);
void vine__wait_lower(struct vine_waiter *waiter, struct vine__wait_target *target);

#endif
