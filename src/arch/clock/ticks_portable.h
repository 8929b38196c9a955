/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/clock/ticks_portable.h - no counter: CLOCK_MONOTONIC is used. See arch/clock/clock.h.
 */
#ifndef VINE_ARCH_CLOCK_TICKS_H
#define VINE_ARCH_CLOCK_TICKS_H

#include <stdbool.h>
#include <stdint.h>

/* Never called, since the counter is not steady. */
static inline uint64_t vine__cycles_read(void)
{
    return 0;
}

/* Never. */
bool vine__cycles_are_steady(void);

uint64_t vine__cycles_hz(void);

#endif
