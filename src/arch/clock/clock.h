/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/clock/clock.h - the time.
 *
 * Owns:     process-wide state: which counter is in use, and its rate.
 * Threads:  any.
 * Blocking: never, but the first conversion of ticks may spin for up to 2 ms to learn their rate;
 *           call vine__clock_calibrate() at start to have that behind you.
 * Trust:    not concerned. Times of two machines are never subtracted.
 * Limits:   ticks of two processes are comparable only if both use the same source.
 *
 * Two clocks: vine__clock_now_ns() is CLOCK_MONOTONIC and costs some 25 ns. vine__clock_ticks()
 * is the cheapest steady counter of this machine: the time stamp counter where the processor says
 * that it is invariant and the kernel itself keeps time by it, cntvct on aarch64, else
 * CLOCK_MONOTONIC in nanoseconds. It is not ordered against the memory accesses around it.
 *
 * Which of ticks_x86_64 and ticks_aarch64 is in use follows from the compiler's target: of the
 * headers below, of the sources in cmake/VineSources.cmake.
 */
#ifndef VINE_ARCH_CLOCK_H
#define VINE_ARCH_CLOCK_H

#include "utils/atomic.h"

#include <stdint.h>

#if defined(__x86_64__)
#include "arch/clock/ticks_x86_64.h"
#elif defined(__aarch64__)
#include "arch/clock/ticks_aarch64.h"
#endif

enum vine__clock_source {
    VINE__CLOCK_UNDECIDED = 0,
    VINE__CLOCK_CYCLES = 1,
    VINE__CLOCK_MONOTONIC = 2,
};

/* One of enum vine__clock_source; it is decided once and never changes afterwards. */
extern uint32_t vine__clock_source_word;

/* Nanoseconds of CLOCK_MONOTONIC. Any thread. */
uint64_t vine__clock_now_ns(void);

/* Nanoseconds since 1970, as the machine's user has set them: to be told, and for nothing else. Any
 * thread. */
uint64_t vine__clock_wall_ns(void);

/* What vine__clock_ticks() does where no counter is in use, or none was chosen yet. */
uint64_t vine__clock_ticks_slow(void);

/* The steady counter. Any thread. Never runs backwards on one processor; between two processors
 * that exchanged a message it may lag by less than that message took. */
VINE__ALWAYS_INLINE uint64_t vine__clock_ticks(void)
{
    if (__builtin_expect(vine__load_relaxed_u32(&vine__clock_source_word) == VINE__CLOCK_CYCLES, 1))
        return vine__cycles_read();
    return vine__clock_ticks_slow();
}

/* Nanoseconds of a difference of ticks; UINT64_MAX if it does not fit. Any thread; calibrates on
 * first use. */
uint64_t vine__clock_ticks_to_ns(uint64_t ticks);

/* The other way round, for deadlines counted in ticks; UINT64_MAX if it does not fit. */
uint64_t vine__clock_ns_to_ticks(uint64_t time_ns);

/* Choose the source and learn its rate; the more time since the first call of this header, the
 * better it is known (2 ms: 50 ppm). Any thread, any number of times. */
void vine__clock_calibrate(void);

#endif
