/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/clock/ticks_x86_64.h - the time stamp counter. See arch/clock/clock.h.
 */
#ifndef VINE_ARCH_CLOCK_TICKS_H
#define VINE_ARCH_CLOCK_TICKS_H

#include <stdbool.h>
#include <stdint.h>

/* About 20 cycles; not serializing: earlier loads may still be on their way. */
static inline __attribute__((always_inline)) uint64_t vine__cycles_read(void)
{
    return __builtin_ia32_rdtsc();
}

/* Whether the counter runs at one rate on all processors, whatever they do. */
bool vine__cycles_are_steady(void);

/* Its rate, or 0 if it has to be measured. */
uint64_t vine__cycles_hz(void);

#endif
