/* SPDX-License-Identifier: Apache-2.0 */
/* Durations of tasks, counted in few words. */
#include <string.h>

#include "harness/cmocka.h"

#include "arch/clock/clock.h"
#include "core/talk/tally.h"

static struct vine__tally tally;

static void nothing_counted_is_all_zero(void **state)
{
    (void)state;
    memset(&tally, 0, sizeof tally);
    const struct vine__tally_summary summary = vine__tally_summarize(&tally.run);

    assert_int_equal(summary.p50_ns + summary.p99_ns + summary.max_ns + summary.total_ns, 0);
}

static void every_duration_has_a_bucket_and_longer_ones_no_lower_one(void **state)
{
    (void)state;
    uint32_t last = 0;

    for (uint64_t ticks = 0; ticks < 4096; ticks++) {
        assert_in_range(vine__tally_bucket_of(ticks), last, last + 1);
        last = vine__tally_bucket_of(ticks);
    }
    for (uint32_t bit = 12; bit < 64; bit++) {
        assert_in_range(vine__tally_bucket_of(UINT64_C(1) << bit), last, VINE__TALLY_BUCKETS - 1);
        last = vine__tally_bucket_of((UINT64_C(2) << bit) - 1);
    }
    assert_int_equal(vine__tally_bucket_of(UINT64_MAX), VINE__TALLY_BUCKETS - 1);
}

static void percentiles_are_within_an_eighth_above_the_true_ones(void **state)
{
    (void)state;
    memset(&tally, 0, sizeof tally);
    for (uint64_t i = 1; i <= 1000; i++)
        vine__tally_record(&tally.run, 1000 * i);

    const struct vine__tally_summary summary = vine__tally_summarize(&tally.run);

    assert_in_range(summary.p50_ns, vine__clock_ticks_to_ns(500000),
                    vine__clock_ticks_to_ns(500000 + 500000 / 8));
    assert_in_range(summary.p99_ns, vine__clock_ticks_to_ns(990000),
                    vine__clock_ticks_to_ns(990000 + 990000 / 8));
    assert_in_range(summary.max_ns, vine__clock_ticks_to_ns(1000000),
                    vine__clock_ticks_to_ns(1000000 + 1000000 / 8));
    assert_int_equal(summary.total_ns, vine__clock_ticks_to_ns(UINT64_C(1000) * 1001 * 500));
}

/* One among few is above p50 and is the greatest; p99 of less than a hundred is the greatest. */
static void one_long_one_does_not_move_the_median(void **state)
{
    (void)state;
    memset(&tally, 0, sizeof tally);
    vine__tally_record(&tally.run, 100);
    vine__tally_record(&tally.run, 100);
    vine__tally_record(&tally.run, 1 << 30);

    const struct vine__tally_summary summary = vine__tally_summarize(&tally.run);

    assert_in_range(summary.p50_ns, 0, vine__clock_ticks_to_ns(113));
    assert_int_equal(summary.p99_ns, summary.max_ns);
}

static void sums_are_of_all_parts(void **state)
{
    (void)state;
    static struct vine__tally sum;
    memset(&tally, 0, sizeof tally);
    tally.tasks_done = 3;
    tally.tasks_failed = 2;
    tally.bytes_in = 10;
    tally.bytes_out = 20;
    vine__tally_record(&tally.queued, 5);
    vine__tally_sum(&sum, &tally);
    vine__tally_sum(&sum, &tally);
    assert_int_equal(sum.tasks_done, 6);
    assert_int_equal(sum.tasks_failed, 4);
    assert_int_equal(sum.bytes_in, 20);
    assert_int_equal(sum.bytes_out, 40);
    assert_int_equal(sum.queued.total_ticks, 10);
    assert_int_equal(sum.queued.buckets[5], 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_counted_is_all_zero),
        cmocka_unit_test(every_duration_has_a_bucket_and_longer_ones_no_lower_one),
        cmocka_unit_test(percentiles_are_within_an_eighth_above_the_true_ones),
        cmocka_unit_test(one_long_one_does_not_move_the_median),
        cmocka_unit_test(sums_are_of_all_parts),
    };

    vine__clock_calibrate();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
