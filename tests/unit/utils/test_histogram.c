/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/histogram.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

static void an_empty_histogram_answers_zero(void **state)
{
    (void)state;
    static struct vine__histogram histogram;
    vine__histogram_init(&histogram);
    assert_int_equal(vine__histogram_percentile(&histogram, 0), 0);
    assert_int_equal(vine__histogram_percentile(&histogram, 990000), 0);
}

static void values_beyond_the_range_keep_the_maximum(void **state)
{
    (void)state;
    static struct vine__histogram histogram;
    vine__histogram_init(&histogram);
    vine__histogram_record(&histogram, UINT64_MAX);
    vine__histogram_record(&histogram, 10);
    assert_true(vine__histogram_percentile(&histogram, 1000000) == UINT64_MAX);
    assert_true(vine__histogram_percentile(&histogram, 990000) == UINT64_MAX);
    assert_int_equal(vine__histogram_percentile(&histogram, 500000), 10);
    assert_int_equal(vine__histogram_bucket_of(UINT64_MAX), VINE__HISTOGRAM_BUCKETS - 1);
    assert_int_equal(vine__histogram_bucket_of((UINT64_C(1) << 40) - 1),
                     VINE__HISTOGRAM_BUCKETS - 1);
}

static void buckets_follow_each_other_without_a_gap(void **state)
{
    (void)state;
    uint32_t last = 0;
    for (uint64_t value = 1; value < 1 << 16; value++) {
        const uint32_t bucket = vine__histogram_bucket_of(value);
        assert_true(bucket == last || bucket == last + 1);
        last = bucket;
    }
    for (uint32_t bit = 16; bit < 40; bit++) {
        const uint64_t power = UINT64_C(1) << bit;
        assert_int_equal(vine__histogram_bucket_of(power),
                         vine__histogram_bucket_of(power - 1) + 1);
    }
}

static int compare(const void *a, const void *b)
{
    const uint64_t left = *(const uint64_t *)a, right = *(const uint64_t *)b;
    return (left > right) - (left < right);
}

static void percentiles_are_at_most_one_part_in_32_above_the_true_ones(void **state)
{
    (void)state;
    enum { COUNT = 20000 };
    static uint64_t values[COUNT];
    static struct vine__histogram histogram;
    vine__histogram_init(&histogram);
    uint64_t seed = 12345;
    for (int i = 0; i < COUNT; i++) {
        seed = seed * 6364136223846793005ULL + 1442695040888963407ULL;
        values[i] = (seed >> 33) >> (seed >> 59); /* all magnitudes */
        vine__histogram_record(&histogram, values[i]);
    }
    qsort(values, COUNT, sizeof(values[0]), compare);
    const uint32_t wanted[] = {1, 10000, 500000, 900000, 990000, 999000, 999999, 1000000};
    for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
        uint64_t rank = ((uint64_t)COUNT * wanted[i] + 999999) / 1000000;
        const uint64_t truth = values[rank == 0 ? 0 : rank - 1];
        const uint64_t told = vine__histogram_percentile(&histogram, wanted[i]);
        assert_true(told >= truth);
        assert_true(told <= truth + truth / 32);
    }
    assert_true(histogram.max_ns == values[COUNT - 1]);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_empty_histogram_answers_zero),
        cmocka_unit_test(values_beyond_the_range_keep_the_maximum),
        cmocka_unit_test(buckets_follow_each_other_without_a_gap),
        cmocka_unit_test(percentiles_are_at_most_one_part_in_32_above_the_true_ones),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
