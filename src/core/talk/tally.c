/* SPDX-License-Identifier: Apache-2.0 */
#include "core/talk/tally.h"

#include "arch/clock/clock.h"

static void sum_times(struct vine__tally_times *sum, const struct vine__tally_times *part)
{
    sum->total_ticks += vine__load_relaxed_u64(&part->total_ticks);
    for (uint32_t i = 0; i < VINE__TALLY_BUCKETS; i++)
        sum->buckets[i] += vine__load_relaxed_u64(&part->buckets[i]);
}

void vine__tally_sum(struct vine__tally *sum, const struct vine__tally *part)
{
    sum->tasks_done += vine__load_relaxed_u64(&part->tasks_done);
    sum->tasks_failed += vine__load_relaxed_u64(&part->tasks_failed);
    sum->bytes_in += vine__load_relaxed_u64(&part->bytes_in);
    sum->bytes_out += vine__load_relaxed_u64(&part->bytes_out);
    sum->tasks_late += vine__load_relaxed_u64(&part->tasks_late);
    sum->runs_long += vine__load_relaxed_u64(&part->runs_long);
    sum_times(&sum->queued, &part->queued);
    sum_times(&sum->run, &part->run);
}

/* The greatest number of ticks that this bucket counts. */
static uint64_t last_of(uint32_t bucket)
{
    if (bucket < VINE__TALLY_STEPS)
        return bucket;

    const uint32_t shift = (bucket >> VINE__TALLY_STEP_BITS) - 1;
    const uint64_t step = VINE__TALLY_STEPS + (bucket & (VINE__TALLY_STEPS - 1));

    return ((step + 1) << shift) - 1;
}

struct vine__tally_summary vine__tally_summarize(const struct vine__tally_times *times)
{
    struct vine__tally_summary summary = {
        .total_ns = vine__clock_ticks_to_ns(times->total_ticks),
    };
    uint64_t count = 0;
    uint64_t seen = 0;

    for (uint32_t i = 0; i < VINE__TALLY_BUCKETS; i++)
        count += times->buckets[i];
    for (uint32_t i = 0; i < VINE__TALLY_BUCKETS && seen < count; i++) {
        if (times->buckets[i] == 0)
            continue;

        const uint64_t before = seen;
        const uint64_t ns = vine__clock_ticks_to_ns(last_of(i));

        seen += times->buckets[i];
        /* The bucket in which the share is reached; shares are of `count`, rounded up. */
        if (before < count - count / 2 && seen >= count - count / 2)
            summary.p50_ns = ns;
        if (before < count - count / 100 && seen >= count - count / 100)
            summary.p99_ns = ns;
        summary.max_ns = ns;
    }
    return summary;
}
