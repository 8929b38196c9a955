/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "unit/core/resp/resp_tests.h"

#include <math.h>
#include <stdbool.h>
#include <stdio.h>

#include <vine/resp.h>

#include "core/resp/number.h"

#define ROOM 256

static bool simple(struct vine_resp_writer *writer)
{
    return vine_resp_write_simple(writer, "OK");
}

static bool error(struct vine_resp_writer *writer)
{
    return vine_resp_write_error(writer, "ERR two\r\nlines");
}

static bool zero(struct vine_resp_writer *writer)
{
    return vine_resp_write_integer(writer, 0);
}

static bool ten(struct vine_resp_writer *writer)
{
    return vine_resp_write_integer(writer, 10);
}

static bool least(struct vine_resp_writer *writer)
{
    return vine_resp_write_integer(writer, INT64_MIN);
}

static bool greatest(struct vine_resp_writer *writer)
{
    return vine_resp_write_integer(writer, INT64_MAX);
}

static bool bulk(struct vine_resp_writer *writer)
{
    return vine_resp_write_bulk(writer, "a\r\nb", 4);
}

static bool empty(struct vine_resp_writer *writer)
{
    return vine_resp_write_bulk(writer, NULL, 0);
}

static bool null(struct vine_resp_writer *writer)
{
    return vine_resp_write_null(writer);
}

static bool null_array(struct vine_resp_writer *writer)
{
    return vine_resp_write_null_array(writer);
}

static bool yes(struct vine_resp_writer *writer)
{
    return vine_resp_write_boolean(writer, true);
}

static bool no(struct vine_resp_writer *writer)
{
    return vine_resp_write_boolean(writer, false);
}

static bool half(struct vine_resp_writer *writer)
{
    return vine_resp_write_double(writer, 0.5);
}

static bool big(struct vine_resp_writer *writer)
{
    return vine_resp_write_big_number(writer, "-123456789012345678901", 22);
}

static bool verbatim(struct vine_resp_writer *writer)
{
    return vine_resp_write_verbatim(writer, "mkd", "*hi*", 4);
}

static bool array(struct vine_resp_writer *writer)
{
    return vine_resp_write_array(writer, 12);
}

static bool map(struct vine_resp_writer *writer)
{
    return vine_resp_write_map(writer, 2);
}

static bool set(struct vine_resp_writer *writer)
{
    return vine_resp_write_set(writer, 2);
}

static bool push(struct vine_resp_writer *writer)
{
    return vine_resp_write_push(writer, 2);
}

static const struct {
    bool (*write)(struct vine_resp_writer *writer);
    const char *in_2, *in_3;
} values[] = {
    {simple, "+OK\r\n", "+OK\r\n"},
    {error, "-ERR two  lines\r\n", "-ERR two  lines\r\n"},
    {zero, ":0\r\n", ":0\r\n"},
    {ten, ":10\r\n", ":10\r\n"},
    {least, ":-9223372036854775808\r\n", ":-9223372036854775808\r\n"},
    {greatest, ":9223372036854775807\r\n", ":9223372036854775807\r\n"},
    {bulk, "$4\r\na\r\nb\r\n", "$4\r\na\r\nb\r\n"},
    {empty, "$0\r\n\r\n", "$0\r\n\r\n"},
    {null, "$-1\r\n", "_\r\n"},
    {null_array, "*-1\r\n", "_\r\n"},
    {yes, ":1\r\n", "#t\r\n"},
    {no, ":0\r\n", "#f\r\n"},
    {half, "$3\r\n0.5\r\n", ",0.5\r\n"},
    {big, "$22\r\n-123456789012345678901\r\n", "(-123456789012345678901\r\n"},
    {verbatim, "$4\r\n*hi*\r\n", "=8\r\nmkd:*hi*\r\n"},
    {array, "*12\r\n", "*12\r\n"},
    {map, "*4\r\n", "%2\r\n"},
    {set, "*2\r\n", "~2\r\n"},
    {push, "*2\r\n", ">2\r\n"},
};

#define VALUES (sizeof(values) / sizeof(values[0]))

static const char *in(size_t n, uint8_t protocol)
{
    return protocol == 2 ? values[n].in_2 : values[n].in_3;
}

static void without_room_for_all_of_it_nothing_is_written(void **state)
{
    (void)state;

    for (size_t n = 0; n < VALUES; n++) {
        for (uint8_t protocol = 2; protocol <= 3; protocol++) {
            const size_t size = strlen(in(n, protocol));

            for (size_t room = 0; room < size; room++) {
                struct vine_resp_writer writer;
                char *const bytes = malloc(room > 0 ? room : 1);

                memset(bytes, '!', room);
                vine_resp_writer_init(&writer, bytes, room, protocol);
                assert_false(values[n].write(&writer));
                assert_true(writer.is_full);
                assert_int_equal(writer.size_bytes, 0);
                for (size_t at = 0; at < room; at++)
                    assert_int_equal(bytes[at], '!');
                free(bytes);
            }
        }
    }
}

static void values_are_written_in_both_protocols(void **state)
{
    (void)state;

    for (size_t n = 0; n < VALUES; n++) {
        for (uint8_t protocol = 2; protocol <= 3; protocol++) {
            const size_t size = strlen(in(n, protocol));
            struct vine_resp_writer writer;
            char *const bytes = malloc(size);

            vine_resp_writer_init(&writer, bytes, size, protocol);
            assert_true(values[n].write(&writer));
            assert_int_equal(writer.size_bytes, size);
            assert_memory_equal(bytes, in(n, protocol), size);
            assert_int_equal(vine_resp_writer_room(&writer), 0);
            assert_false(writer.is_full);
            free(bytes);
        }
    }
}

static void a_full_writer_takes_nothing_until_it_is_drained(void **state)
{
    struct vine_resp_writer writer;
    char bytes[6];
    (void)state;

    vine_resp_writer_init(&writer, bytes, sizeof(bytes), 2);
    assert_false(bulk(&writer));
    assert_false(simple(&writer)); /* which would fit */
    assert_int_equal(vine_resp_writer_room(&writer), 0);
    vine_resp_writer_drain(&writer);
    assert_true(simple(&writer));
    assert_int_equal(writer.size_bytes, 5);
}

static void a_bulk_goes_out_in_pieces(void **state)
{
    static const char text[] = "a value that is larger than the room for it";
    (void)state;

    for (size_t room = 6; room < sizeof(text) + 10; room++) {
        char bytes[64], whole[ROOM];
        struct vine_resp_writer writer;
        size_t done = 0, size = 0;

        vine_resp_writer_init(&writer, bytes, room, 3);
        assert_true(vine_resp_write_bulk_begin(&writer, sizeof(text)));
        while (done < sizeof(text)) {
            const size_t taken = vine_resp_write_piece(&writer, text + done, sizeof(text) - done);

            assert_true(taken == sizeof(text) - done || vine_resp_writer_room(&writer) == 0);
            done += taken;
            memcpy(whole + size, bytes, writer.size_bytes);
            size += writer.size_bytes;
            vine_resp_writer_drain(&writer);
        }
        assert_true(vine_resp_write_bulk_end(&writer));
        memcpy(whole + size, bytes, writer.size_bytes);
        size += writer.size_bytes;
        assert_int_equal(size, 5 + sizeof(text) + 2);
        assert_memory_equal(whole, "$44\r\n", 5);
        assert_memory_equal(whole + 5, text, sizeof(text));
        assert_memory_equal(whole + 5 + sizeof(text), "\r\n", 2);
    }
}

static const struct {
    double number;
    const char *text;
} doubles[] = {
    {0, "0"},
    {-0.0, "-0"},
    {1, "1"},
    {-1.5, "-1.5"},
    {0.1, "0.1"},
    {0.1 + 0.2, "0.30000000000000004"},
    {1e21, "1e+21"},
    {5e-324, "4.94065645841247e-324"},
    {1.7976931348623157e308, "1.7976931348623157e+308"},
    {3.141592653589793, "3.141592653589793"},
    {HUGE_VAL, "inf"},
    {-HUGE_VAL, "-inf"},
};

static void a_double_is_written_in_the_digits_that_it_needs(void **state)
{
    struct vine_resp_writer writer;
    char bytes[64] = {0};
    (void)state;

    for (size_t n = 0; n < sizeof(doubles) / sizeof(doubles[0]); n++) {
        char expected[64];

        memset(bytes, 0, sizeof(bytes));
        vine_resp_writer_init(&writer, bytes, sizeof(bytes) - 1, 3);
        assert_true(vine_resp_write_double(&writer, doubles[n].number));
        (void)snprintf(expected, sizeof(expected), ",%s\r\n", doubles[n].text);
        assert_string_equal(bytes, expected);
    }
    memset(bytes, 0, sizeof(bytes));
    vine_resp_writer_init(&writer, bytes, sizeof(bytes) - 1, 3);
    assert_true(vine_resp_write_double(&writer, NAN));
    assert_string_equal(bytes, ",nan\r\n");
}

static void the_point_of_any_locale_is_a_point(void **state)
{
    static const char *const texts[][2] = {
        {"-1,5e+20", "-1.5e+20"},
        {"1\xd9\xab"
         "5",
         "1.5"},
        {"0.25", "0.25"},
        {"12", "12"},
    };
    (void)state;

    for (size_t n = 0; n < sizeof(texts) / sizeof(texts[0]); n++) {
        char text[16];

        (void)snprintf(text, sizeof(text), "%s", texts[n][0]);
        assert_int_equal(vine__resp_pointed(text), strlen(texts[n][1]));
        assert_string_equal(text, texts[n][1]);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_room_for_all_of_it_nothing_is_written),
        cmocka_unit_test(values_are_written_in_both_protocols),
        cmocka_unit_test(a_full_writer_takes_nothing_until_it_is_drained),
        cmocka_unit_test(a_bulk_goes_out_in_pieces),
        cmocka_unit_test(a_double_is_written_in_the_digits_that_it_needs),
        cmocka_unit_test(the_point_of_any_locale_is_a_point),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
