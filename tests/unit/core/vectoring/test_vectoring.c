/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* The bytes of a socket: what came, what goes out, and rings, which are compared with a plain
 * array. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "core/vectoring/vectoring.h"

static bool is_line;

/* ---- what came, and what goes out ------------------------------------------------------------ */

static struct vine__incoming came(const char *text)
{
    return (struct vine__incoming){.bytes = (const unsigned char *)text,
                                   .size = (uint32_t)strlen(text)};
}

static void nothing_is_taken_of_nothing(void **state)
{
    struct vine__incoming incoming = {.bytes = NULL};
    struct vine__ring ring = {.bytes = NULL};
    char bytes[4];
    (void)state;

    assert_int_equal(vine__incoming_take(&incoming, bytes, sizeof(bytes)), 0);
    assert_int_equal(vine__incoming_line(&incoming, bytes, sizeof(bytes), &is_line), 0);
    assert_false(is_line);
    assert_int_equal(vine__ring_take(&ring, bytes, sizeof(bytes)), 0);
    assert_int_equal(vine__ring_line(&ring, bytes, sizeof(bytes), &is_line), 0);
    assert_false(is_line);
    assert_int_equal(vine__ring_put(&ring, "text", 4), 0);
}

static void no_more_is_taken_than_there_is_or_is_wanted(void **state)
{
    struct vine__incoming incoming = came("abcdef");
    char bytes[8];
    (void)state;

    assert_int_equal(vine__incoming_take(&incoming, bytes, 4), 4);
    assert_memory_equal(bytes, "abcd", 4);
    assert_int_equal(vine__incoming_left(&incoming), 2);
    assert_int_equal(vine__incoming_take(&incoming, bytes, sizeof(bytes)), 2);
    assert_memory_equal(bytes, "ef", 2);
    assert_int_equal(vine__incoming_take(&incoming, bytes, sizeof(bytes)), 0);
}

static void a_line_ends_with_its_newline_or_where_there_is_no_room(void **state)
{
    struct vine__incoming incoming = came("one\ntwo\nrest");
    char bytes[16];
    (void)state;

    assert_int_equal(vine__incoming_line(&incoming, bytes, 3, &is_line), 3);
    assert_false(is_line);
    assert_int_equal(vine__incoming_line(&incoming, bytes, sizeof(bytes), &is_line), 1);
    assert_true(is_line && bytes[0] == '\n');
    assert_int_equal(vine__incoming_line(&incoming, bytes, 4, &is_line), 4);
    assert_true(is_line);
    assert_memory_equal(bytes, "two\n", 4);
    assert_int_equal(vine__incoming_line(&incoming, bytes, sizeof(bytes), &is_line), 4);
    assert_false(is_line);
    assert_memory_equal(bytes, "rest", 4);
}

static void no_more_goes_out_than_there_is_room_for(void **state)
{
    unsigned char block[5] = "....!";
    struct vine__outgoing outgoing = {.bytes = block, .room = 4};
    (void)state;

    assert_int_equal(vine__outgoing_put(&outgoing, "abc", 3), 3);
    assert_int_equal(vine__outgoing_put(&outgoing, "def", 3), 1);
    assert_int_equal(vine__outgoing_put(&outgoing, "g", 1), 0);
    assert_memory_equal(block, "abcd!", 5);
}

/* ---- rings ----------------------------------------------------------------------------------- */

static void a_line_is_found_around_the_end(void **state)
{
    unsigned char memory[8];
    char bytes[8];
    (void)state;

    /* Its newline lies at each place of the ring by turns. */
    for (uint32_t at = 0; at < sizeof(memory); at++) {
        struct vine__ring ring = {.bytes = memory, .room = sizeof(memory), .at = at};

        assert_int_equal(vine__ring_put(&ring, "abc\nde", 6), 6);
        assert_int_equal(vine__ring_line(&ring, bytes, sizeof(bytes), &is_line), 4);
        assert_true(is_line);
        assert_memory_equal(bytes, "abc\n", 4);
        assert_int_equal(vine__ring_line(&ring, bytes, sizeof(bytes), &is_line), 2);
        assert_false(is_line);
        assert_memory_equal(bytes, "de", 2);
    }
}

/* A ring and an array that have to have the same. */
static unsigned char pairs[2][64];
static struct vine__ring ring;
static unsigned char model[64];
static uint32_t model_size, memory_used;
static uint64_t seed;

static uint32_t any(uint32_t below)
{
    seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
    return (uint32_t)(seed >> 33) % below;
}

static void put_some(void)
{
    const uint32_t left = ring.room - ring.size;
    unsigned char bytes[64];
    uint32_t size = any(sizeof(bytes) + 1);

    for (uint32_t i = 0; i < size; i++)
        bytes[i] = any(6) == 0 ? '\n' : (unsigned char)('a' + any(26));

    const size_t done = vine__ring_put(&ring, bytes, size);

    assert_int_equal(done, size < left ? size : left);
    memcpy(model + model_size, bytes, done);
    model_size += (uint32_t)done;
}

static void expect_taken(const unsigned char *bytes, size_t size)
{
    assert_true(size <= model_size);
    assert_memory_equal(bytes, model, size);
    model_size -= (uint32_t)size;
    memmove(model, model + size, model_size);
}

static void take_some(void)
{
    const uint32_t size = any(64);
    unsigned char bytes[64];
    const size_t taken = vine__ring_take(&ring, bytes, size);

    assert_int_equal(taken, size < model_size ? size : model_size);
    expect_taken(bytes, taken);
}

static void take_a_line(void)
{
    const uint32_t size = any(64);
    const uint32_t all = size < model_size ? size : model_size;
    const unsigned char *const newline = memchr(model, '\n', all);
    unsigned char bytes[64];
    const size_t taken = vine__ring_line(&ring, (char *)bytes, size, &is_line);

    assert_int_equal(is_line, newline != NULL);
    assert_int_equal(taken, newline != NULL ? newline - model + 1 : all);
    expect_taken(bytes, taken);
}

/* To larger memory or to as much, whatever lies in it. */
static void move_it(void)
{
    uint32_t room = 8;

    while (room < ring.size || (room < 64 && any(2) == 0))
        room *= 2;
    memory_used ^= 1;
    memset(pairs[memory_used], '?', sizeof(pairs[0]));
    vine__ring_move(&ring, pairs[memory_used], room);
}

static void a_ring_has_what_was_put_in_its_order_wherever_it_lies(void **state)
{
    (void)state;
    seed = 20261122;
    ring = (struct vine__ring){.bytes = pairs[0], .room = 8};
    for (uint32_t i = 0; i < 100000; i++) {
        switch (any(4)) {
        case 0:
            take_some();
            break;
        case 1:
            take_a_line();
            break;
        case 2:
            put_some();
            break;
        default:
            if (any(8) == 0)
                move_it();
            break;
        }
        assert_true(ring.size == model_size && ring.size <= ring.room);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nothing_is_taken_of_nothing),
        cmocka_unit_test(no_more_is_taken_than_there_is_or_is_wanted),
        cmocka_unit_test(a_line_ends_with_its_newline_or_where_there_is_no_room),
        cmocka_unit_test(no_more_goes_out_than_there_is_room_for),
        cmocka_unit_test(a_line_is_found_around_the_end),
        cmocka_unit_test(a_ring_has_what_was_put_in_its_order_wherever_it_lies),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
