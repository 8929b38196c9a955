/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/ring/deadline.h - what is left of a time-out, when a call waits several times.
 *
 * Owns:     nothing.
 * Threads:  one.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   the clock is not read before the first wait.
 */
#ifndef VINE_CORE_RING_DEADLINE_H
#define VINE_CORE_RING_DEADLINE_H

#include <stdbool.h>

#include <vine/base.h>

#include "arch/clock/clock.h"

struct vine__deadline {
    uint64_t timeout_ns;
    uint64_t start_ticks;
    bool is_running;
    bool is_over; /* all of it was handed out: no further wait */
};

static inline struct vine__deadline vine__deadline_after(uint64_t timeout_ns)
{
    return (struct vine__deadline){.timeout_ns = timeout_ns};
}

/* How long the next wait may take; 0 once, when the time is over, and `is_over` from then on. */
static inline uint64_t vine__deadline_left(struct vine__deadline *deadline)
{
    uint64_t elapsed_ns = 0;

    if (deadline->timeout_ns == VINE_FOREVER)
        return VINE_FOREVER;
    if (!deadline->is_running) {
        deadline->is_running = true;
        deadline->start_ticks = vine__clock_ticks();
    } else {
        elapsed_ns = vine__clock_ticks_to_ns(vine__clock_ticks() - deadline->start_ticks);
    }
    if (elapsed_ns >= deadline->timeout_ns) {
        deadline->is_over = true;
        return 0;
    }
    return deadline->timeout_ns - elapsed_ns;
}

#endif
