/* SPDX-License-Identifier: Apache-2.0 */
/*
 * times.h - times of which the percentiles are exact: up to a millisecond each nanosecond has its
 * count. A histogram's classes are wider than what `vine bench` has to tell apart; it keeps what
 * took longer.
 */
#ifndef VINE_TOOLS_TIMES_H
#define VINE_TOOLS_TIMES_H

#include "utils/histogram.h"

#define TIMES_EXACT_NS (1U << 20)

/* 4 MiB: on the heap. Zeroed is empty. */
struct times {
    struct vine__histogram all;
    uint32_t counts[TIMES_EXACT_NS];
};

static inline void times_record(struct times *times, uint64_t value_ns)
{
    vine__histogram_record(&times->all, value_ns);
    if (value_ns < TIMES_EXACT_NS)
        times->counts[value_ns]++;
}

void times_clear(struct times *times);

/* The least time that `millionths` of all do not exceed; 0 of none. */
uint64_t times_percentile(const struct times *times, uint32_t millionths);

#endif
