/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=server */
/*
 * Answers, to the letter: what nine commands say by shapes alone, and the others by a status line.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "vmm/server/answer.h"

static char text[1024];

static void begin(struct vine__answer *answer)
{
    *answer = (struct vine__answer){.bytes = text, .room_bytes = sizeof(text) - 1};
}

static const char *ended(struct vine__answer *answer)
{
    assert_true(vine__answer_is_whole(answer));
    text[answer->size_bytes] = '\0';
    return text;
}

static const char *refused(uint32_t number, enum vine_server_error error, const char *detail)
{
    struct vine__answer answer;

    begin(&answer);
    vine__answer_refuse(&answer, vine__command_find(number), number, 1, error, detail);
    assert_true(answer.size_bytes <= VINE__ANSWER_ERROR_BYTES);
    return ended(&answer);
}

static void values_are_lines(void **state)
{
    struct vine__answer answer;

    (void)state;
    begin(&answer);
    vine__answer_begin(&answer, vine__command_find(1));
    vine__answer_integer(&answer, 31);
    assert_string_equal(ended(&answer), "1,1\n31\n");

    begin(&answer);
    vine__answer_begin(&answer, vine__command_find(4));
    vine__answer_text(&answer, "ab;cd");
    assert_string_equal(ended(&answer), "4,1\n5,ab;cd\n");

    begin(&answer);
    vine__answer_begin(&answer, vine__command_find(8));
    vine__answer_text(&answer, "");
    assert_string_equal(ended(&answer), "8,1\n0,\n");
}

static void a_status_line_is_first_from_10_on(void **state)
{
    struct vine__answer answer;

    (void)state;
    begin(&answer);
    vine__answer_begin(&answer, vine__command_find(11));
    vine__answer_text(&answer, "off");
    assert_string_equal(ended(&answer), "11,1\n0\n3,off\n");

    begin(&answer);
    vine__answer_begin(&answer, vine__command_find(102));
    vine__answer_integer(&answer, 2);
    assert_string_equal(ended(&answer), "102,1\n0\n2\n");

    begin(&answer);
    vine__answer_begin_event(&answer);
    vine__answer_integer(&answer, 1);
    assert_string_equal(ended(&answer), "22,1\n0\n1\n");
}

static void each_of_the_nine_has_its_own_shape_of_an_error(void **state)
{
    (void)state;
    assert_string_equal(refused(1, VINE_SERVER_E_DENIED, NULL), "1,1\n-1\n");
    assert_string_equal(refused(2, VINE_SERVER_E_DENIED, NULL), "2,1\n-1\n");
    assert_string_equal(refused(7, VINE_SERVER_E_DENIED, NULL), "7,1\n-1\n");
    assert_string_equal(refused(3, VINE_SERVER_E_NO_VM, NULL), "3,1\n19,error 5: no such VM\n");
    assert_string_equal(refused(5, VINE_SERVER_E_NO_VM, NULL), "5,1\n19,error 5: no such VM\n");
    assert_string_equal(refused(6, VINE_SERVER_E_FULL, "abcd"), "6,1\n15,error 12: abcd.\n");
    assert_string_equal(refused(6, VINE_SERVER_E_FULL, "abc"), "6,1\n13,error 12: abc\n");
    assert_string_equal(refused(9, VINE_SERVER_E_FAILED, "no /dev/kvm"),
                        "9,1\n21,error 13: no  dev kvm\n");
    assert_string_equal(refused(4, VINE_SERVER_E_FAILED, "a;b"), "4,1\n13,error 13: a b\n");
}

static void others_tell_a_number_and_a_text(void **state)
{
    (void)state;
    assert_string_equal(refused(11, VINE_SERVER_E_NO_VM, NULL), "11,1\n5,no such VM\n");
    assert_string_equal(refused(99, VINE_SERVER_E_UNKNOWN_COMMAND, NULL),
                        "99,1\n2,no such command\n");
    assert_string_equal(refused(103, VINE_SERVER_E_FAILED, "a;b/c"), "103,1\n13,a;b/c\n");
    assert_string_equal(refused(11, VINE_SERVER_E_FAILED, "one\nline\x7f"), "11,1\n13,one line \n");
}

/* The value behind the answer's first line. */
static const char *value_of(const char *answer, size_t *ret_size)
{
    const char *const line = strchr(answer, '\n') + 1;
    char *bytes;

    *ret_size = strtoul(line, &bytes, 10);
    assert_int_equal(*bytes, ',');
    bytes++;
    assert_int_equal(strlen(bytes), *ret_size + 1);
    assert_int_equal(bytes[*ret_size], '\n');
    return bytes;
}

/* Whatever the error and its text. */
static void no_error_is_like_a_success(void **state)
{
    static const char *const details[] = {
        NULL, "", "x", ";", "/", "a;/b", "{\"a\":1}", "00112233445566778899aabbccddeeff"};
    char large[600];

    (void)state;
    memset(large, ';', sizeof(large) - 1);
    large[sizeof(large) - 1] = '\0';
    for (int error = VINE_SERVER_E_MALFORMED; error <= VINE_SERVER_E_NO_CLIENT; error++)
        for (size_t i = 0; i <= sizeof(details) / sizeof(details[0]); i++) {
            const char *const detail =
                i < sizeof(details) / sizeof(details[0]) ? details[i] : large;

            for (uint32_t number = 3; number <= 9; number++) {
                size_t size;
                const char *value;

                if (number == 7)
                    continue;
                value = value_of(refused(number, (enum vine_server_error)error, detail), &size);
                if (number <= 5)
                    assert_null(memchr(value, ';', size));
                if (number == 6)
                    assert_int_equal(size % 2, 1);
                if (number == 9)
                    assert_null(memchr(value, '/', size));
                assert_true(size > 0);
                assert_memory_equal(value, "error ", 6);
            }
        }
}

static void json_in_a_list_has_no_raw_semicolon(void **state)
{
    static const char json[] = "{\"a\":\";;x;\"}";
    struct vine__answer answer = {.bytes = NULL};

    (void)state;
    vine__answer_json_piece(&answer, json, sizeof(json) - 1);
    assert_int_equal(answer.size_bytes, sizeof(json) - 1 + 3 * 5);
    assert_false(vine__answer_is_whole(&answer));
    begin(&answer);
    vine__answer_json_piece(&answer, json, sizeof(json) - 1);
    assert_string_equal(ended(&answer), "{\"a\":\"\\u003b\\u003bx\\u003b\"}");
}

static void what_does_not_fit_is_counted(void **state)
{
    (void)state;
    for (size_t room = 0; room <= 14; room++) {
        struct vine__answer answer = {.room_bytes = room};

        answer.bytes = malloc(room + 1);
        assert_non_null(answer.bytes);
        answer.bytes[room] = '#';
        vine__answer_begin(&answer, vine__command_find(4));
        vine__answer_text(&answer, "ab;cdef");
        assert_int_equal(answer.size_bytes, 14);
        assert_int_equal(vine__answer_is_whole(&answer), room == 14);
        assert_int_equal(answer.bytes[room], '#');
        assert_memory_equal(answer.bytes, "4,1\n7,ab;cdef\n", room);
        free(answer.bytes);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(values_are_lines),
        cmocka_unit_test(a_status_line_is_first_from_10_on),
        cmocka_unit_test(each_of_the_nine_has_its_own_shape_of_an_error),
        cmocka_unit_test(others_tell_a_number_and_a_text),
        cmocka_unit_test(no_error_is_like_a_success),
        cmocka_unit_test(json_in_a_list_has_no_raw_semicolon),
        cmocka_unit_test(what_does_not_fit_is_counted),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
