/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/clock/ticks_aarch64.h - the generic timer's virtual counter. See arch/clock/clock.h.
 */
#ifndef VINE_ARCH_CLOCK_TICKS_H
#define VINE_ARCH_CLOCK_TICKS_H

#include <stdbool.h>
#include <stdint.h>

/* Not preceded by isb: earlier loads may still be on their way. */
static inline __attribute__((always_inline)) uint64_t vine__cycles_read(void)
{
    uint64_t value;
    __asm__ __volatile__("mrs %0, cntvct_el0" : "=r"(value));
    return value;
}

/* Always: the architecture says so. */
bool vine__cycles_are_steady(void);

/* What firmware states in cntfrq_el0, or 0 if it states nonsense. */
uint64_t vine__cycles_hz(void);

#endif
