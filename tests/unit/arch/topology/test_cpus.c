/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Sets of processors: what is no list is refused, and what is one comes back as it was. */
#include "arch/topology/cpus.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "utils/tables.h"

static void what_is_no_list_is_refused_and_nothing_stored(void **state)
{
    static const char *const wrong[] = {"a",   "-1",   "1-",     "1,",  ",1",   "1,,2", "3-1",
                                        "1 2", "0x10", "1-2-3",  "1-a", " 1",   "1\n",  "+1",
                                        ",",   "-",    "8193-a", "1;2", "0-3:2"};
    (void)state;
    for (size_t i = 0; i < VINE_ARRAY_COUNT(wrong); i++) {
        struct vine__cpus cpus = {.words = {7}};
        if (vine__cpus_parse(wrong[i], &cpus) != -EINVAL)
            fail_msg("'%s' was taken", wrong[i]);
        assert_int_equal(cpus.words[0], 7);
    }
}

static void a_number_beyond_the_limit_is_out_of_range(void **state)
{
    static const char *const wrong[] = {
        "8192", "1,8192", "0-8192", "99999999999999999999", "4294967296", "4294967297-3"};
    (void)state;
    for (size_t i = 0; i < VINE_ARRAY_COUNT(wrong); i++) {
        struct vine__cpus cpus = {.words = {7}};
        assert_int_equal(vine__cpus_parse(wrong[i], &cpus), -ERANGE);
        assert_int_equal(cpus.words[0], 7);
    }
}

static void a_list_is_written_as_it_was_read(void **state)
{
    static const char *const same[] = {"0", "0-3", "0,2,4", "63-64", "0-8191", "5,7-9,4000-4001"};
    (void)state;
    for (size_t i = 0; i < VINE_ARRAY_COUNT(same); i++) {
        struct vine__cpus cpus;
        char text[VINE__CPUS_TEXT_BYTES];
        assert_int_equal(vine__cpus_parse(same[i], &cpus), 0);
        vine__cpus_format(&cpus, text, sizeof(text));
        assert_string_equal(text, same[i]);
    }
}

static void an_empty_list_is_the_empty_set(void **state)
{
    struct vine__cpus cpus = {.words = {7}};
    char text[16];
    (void)state;
    assert_int_equal(vine__cpus_parse("", &cpus), 0);
    assert_int_equal(vine__cpus_count(&cpus), 0);
    assert_int_equal(vine__cpus_next(&cpus, 0), VINE__CPUS_MAX);
    vine__cpus_format(&cpus, text, sizeof(text));
    assert_string_equal(text, "none");
}

static void lists_that_overlap_or_are_out_of_order_are_one_set(void **state)
{
    struct vine__cpus cpus;
    char text[32];
    (void)state;
    assert_int_equal(vine__cpus_parse("9,1-3,2-4,0", &cpus), 0);
    vine__cpus_format(&cpus, text, sizeof(text));
    assert_string_equal(text, "0-4,9");
    assert_int_equal(vine__cpus_count(&cpus), 6);
}

static void what_does_not_fit_ends_with_dots(void **state)
{
    struct vine__cpus cpus = {0};
    char text[16];
    (void)state;
    for (uint32_t cpu = 0; cpu < 40; cpu += 2)
        vine__cpus_add(&cpus, cpu);
    vine__cpus_format(&cpus, text, sizeof(text));
    assert_string_equal(text, "0,2,4,6,8,10...");
}

static void keeping_and_removing_divide_a_set(void **state)
{
    struct vine__cpus both, kept, removed;
    (void)state;
    assert_int_equal(vine__cpus_parse("0-9,100", &kept), 0);
    removed = kept;
    assert_int_equal(vine__cpus_parse("5-200", &both), 0);
    vine__cpus_keep(&kept, &both);
    vine__cpus_remove(&removed, &both);
    assert_int_equal(vine__cpus_count(&kept), 6);
    assert_int_equal(vine__cpus_count(&removed), 5);
    assert_true(vine__cpus_has(&kept, 100));
    assert_false(vine__cpus_has(&removed, 100));
    assert_false(vine__cpus_has(&kept, UINT32_MAX));
    assert_int_equal(vine__cpus_next(&kept, 10), 100);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_no_list_is_refused_and_nothing_stored),
        cmocka_unit_test(a_number_beyond_the_limit_is_out_of_range),
        cmocka_unit_test(a_list_is_written_as_it_was_read),
        cmocka_unit_test(an_empty_list_is_the_empty_set),
        cmocka_unit_test(lists_that_overlap_or_are_out_of_order_are_one_set),
        cmocka_unit_test(what_does_not_fit_ends_with_dots),
        cmocka_unit_test(keeping_and_removing_divide_a_set),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
