/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/histogram.h"

#define MILLION 1000000U

/* The greatest value of a bucket. */
static uint64_t upper_end(uint32_t bucket)
{
    if (bucket < VINE__HISTOGRAM_STEPS)
        return bucket;
    const uint32_t shift = (bucket >> VINE__HISTOGRAM_STEP_BITS) - 1;
    const uint64_t step = (bucket & (VINE__HISTOGRAM_STEPS - 1)) + VINE__HISTOGRAM_STEPS;
    return ((step + 1) << shift) - 1;
}

void vine__histogram_init(struct vine__histogram *histogram)
{
    *histogram = (struct vine__histogram){0};
}

uint64_t vine__histogram_percentile(const struct vine__histogram *histogram, uint32_t millionths)
{
    VINE_ASSERT(millionths <= MILLION);
    if (histogram->count == 0)
        return 0;
    if (millionths == MILLION)
        return histogram->max_ns;
    /* The rank of the value, from 1: count * millionths / 10^6 rounded up, in two parts so that
     * the product fits. */
    const uint64_t rest = (histogram->count % MILLION * millionths + MILLION - 1) / MILLION;
    const uint64_t rank = vine__max_u64(histogram->count / MILLION * millionths + rest, 1);
    uint64_t seen = 0;
    for (uint32_t i = 0; i < VINE__HISTOGRAM_BUCKETS - 1; i++) {
        seen += histogram->buckets[i];
        if (seen >= rank)
            return vine__min_u64(upper_end(i), histogram->max_ns);
    }
    return histogram->max_ns; /* the last bucket is open upwards */
}
