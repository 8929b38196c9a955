/* SPDX-License-Identifier: Apache-2.0 */
/* Options on the kernel's command line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <string.h>

#include "arch/guest/guest.h"

static void what_is_not_there_is_not_found(void **state)
{
    char value[16] = "untouched";

    (void)state;
    assert_false(vine__guest_option("", "vine.status=", 0, value, sizeof value));
    assert_false(vine__guest_option(" \t\n ", "vine.status=", 0, value, sizeof value));
    assert_false(vine__guest_option("quiet vine.status", "vine.status=", 0, value, sizeof value));
    assert_false(vine__guest_option("xvine.status=1", "vine.status=", 0, value, sizeof value));
    assert_false(vine__guest_option("vine.statu", "vine.status=", 0, value, sizeof value));
    assert_string_equal(value, "untouched");
}

static void an_option_within_a_word_is_none(void **state)
{
    char value[16] = "";

    (void)state;
    assert_true(
        vine__guest_option("init=vine.link=1 vine.link=2", "vine.link=", 0, value, sizeof value));
    assert_string_equal(value, "2");
}

static void an_option_ends_at_white_space(void **state)
{
    char value[16] = "";

    (void)state;
    assert_true(vine__guest_option("quiet vine.status=0000:00:02.0 ro\n", "vine.status=", 0, value,
                                   sizeof value));
    assert_string_equal(value, "0000:00:02.0");
    assert_true(
        vine__guest_option("vine.status=0000:00:02.0\n", "vine.status=", 0, value, sizeof value));
    assert_string_equal(value, "0000:00:02.0");
    assert_true(vine__guest_option("a\tvine.status=x\tb", "vine.status=", 0, value, sizeof value));
    assert_string_equal(value, "x");
}

static void an_empty_value_is_a_value(void **state)
{
    char value[16] = "untouched";

    (void)state;
    assert_true(vine__guest_option("vine.status=", "vine.status=", 0, value, sizeof value));
    assert_string_equal(value, "");
}

static void options_of_one_name_are_counted(void **state)
{
    static const char line[] = "vine.link=a,appliance,0 quiet vine.link=b,application,1";
    char value[32] = "";

    (void)state;
    assert_true(vine__guest_option(line, "vine.link=", 0, value, sizeof value));
    assert_string_equal(value, "a,appliance,0");
    assert_true(vine__guest_option(line, "vine.link=", 1, value, sizeof value));
    assert_string_equal(value, "b,application,1");
    assert_false(vine__guest_option(line, "vine.link=", 2, value, sizeof value));
}

static void a_value_is_cut_off_where_its_room_ends(void **state)
{
    char value[9];

    (void)state;
    memset(value, 'x', sizeof value);
    assert_true(vine__guest_option("vine.status=0123456789", "vine.status=", 0, value, 8));
    assert_string_equal(value, "0123456");
    assert_int_equal(value[8], 'x');
    assert_true(vine__guest_option("vine.status=0123456", "vine.status=", 0, value, 8));
    assert_string_equal(value, "0123456");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_not_there_is_not_found),
        cmocka_unit_test(an_option_within_a_word_is_none),
        cmocka_unit_test(an_option_ends_at_white_space),
        cmocka_unit_test(an_empty_value_is_a_value),
        cmocka_unit_test(options_of_one_name_are_counted),
        cmocka_unit_test(a_value_is_cut_off_where_its_room_ends),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
