/* SPDX-License-Identifier: Apache-2.0 */
/* Who is told of which pipes, and how many that are over are kept. */
#include <stdlib.h>
#include <string.h>

#include "harness/cmocka.h"

#include <vine/error.h>

#include "core/talk/appliance_internal.h"

#define PIPES 8

static struct vine__roll roll;
static struct vine__served *pipes;
static struct vine_half_layout theirs;

static void start(void)
{
    memset(&roll, 0, sizeof roll);
    vine__roll_init(&roll);
    pipes = aligned_alloc(VINE_CACHE_LINE, PIPES * sizeof *pipes);
    assert_non_null(pipes);
    memset(pipes, 0, PIPES * sizeof *pipes);
    for (uint32_t i = 0; i < PIPES; i++) {
        pipes[i].number = i + 1;
        pipes[i].mirror.layout = &theirs;
        pipes[i].agreement.peer_uid = 1000 + i % 2; /* two users in turn */
    }
}

static void stop(void)
{
    vine__roll_fini(&roll);
    free(pipes);
}

/* All that this one is told, `at_once` a page. */
static uint32_t read_all(const struct vine__roll_reader *reader, struct vine_wire_pipe *ret,
                         uint32_t at_once)
{
    uint64_t cursor = 0;
    uint32_t found = 0;

    do
        found += vine__roll_read(&roll, reader, ret + found, at_once, &cursor);
    while (cursor != 0);
    return found;
}

static void another_user_is_told_of_its_own_pipes_alone(void **state)
{
    (void)state;
    struct vine_wire_pipe told[2 * PIPES];

    start();
    for (uint32_t i = 0; i < PIPES; i++)
        vine__roll_open(&roll, &pipes[i]);
    vine__roll_close(&roll, &pipes[2], 0, "");
    vine__roll_close(&roll, &pipes[3], -VINE_EPEERLOST, "its process has ended");

    struct vine__roll_reader reader = {&pipes[0], false};

    for (uint32_t at_once = 1; at_once <= PIPES; at_once++) {
        assert_int_equal(read_all(&reader, told, at_once), PIPES / 2);
        for (uint32_t i = 0; i < PIPES / 2; i++)
            assert_int_equal(told[i].uid, 1000);
    }
    reader.sees_all = true;
    for (uint32_t at_once = 1; at_once <= PIPES; at_once++)
        assert_int_equal(read_all(&reader, told, at_once), PIPES);
    stop();
}

/* Two that nobody vouches for are not one user. */
static void who_is_nobodys_user_is_told_of_its_own_pipe(void **state)
{
    (void)state;
    struct vine_wire_pipe told[PIPES];

    start();
    for (uint32_t i = 0; i < 3; i++) {
        pipes[i].agreement.peer_uid = VINE__UID_UNKNOWN;
        vine__roll_open(&roll, &pipes[i]);
    }

    const struct vine__roll_reader reader = {&pipes[1], false};

    assert_int_equal(read_all(&reader, told, PIPES), 1);
    assert_int_equal(told[0].number, 2);
    assert_int_equal(told[0].flags, VINE_WIRE_PIPE_OWN);
    stop();
}

static void the_last_ones_that_are_over_are_kept_and_the_oldest_goes(void **state)
{
    (void)state;
    static struct vine_wire_pipe told[2 * VINE__ROLL_CLOSED];

    start();
    for (uint32_t i = 0; i < VINE__ROLL_CLOSED + 10; i++) {
        pipes[0].number = i + 1;
        vine__roll_open(&roll, &pipes[0]);
        vine__roll_close(&roll, &pipes[0], -VINE_EPROTOCOL, "a\x1b[31m sentence");
    }

    const struct vine__roll_reader reader = {&pipes[1], true};

    assert_int_equal(read_all(&reader, told, 7), VINE__ROLL_CLOSED);
    for (uint32_t i = 0; i < VINE__ROLL_CLOSED; i++) {
        assert_int_equal(told[i].number, i + 11);
        assert_int_equal(told[i].error, VINE_EPROTOCOL);
        assert_string_equal(told[i].reason, "a?[31m sentence");
    }
    stop();
}

/* It is a number of whoever asks. */
static void any_cursor_is_answered(void **state)
{
    (void)state;
    static const uint64_t cursors[] = {1,          2,         3,
                                       UINT64_MAX, INT64_MAX, UINT64_C(1) << 63,
                                       UINT32_MAX, 0xffffULL, (UINT64_C(1) << 63) + 1};
    struct vine_wire_pipe told[PIPES];

    start();
    for (uint32_t i = 0; i < PIPES; i++)
        vine__roll_open(&roll, &pipes[i]);
    vine__roll_close(&roll, &pipes[0], 0, "");

    const struct vine__roll_reader reader = {&pipes[1], true};

    for (size_t i = 0; i < sizeof cursors / sizeof cursors[0]; i++)
        for (uint32_t count = 0; count <= PIPES; count++) {
            uint64_t cursor = cursors[i];

            assert_in_range(vine__roll_read(&roll, &reader, told, count, &cursor), 0, count);
        }
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(another_user_is_told_of_its_own_pipes_alone),
        cmocka_unit_test(who_is_nobodys_user_is_told_of_its_own_pipe),
        cmocka_unit_test(the_last_ones_that_are_over_are_kept_and_the_oldest_goes),
        cmocka_unit_test(any_cursor_is_answered),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
