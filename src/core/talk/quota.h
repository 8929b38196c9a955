/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/quota.h - what one pipe makes the appliance hold, in one sum.
 *
 *   held =  the appliance's half: extents that are there, and the one that is being made
 *         + what is mapped of the application's half, or being mapped
 *         + the books in which results are kept
 *         + the pipe itself, its channels and their tables
 *         + records of tasks
 *         + private copies of descriptors, and of the inputs of tasks that run, unless they are
 *           small (VINE__SCRATCH_OWN)
 *         + sessions: their records, their states, and what handlers charge for them
 *   held <= bytes_max
 *
 * What does not fit ends a task with -VINE_EQUOTA, and never the pipe. Books are charged when they
 * have grown: they may exceed the sum by what their last doubling took.
 *
 * Owns:     nothing.
 * Threads:  any: the loop, and workers for copies and charges.
 * Blocking: never.
 * Trust:    private memory only.
 * Limits:   none of its own.
 */
#ifndef VINE_CORE_TALK_QUOTA_H
#define VINE_CORE_TALK_QUOTA_H

#include <stdint.h>

#include <vine/error.h>

#include "utils/assert.h"
#include "utils/atomic.h"

struct vine__quota {
    uint64_t bytes_max;
    uint64_t held_bytes; /* atomic */
};

static inline uint64_t vine__quota_held(const struct vine__quota *quota)
{
    return vine__load_relaxed_u64(&quota->held_bytes);
}

static inline uint64_t vine__quota_room(const struct vine__quota *quota)
{
    const uint64_t held = vine__quota_held(quota);

    return held < quota->bytes_max ? quota->bytes_max - held : 0;
}

/* Returns 0 or -VINE_EQUOTA, and then nothing was taken. */
static inline int vine__quota_take(struct vine__quota *quota, uint64_t bytes)
{
    uint64_t held = vine__quota_held(quota);

    /* Pairs with nothing: the sum is all there is. */
    do
        if (bytes > quota->bytes_max || held > quota->bytes_max - bytes)
            return -VINE_EQUOTA;
    while (!vine__compare_exchange_acq_rel_u64(&quota->held_bytes, &held, held + bytes));
    return 0;
}

/* What is held already, room or not. */
static inline void vine__quota_add(struct vine__quota *quota, uint64_t bytes)
{
    (void)vine__fetch_add_relaxed_u64(&quota->held_bytes, bytes);
}

static inline void vine__quota_give(struct vine__quota *quota, uint64_t bytes)
{
    if (bytes == 0)
        return;

    const uint64_t held = vine__fetch_add_relaxed_u64(&quota->held_bytes, (uint64_t)0 - bytes);

    VINE_ASSERT(held >= bytes);
}

#endif
