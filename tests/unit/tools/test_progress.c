/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
/*
 * The line that tells how far `vine run` is.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include <vine/base.h>

#include "../tools/human.h"
#include "../tools/progress.h"

/* 100 tasks, of which the last three took long. */
static void add_tasks(struct progress *progress, uint64_t most_ns, uint64_t last_ns)
{
    for (int i = 0; i < 97; i++)
        progress_task(progress, most_ns, 2 * most_ns);
    for (int i = 0; i < 3; i++)
        progress_task(progress, last_ns, 2 * last_ns);
}

static void the_line_tells_the_median_and_p99_of_both_times(void **state)
{
    struct progress progress;
    char line[PROGRESS_LINE_MAX];

    (void)state;
    progress_init(&progress, true);
    add_tasks(&progress, 16, 1 << 20);
    progress.files_done = 12000;
    progress.files_skipped = 345;
    progress.bytes_in = 400 * 1000 * 1000;
    progress.bytes_out = 9 * 1000 * 1000;
    assert_string_equal(
        progress_line(&progress, 2 * VINE_NS_PER_SECOND, 64, line),
        "12k files 200/4.5MB/s in/out 64 tasks p50/p99 wait 16ns/1.0ms run 32ns/2.1ms");
}

static void one_unit_is_enough_where_both_times_have_it(void **state)
{
    struct progress progress;
    char line[PROGRESS_LINE_MAX];

    (void)state;
    progress_init(&progress, true);
    progress_task(&progress, 20, 30);
    assert_string_equal(progress_line(&progress, VINE_NS_PER_SECOND, 1, line),
                        "0 files 0/0MB/s in/out 1 task p50/p99 wait 20/20ns run 30/30ns");
}

static void the_widest_line_fits_a_terminal(void **state)
{
    struct progress progress;
    char line[PROGRESS_LINE_MAX];

    (void)state;
    progress_init(&progress, true);
    add_tasks(&progress, 400 * 1000, 400 * 1000 * 1000);
    progress.files_done = 9999;
    progress.bytes_in = 999 * 1000 * 1000;
    progress.bytes_out = 998 * 1000 * 1000;
    assert_true(strlen(progress_line(&progress, VINE_NS_PER_SECOND, 99, line)) < 80);
}

static void brief_numbers_have_two_digits_that_say_something(void **state)
{
    char text[HUMAN_MAX];

    (void)state;
    assert_string_equal(human_ns_brief(0, text), "0ns");
    assert_string_equal(human_ns_brief(999, text), "999ns");
    assert_string_equal(human_ns_brief(1049, text), "1.0us");
    assert_string_equal(human_ns_brief(9960, text), "10us");
    assert_string_equal(human_ns_brief(999600, text), "1.0ms");
    assert_string_equal(human_ns_brief(5000000000, text), "5s");
    assert_string_equal(human_megabytes_brief(1234567890, text), "1235");
    assert_string_equal(human_count_brief(9999, text), "9999");
    assert_string_equal(human_count_brief(1250000, text), "1.2M");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_line_tells_the_median_and_p99_of_both_times),
        cmocka_unit_test(one_unit_is_enough_where_both_times_have_it),
        cmocka_unit_test(the_widest_line_fits_a_terminal),
        cmocka_unit_test(brief_numbers_have_two_digits_that_say_something),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
