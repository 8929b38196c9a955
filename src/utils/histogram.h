/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/histogram.h - times in fixed memory, good enough for percentiles.
 *
 * Owns:     nothing: 9 KiB inside the caller's object.
 * Threads:  one recorder at a time.
 * Blocking: never; recording takes a few ns.
 * Trust:    any value may be recorded.
 * Limits:   a percentile is at most 1/32 (3.1 %) above the true value; values from 2^40 ns
 *           (18 minutes) on count as that, but keep their place in the maximum.
 *
 * Below 32 each value has a bucket; from there each power of two is cut into 32 equal ones.
 */
#ifndef VINE_UTILS_HISTOGRAM_H
#define VINE_UTILS_HISTOGRAM_H

#include "utils/bits.h"

#include <stdint.h>

#define VINE__HISTOGRAM_STEP_BITS  5
#define VINE__HISTOGRAM_STEPS      (1U << VINE__HISTOGRAM_STEP_BITS)
#define VINE__HISTOGRAM_VALUE_BITS 40
#define VINE__HISTOGRAM_BUCKETS                                                                    \
    ((VINE__HISTOGRAM_VALUE_BITS - VINE__HISTOGRAM_STEP_BITS + 1) * VINE__HISTOGRAM_STEPS)

/* Zeroed is empty. Invariant: count is the sum of buckets. */
struct vine__histogram {
    uint64_t count;
    uint64_t max_ns;
    uint64_t buckets[VINE__HISTOGRAM_BUCKETS];
};

static inline uint32_t vine__histogram_bucket_of(uint64_t value_ns)
{
    if (value_ns < VINE__HISTOGRAM_STEPS)
        return (uint32_t)value_ns;
    if (value_ns >> VINE__HISTOGRAM_VALUE_BITS != 0)
        return VINE__HISTOGRAM_BUCKETS - 1;
    /* value == (32 + step) * 2^shift + rest, with rest below 2^shift. */
    const uint32_t shift = vine__log2_u64(value_ns) - VINE__HISTOGRAM_STEP_BITS;
    return (shift << VINE__HISTOGRAM_STEP_BITS) + (uint32_t)(value_ns >> shift);
}

void vine__histogram_init(struct vine__histogram *histogram);

static inline void vine__histogram_record(struct vine__histogram *histogram, uint64_t value_ns)
{
    histogram->buckets[vine__histogram_bucket_of(value_ns)]++;
    histogram->max_ns = vine__max_u64(histogram->max_ns, value_ns);
    histogram->count++;
}

/* A value that at least `millionths` of all recorded ones do not exceed: 500000 is the median,
 * 990000 p99, 1000000 the maximum. Never below the true one, never above the maximum. 0 if
 * nothing was recorded. */
uint64_t vine__histogram_percentile(const struct vine__histogram *histogram, uint32_t millionths);

#endif
