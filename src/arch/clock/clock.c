/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/clock/clock.h"

#include "utils/assert.h"

#include <stdbool.h>
#include <time.h>

#define NS_PER_SECOND UINT64_C(1000000000)

/* A rate is known well enough after this long: two readings are each some 50 ns off. */
#define CALIBRATION_NS UINT64_C(2000000)

/* Rates are fixed-point numbers with this many bits behind the point, so that a conversion is one
 * multiplication: at 3 GHz ns_per_tick is 0.333 * 2^32, known to 1 in 10^9. */
#define RATE_BITS 32

__extension__ typedef unsigned __int128 wide;

uint32_t vine__clock_source_word = VINE__CLOCK_UNDECIDED;

/* When the source was decided. Written once by the thread that decided, before base_is_set. */
static uint64_t base_ticks;
static uint64_t base_ns;
static uint32_t base_is_set;

/* Nanoseconds per tick and ticks per nanosecond; 0 until calibrated. Any thread may store a
 * better value at any time; each is valid by itself. */
static uint64_t ns_per_tick;
static uint64_t ticks_per_ns;

uint64_t vine__clock_now_ns(void)
{
    struct timespec now;
    const int failed = clock_gettime(CLOCK_MONOTONIC, &now);
    VINE_ASSERT(failed == 0);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t vine__clock_wall_ns(void)
{
    struct timespec now;
    const int failed = clock_gettime(CLOCK_REALTIME, &now);
    VINE_ASSERT(failed == 0);
    return (uint64_t)now.tv_sec * NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

/* Both clocks at one moment: the reading of CLOCK_MONOTONIC that took the fewest cycles. */
static void sample(uint64_t *ret_ticks, uint64_t *ret_ns)
{
    uint64_t best = UINT64_MAX;
    for (int i = 0; i < 8; i++) {
        const uint64_t before = vine__cycles_read();
        const uint64_t now_ns = vine__clock_now_ns();
        const uint64_t width = vine__cycles_read() - before;
        if (width < best) {
            best = width;
            *ret_ticks = before + width / 2;
            *ret_ns = now_ns;
        }
    }
}

/* The source in use; decided by the first caller, in a way that no thread waits for another (a
 * child forked meanwhile would wait for ever). */
static uint32_t source(void)
{
    /* Relaxed: the word says all there is. */
    uint32_t decided = vine__load_relaxed_u32(&vine__clock_source_word);
    if (decided != VINE__CLOCK_UNDECIDED)
        return decided;
    const uint32_t ours = vine__cycles_are_steady() ? VINE__CLOCK_CYCLES : VINE__CLOCK_MONOTONIC;
    /* Pairs with nothing: what follows from the word goes by B1 and R1. */
    if (!vine__compare_exchange_acq_rel_u32(&vine__clock_source_word, &decided, ours))
        return decided;
    if (ours == VINE__CLOCK_CYCLES) {
        sample(&base_ticks, &base_ns);
        /* B1 (release) pairs with B2 (acquire): whoever sees the flag sees both readings. */
        vine__store_release_u32(&base_is_set, 1);
    }
    return ours;
}

uint64_t vine__clock_ticks_slow(void)
{
    return source() == VINE__CLOCK_CYCLES ? vine__cycles_read() : vine__clock_now_ns();
}

static void set_rate(uint64_t ticks, uint64_t time_ns)
{
    VINE_ASSERT(ticks > 0 && time_ns > 0);
    vine__store_relaxed_u64(&ticks_per_ns, (uint64_t)(((wide)ticks << RATE_BITS) / time_ns));
    /* R1 (release) pairs with R2: whoever sees this rate sees the other one. */
    vine__store_release_u64(&ns_per_tick, (uint64_t)(((wide)time_ns << RATE_BITS) / ticks));
}

void vine__clock_calibrate(void)
{
    if (source() == VINE__CLOCK_MONOTONIC) {
        set_rate(1, 1);
        return;
    }
    const uint64_t hz = vine__cycles_hz();
    if (hz != 0) {
        set_rate(hz, NS_PER_SECOND);
        return;
    }

    uint64_t from_ticks, from_ns, to_ticks, to_ns;
    /* B2 (acquire) pairs with B1. */
    if (vine__load_acquire_u32(&base_is_set)) {
        from_ticks = base_ticks;
        from_ns = base_ns;
    } else {
        sample(&from_ticks, &from_ns);
    }
    do {
        sample(&to_ticks, &to_ns);
    } while (to_ns - from_ns < CALIBRATION_NS);
    set_rate(to_ticks - from_ticks, to_ns - from_ns);
}

static uint64_t convert(uint64_t value, const uint64_t *rate)
{
    /* R2 (acquire) pairs with R1: both rates are there once this one is. */
    if (vine__load_acquire_u64(&ns_per_tick) == 0)
        vine__clock_calibrate();
    const wide product = (wide)value * vine__load_relaxed_u64(rate) >> RATE_BITS;
    return product > UINT64_MAX ? UINT64_MAX : (uint64_t)product;
}

uint64_t vine__clock_ticks_to_ns(uint64_t ticks)
{
    return convert(ticks, &ns_per_tick);
}

uint64_t vine__clock_ns_to_ticks(uint64_t time_ns)
{
    return convert(time_ns, &ticks_per_ns);
}
