/* SPDX-License-Identifier: Apache-2.0 */
#include "core/metrics/metrics_internal.h"

#include <errno.h>
#include <stdlib.h>

int vine_histogram_create(struct vine_histogram **ret_histogram)
{
    struct vine_histogram *const histogram = calloc(1, sizeof(*histogram));

    if (histogram == NULL)
        return -ENOMEM;
    *ret_histogram = histogram;
    return 0;
}

void vine_histogram_destroy(struct vine_histogram *histogram)
{
    free(histogram);
}

void vine_histogram_record(struct vine_histogram *histogram, uint64_t value)
{
    vine__histogram_record(&histogram->times, value);
    histogram->sum += (double)value;
}

void vine__histogram_shape(const struct vine_histogram *histogram,
                           struct vine__metric_shape *ret_shape)
{
    const struct vine__histogram *const times = &histogram->times;
    uint32_t bucket = 0;
    uint64_t below = 0;

    /* Each power of two is the beginning of a bucket. */
    for (uint32_t i = 0; i < VINE__METRIC_BOUNDS; i++) {
        const uint32_t end = vine__histogram_bucket_of(UINT64_C(1) << 2 * i);

        while (bucket < end)
            below += times->buckets[bucket++];
        ret_shape->up_to[i] = below;
    }
    ret_shape->count = times->count;
    ret_shape->sum = histogram->sum;
    ret_shape->half = vine__histogram_percentile(times, 500000);
    ret_shape->most_of_ten = vine__histogram_percentile(times, 900000);
    ret_shape->most_of_hundred = vine__histogram_percentile(times, 990000);
    ret_shape->greatest = times->max_ns;
}
