/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
/*
 * Whether offloading pays, from rounds that are given here, and what is said then.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utils/tables.h"

#include "../tools/times.h"
#include "../tools/verdict.h"

#define COUNT(array) ((unsigned)VINE_ARRAY_COUNT(array))

/* The medians are 5.00 and 5.12, though the rounds one by one favour Vine: it is the figure that
 * is shown that decides. */
static void the_ratio_that_is_shown_decides(void **state)
{
    const double here[] = {5.00, 5.60, 4.90, 4.95, 5.70}, vine[] = {5.60, 5.12, 4.85, 4.90, 5.55};
    char text[VERDICT_TEXT_MAX];

    (void)state;
    const double ratio = verdict_ratio(here, vine, COUNT(here));
    const enum verdict verdict = verdict_of(here, vine, COUNT(here), true);
    assert_int_equal(verdict, VERDICT_NEITHER);
    assert_string_equal(verdict_of_one(ratio, verdict, text),
                        "Hashing 4 KiB takes 1.02 times as long over Vine as here: "
                        "offloading one at a time neither pays nor costs.");
}

static void times_that_are_less_pay_and_rates_that_are_less_cost(void **state)
{
    const double here[] = {4.99, 5.00, 4.98}, less[] = {4.09, 4.10, 4.08};
    char text[VERDICT_TEXT_MAX];

    (void)state;
    assert_int_equal(verdict_of(here, less, COUNT(here), true), VERDICT_PAYS);
    assert_int_equal(verdict_of(less, here, COUNT(here), true), VERDICT_COSTS);
    assert_int_equal(verdict_of(here, less, COUNT(here), false), VERDICT_COSTS);
    assert_int_equal(verdict_of(less, here, COUNT(here), false), VERDICT_PAYS);
    assert_string_equal(verdict_of_one(verdict_ratio(here, less, 3), VERDICT_PAYS, text),
                        "Hashing 4 KiB takes 0.82 times as long over Vine as here: "
                        "offloading pays even one at a time.");
    assert_string_equal(verdict_of_one(verdict_ratio(less, here, 3), VERDICT_COSTS, text),
                        "Hashing 4 KiB takes 1.22 times as long over Vine as here: "
                        "for one such task at a time, offloading does not pay.");
    assert_string_equal(verdict_of_many(verdict_ratio(less, here, 3), VERDICT_PAYS, text),
                        "With many in flight an appliance hashes 1.22 times as many as this "
                        "thread alone: offloading pays.");
    assert_string_equal(verdict_of_many(verdict_ratio(here, less, 3), VERDICT_COSTS, text),
                        "With many in flight an appliance hashes 0.82 times as many as this "
                        "thread alone: it does not pay, unless this thread has better to do.");
}

static void a_twentieth_either_way_is_no_difference(void **state)
{
    const double here[] = {100}, more[] = {104.9}, less[] = {95.3}, much_more[] = {105.1},
                 much_less[] = {95.2};

    (void)state;
    for (int are_times = 0; are_times < 2; are_times++) {
        assert_int_equal(verdict_of(here, more, 1, are_times), VERDICT_NEITHER);
        assert_int_equal(verdict_of(here, less, 1, are_times), VERDICT_NEITHER);
    }
    assert_int_equal(verdict_of(here, much_more, 1, true), VERDICT_COSTS);
    assert_int_equal(verdict_of(here, much_less, 1, true), VERDICT_PAYS);
}

static void rounds_that_disagree_decide_nothing(void **state)
{
    const double here[] = {10, 10, 10, 10, 10}, two[] = {12, 12, 12, 9, 9},
                 one[] = {12, 12, 12, 12, 9};
    char text[VERDICT_TEXT_MAX];

    (void)state;
    assert_int_equal(verdict_of(here, two, COUNT(here), true), VERDICT_UNSURE);
    assert_int_equal(verdict_of(here, two, COUNT(here), false), VERDICT_UNSURE);
    assert_int_equal(verdict_of(here, one, COUNT(here), true), VERDICT_COSTS);
    assert_non_null(strstr(verdict_of_one(1.2, VERDICT_UNSURE, text), "the rounds disagree"));
    assert_non_null(strstr(verdict_of_many(1.2, VERDICT_UNSURE, text), "the rounds disagree"));
}

static void the_median_of_an_even_number_lies_between_two(void **state)
{
    const double values[] = {4, 1, 3, 2};

    (void)state;
    assert_true(verdict_median(values, 4) == 2.5);
    assert_true(verdict_median(values, 3) == 3);
}

/* A histogram says 5119 here. */
static void percentiles_of_times_are_exact(void **state)
{
    struct times *times = calloc(1, sizeof(*times));

    (void)state;
    assert_non_null(times);
    assert_int_equal(times_percentile(times, 500000), 0);
    for (uint64_t ns = 4990; ns <= 5010; ns++)
        times_record(times, ns);
    assert_int_equal(times_percentile(times, 500000), 5000);
    assert_int_equal(times_percentile(times, 990000), 5010);
    assert_int_equal(times_percentile(times, 1), 4990);
    times_clear(times);
    times_record(times, TIMES_EXACT_NS - 1);
    assert_int_equal(times_percentile(times, 500000), TIMES_EXACT_NS - 1);
    times_record(times, 10 * (uint64_t)TIMES_EXACT_NS); /* beyond: kept, in the histogram's way */
    assert_int_equal(times_percentile(times, 500000), TIMES_EXACT_NS - 1);
    assert_int_equal(times_percentile(times, 1000000), 10 * (uint64_t)TIMES_EXACT_NS);
    free(times);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_ratio_that_is_shown_decides),
        cmocka_unit_test(times_that_are_less_pay_and_rates_that_are_less_cost),
        cmocka_unit_test(a_twentieth_either_way_is_no_difference),
        cmocka_unit_test(rounds_that_disagree_decide_nothing),
        cmocka_unit_test(the_median_of_an_even_number_lies_between_two),
        cmocka_unit_test(percentiles_of_times_are_exact),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
