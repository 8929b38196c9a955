/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <string.h>

static void unknown_numbers_have_a_text_and_no_name(void **state)
{
    (void)state;
    const int unknown[] = {999, 1000, -1000, 1900, -1900, 100000, -100000, INT_MAX, INT_MIN};
    for (size_t i = 0; i < sizeof(unknown) / sizeof(unknown[0]); i++) {
        assert_string_equal(vine_error_name(unknown[i]), "?");
        assert_string_equal(vine_error_text(unknown[i]), "unknown error");
    }
}

static void each_number_of_the_table_has_its_name_and_text_in_either_sign(void **state)
{
    (void)state;
#define CHECK(name, number, text)                                                                  \
    assert_string_equal(vine_error_name(number), #name);                                           \
    assert_string_equal(vine_error_name(-(number)), #name);                                        \
    assert_string_equal(vine_error_text(number), text);                                            \
    assert_string_equal(vine_error_text(-(number)), text);
    VINE_ERRORS(CHECK)
#undef CHECK
}

static void texts_are_sentences_without_a_full_stop(void **state)
{
    (void)state;
#define CHECK(name, number, text)                                                                  \
    assert_true(strlen(text) > 5);                                                                 \
    assert_int_not_equal((text)[strlen(text) - 1], '.');                                           \
    assert_null(strchr(text, '\n'));
    VINE_ERRORS(CHECK)
#undef CHECK
}

static void numbers_of_the_system_have_the_system_s_names(void **state)
{
    (void)state;
    assert_string_equal(vine_error_name(-EAGAIN), "EAGAIN");
    assert_string_equal(vine_error_name(ENOENT), "ENOENT");
    assert_string_equal(vine_error_text(-ENOENT), "No such file or directory");
}

static void zero_is_no_error(void **state)
{
    (void)state;
    assert_string_equal(vine_error_name(0), "OK");
    assert_string_equal(vine_error_text(0), "no error");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(unknown_numbers_have_a_text_and_no_name),
        cmocka_unit_test(each_number_of_the_table_has_its_name_and_text_in_either_sign),
        cmocka_unit_test(texts_are_sentences_without_a_full_stop),
        cmocka_unit_test(numbers_of_the_system_have_the_system_s_names),
        cmocka_unit_test(zero_is_no_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
