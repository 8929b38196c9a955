/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/tally.h - what an appliance counts of a procedure: how many of its tasks ended, and how
 * long they took.
 *
 * Owns:     nothing: 5 KiB inside the caller's object.
 * Threads:  one counts, the loop of the part that it belongs to; any read, a little late.
 * Blocking: never.
 * Trust:    private memory only.
 * Limits:   durations are told within an eighth; from 2^42 ticks on (half an hour at least) they
 *           count as that.
 *
 * Durations are kept in ticks of the counter, and become nanoseconds when somebody asks. Below 8
 * each number of ticks has a bucket; from there each power of two is cut into 8 equal ones.
 */
#ifndef VINE_CORE_TALK_TALLY_H
#define VINE_CORE_TALK_TALLY_H

#include <stdint.h>

#include "utils/atomic.h"
#include "utils/bits.h"

#define VINE__TALLY_STEP_BITS  3
#define VINE__TALLY_STEPS      (1u << VINE__TALLY_STEP_BITS)
#define VINE__TALLY_VALUE_BITS 42
#define VINE__TALLY_BUCKETS                                                                        \
    ((VINE__TALLY_VALUE_BITS - VINE__TALLY_STEP_BITS + 1) * VINE__TALLY_STEPS)

struct vine__tally_times {
    uint64_t total_ticks;
    uint64_t buckets[VINE__TALLY_BUCKETS];
};

/* Zeroed is empty. All of it is atomic. */
struct vine__tally {
    uint64_t tasks_done;
    uint64_t tasks_failed; /* those that never ran among them: these have no times */
    uint64_t bytes_in;     /* of the tasks done */
    uint64_t bytes_out;
    uint64_t tasks_late; /* of the failed ones */
    uint64_t runs_long;
    struct vine__tally_times queued;
    struct vine__tally_times run;
};

/* What is told of durations. */
struct vine__tally_summary {
    uint64_t total_ns;
    uint64_t p50_ns;
    uint64_t p99_ns;
    uint64_t max_ns;
};

/* One more of what this thread alone counts. */
static inline void vine__tally_add(uint64_t *counter, uint64_t more)
{
    vine__store_relaxed_u64(counter, vine__load_relaxed_u64(counter) + more);
}

static inline uint32_t vine__tally_bucket_of(uint64_t ticks)
{
    if (ticks < VINE__TALLY_STEPS)
        return (uint32_t)ticks;
    if (ticks >> VINE__TALLY_VALUE_BITS != 0)
        return VINE__TALLY_BUCKETS - 1;
    /* ticks == (8 + step) * 2^shift + rest, with rest below 2^shift. */
    const uint32_t shift = vine__log2_u64(ticks) - VINE__TALLY_STEP_BITS;
    return (shift << VINE__TALLY_STEP_BITS) + (uint32_t)(ticks >> shift);
}

static inline void vine__tally_record(struct vine__tally_times *times, uint64_t ticks)
{
    vine__tally_add(&times->total_ticks, ticks);
    vine__tally_add(&times->buckets[vine__tally_bucket_of(ticks)], 1);
}

/* Add what another part counted of the same procedure; `sum` is the caller's alone. */
void vine__tally_sum(struct vine__tally *sum, const struct vine__tally *part);

/* Of a sum. Percentiles and the greatest value are the upper ends of their buckets. */
struct vine__tally_summary vine__tally_summarize(const struct vine__tally_times *times);

#endif
