/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The clock of arch/clock/clock.h is the world's. To look at it takes a nanosecond, so that whoever
 * looks until some time has passed sees the end of that.
 */
#include "sim/world_internal.h"

#include "arch/clock/clock.h"

#include <time.h>

uint32_t vine__clock_source_word = VINE__CLOCK_MONOTONIC;

uint64_t vine__clock_now_ns(void)
{
    world.seen_ns = world.now_ns > world.seen_ns ? world.now_ns : world.seen_ns + 1;
    return world.seen_ns;
}

uint64_t vine__clock_wall_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_REALTIME, &now);
    return (uint64_t)now.tv_sec * VINE_NS_PER_SECOND + (uint64_t)now.tv_nsec;
}

uint64_t vine__clock_ticks_slow(void)
{
    return vine__clock_now_ns();
}

uint64_t vine__clock_ticks_to_ns(uint64_t ticks)
{
    return ticks;
}

uint64_t vine__clock_ns_to_ticks(uint64_t time_ns)
{
    return time_ns;
}

void vine__clock_calibrate(void)
{
}
