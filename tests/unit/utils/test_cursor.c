/* SPDX-License-Identifier: Apache-2.0 */
#include "utils/cursor.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

static void a_read_beyond_the_end_gives_zeros_and_fails_for_good(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2, 3};
    struct vine__cursor cursor = vine__cursor_of(bytes, sizeof(bytes));
    assert_int_equal(vine__cursor_u32(&cursor), 0);
    assert_true(vine__cursor_has_failed(&cursor));
    assert_int_equal(vine__cursor_u8(&cursor), 0);
    assert_int_equal(vine__cursor_left(&cursor), 0);
    assert_int_equal(vine__cursor_finish(&cursor), -EBADMSG);
    assert_int_equal(vine__cursor_check(&cursor), -EBADMSG);
}

static void a_size_that_would_wrap_is_refused(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2, 3};
    struct vine__cursor cursor = vine__cursor_of(bytes, sizeof(bytes));
    assert_int_equal(vine__cursor_u8(&cursor), 1);
    assert_null(vine__cursor_take(&cursor, SIZE_MAX));
    assert_int_equal(vine__cursor_finish(&cursor), -EBADMSG);
}

static void an_empty_message_has_nothing_and_is_whole(void **state)
{
    (void)state;
    struct vine__cursor cursor = vine__cursor_of(NULL, 0);
    assert_non_null(vine__cursor_take(&cursor, 0));
    assert_int_equal(vine__cursor_finish(&cursor), 0);
    assert_int_equal(vine__cursor_u8(&cursor), 0);
    assert_int_equal(vine__cursor_finish(&cursor), -EBADMSG);
}

static void bytes_that_are_left_over_are_a_failure_at_the_end(void **state)
{
    (void)state;
    const uint8_t bytes[] = {1, 2, 3};
    struct vine__cursor cursor = vine__cursor_of(bytes, sizeof(bytes));
    vine__cursor_skip(&cursor, 2);
    assert_int_equal(vine__cursor_finish(&cursor), -EBADMSG);
    assert_int_equal(vine__cursor_check(&cursor), 0);
    assert_int_equal(vine__cursor_u8(&cursor), 3);
    assert_int_equal(vine__cursor_finish(&cursor), 0);
}

static void a_text_that_does_not_fit_or_has_a_nul_is_a_failure(void **state)
{
    (void)state;
    char text[4] = "???";
    const uint8_t too_long[] = {4, 0, 'a', 'b', 'c', 'd'};
    struct vine__cursor cursor = vine__cursor_of(too_long, sizeof(too_long));
    vine__cursor_text(&cursor, text, sizeof(text));
    assert_int_equal(vine__cursor_finish(&cursor), -EBADMSG);
    assert_string_equal(text, "");

    const uint8_t with_nul[] = {3, 0, 'a', 0, 'c'};
    cursor = vine__cursor_of(with_nul, sizeof(with_nul));
    vine__cursor_text(&cursor, text, sizeof(text));
    assert_int_equal(vine__cursor_finish(&cursor), -EBADMSG);
    assert_string_equal(text, "");

    const uint8_t cut[] = {3, 0, 'a', 'b'};
    cursor = vine__cursor_of(cut, sizeof(cut));
    vine__cursor_text(&cursor, text, sizeof(text));
    assert_int_equal(vine__cursor_finish(&cursor), -EBADMSG);
    assert_string_equal(text, "");
}

static void room_that_is_not_zero_is_a_failure(void **state)
{
    (void)state;
    const uint8_t bytes[] = {0, 0, 1, 0};
    struct vine__cursor cursor = vine__cursor_of(bytes, sizeof(bytes));
    vine__cursor_zeros(&cursor, 2);
    assert_int_equal(vine__cursor_check(&cursor), 0);
    vine__cursor_zeros(&cursor, 2);
    assert_int_equal(vine__cursor_check(&cursor), -EBADMSG);
}

static void a_writer_that_is_full_fails_for_good_and_writes_no_part(void **state)
{
    (void)state;
    uint8_t bytes[6] = {9, 9, 9, 9, 9, 9};
    size_t size = 77;
    struct vine__writer writer = vine__writer_of(bytes, 3);
    vine__writer_u16(&writer, 0x0201);
    vine__writer_u16(&writer, 0x0403);
    vine__writer_u8(&writer, 5);
    assert_int_equal(vine__writer_finish(&writer, &size), -ENOBUFS);
    assert_int_equal(size, 77);
    assert_memory_equal(bytes, ((const uint8_t[]){1, 2, 9, 9, 9, 9}), 6);
}

static void what_is_written_is_read_back_little_endian(void **state)
{
    (void)state;
    uint8_t bytes[64];
    size_t size = 0;
    struct vine__writer writer = vine__writer_of(bytes, sizeof(bytes));
    vine__writer_u8(&writer, 0x01);
    vine__writer_u16(&writer, 0x0203);
    vine__writer_u32(&writer, 0x04050607);
    vine__writer_u64(&writer, 0x08090a0b0c0d0e0f);
    vine__writer_zeros(&writer, 3);
    vine__writer_text(&writer, "vine");
    vine__writer_text(&writer, "");
    assert_int_equal(vine__writer_finish(&writer, &size), 0);
    assert_int_equal(size, 1 + 2 + 4 + 8 + 3 + 6 + 2);
    assert_memory_equal(bytes, ((const uint8_t[]){1, 3, 2, 7, 6, 5, 4, 15, 14}), 9);

    char text[5];
    struct vine__cursor cursor = vine__cursor_of(bytes, size);
    assert_int_equal(vine__cursor_u8(&cursor), 0x01);
    assert_int_equal(vine__cursor_u16(&cursor), 0x0203);
    assert_int_equal(vine__cursor_u32(&cursor), 0x04050607);
    assert_true(vine__cursor_u64(&cursor) == 0x08090a0b0c0d0e0f);
    vine__cursor_zeros(&cursor, 3);
    vine__cursor_text(&cursor, text, sizeof(text));
    assert_string_equal(text, "vine");
    vine__cursor_text(&cursor, text, sizeof(text));
    assert_string_equal(text, "");
    assert_int_equal(vine__cursor_finish(&cursor), 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_read_beyond_the_end_gives_zeros_and_fails_for_good),
        cmocka_unit_test(a_size_that_would_wrap_is_refused),
        cmocka_unit_test(an_empty_message_has_nothing_and_is_whole),
        cmocka_unit_test(bytes_that_are_left_over_are_a_failure_at_the_end),
        cmocka_unit_test(a_text_that_does_not_fit_or_has_a_nul_is_a_failure),
        cmocka_unit_test(room_that_is_not_zero_is_a_failure),
        cmocka_unit_test(a_writer_that_is_full_fails_for_good_and_writes_no_part),
        cmocka_unit_test(what_is_written_is_read_back_little_endian),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
