/* SPDX-License-Identifier: Apache-2.0 */
/* Whose job workers take next. What jobs cost the test says, so that no clock decides. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/talk/turns.h"

#define PIPES_MAX 1000

static struct vine__turns turns;
static struct vine__turn pipes[PIPES_MAX];
static uint64_t had[PIPES_MAX]; /* time */
static uint32_t jobs[PIPES_MAX];

static void begin(uint32_t count, uint32_t shares)
{
    vine__turns_init(&turns);
    for (uint32_t i = 0; i < count; i++) {
        pipes[i] = (struct vine__turn){.shares = shares};
        had[i] = jobs[i] = 0;
        vine__turns_wait(&turns, &pipes[i]);
    }
}

/* A worker takes the next job of all these pipes, which have more. Returns whose it was. */
static uint32_t work(const uint64_t *cost)
{
    struct vine__turn *turn = vine__turns_next(&turns);
    const uint32_t index = (uint32_t)(turn - pipes);
    const uint64_t counted = vine__turns_take(turn);

    vine__turns_wait(&turns, turn);
    vine__turns_pay(&turns, turn, counted, cost[index]);
    had[index] += cost[index];
    jobs[index]++;
    return index;
}

static void nobody_is_next_where_nobody_waits(void **state)
{
    (void)state;
    begin(1, 100);
    assert_false(vine__turns_are_none(&turns));
    vine__turns_leave(&turns, &pipes[0]);
    assert_true(vine__turns_are_none(&turns));
    assert_null(vine__turns_next(&turns));
}

static void those_that_are_alike_have_turns_one_after_the_other(void **state)
{
    const uint64_t cost[4] = {50, 50, 50, 50};

    (void)state;
    begin(4, 100);
    for (uint32_t i = 0; i < 400; i++)
        assert_int_equal(work(cost), i % 4);
}

/* Whoever floods with long jobs has no more time than the others, and so fewer jobs. */
static void time_is_equal_however_long_jobs_take(void **state)
{
    const uint64_t cost[3] = {1000, 100, 10};

    (void)state;
    begin(3, 100);
    for (uint32_t i = 0; i < 100000; i++)
        (void)work(cost);
    for (uint32_t i = 1; i < 3; i++)
        assert_in_range(had[i], had[0] * 85 / 100, had[0] * 105 / 100);
    assert_in_range(jobs[2], 85 * jobs[0], 105 * jobs[0]);
}

static void time_is_divided_by_shares(void **state)
{
    const uint64_t cost[3] = {700, 700, 700};

    (void)state;
    begin(3, 100);
    pipes[1].shares = 300;
    pipes[2].shares = 10;
    for (uint32_t i = 0; i < 41000; i++)
        (void)work(cost);
    assert_in_range(jobs[0], 9900, 10100);
    assert_in_range(jobs[1], 29700, 30300);
    assert_in_range(jobs[2], 950, 1050);
}

/* Of which many run at once: they are counted before they have run. */
static void who_has_many_running_has_no_more(void **state)
{
    uint64_t counted[2][8];
    uint32_t running[2] = {0};

    (void)state;
    begin(2, 100);
    for (uint32_t i = 0; i < 2; i++)
        pipes[i].usual_ticks = 1000;
    for (uint32_t i = 0; i < 8; i++) {
        struct vine__turn *turn = vine__turns_next(&turns);
        const uint32_t index = (uint32_t)(turn - pipes);

        counted[index][running[index]++] = vine__turns_take(turn);
        vine__turns_wait(&turns, turn);
    }
    assert_int_equal(running[0], 4);
    assert_int_equal(running[1], 4);
    for (uint32_t i = 0; i < 4; i++)
        vine__turns_pay(&turns, &pipes[0], counted[0][i], 1);
    /* What took less than was counted for it is made good. */
    assert_ptr_equal(vine__turns_next(&turns), &pipes[0]);
}

static void who_was_away_has_saved_nothing_up(void **state)
{
    const uint64_t cost[2] = {100, 100};
    uint32_t own = 0;

    (void)state;
    begin(2, 100);
    vine__turns_leave(&turns, &pipes[1]);
    for (uint32_t i = 0; i < 10000; i++)
        assert_int_equal(work(cost), 0);
    vine__turns_wait(&turns, &pipes[1]);
    for (uint32_t i = 0; i < 100; i++)
        own += work(cost) == 1;
    assert_in_range(own, 49, 52);
}

/* However many flood, and for however long they have. */
static void who_comes_waits_for_less_than_a_job_of_each(void **state)
{
    static uint64_t cost[PIPES_MAX];
    uint32_t waited = 0;

    (void)state;
    for (uint32_t i = 0; i < PIPES_MAX; i++)
        cost[i] = 100 + i;
    begin(PIPES_MAX - 1, 100);
    for (uint32_t i = 0; i < 100000; i++)
        (void)work(cost);
    pipes[PIPES_MAX - 1] = (struct vine__turn){.shares = 100};
    vine__turns_wait(&turns, &pipes[PIPES_MAX - 1]);
    while (work(cost) != PIPES_MAX - 1)
        waited++;
    assert_in_range(waited, 0, PIPES_MAX);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(nobody_is_next_where_nobody_waits),
        cmocka_unit_test(those_that_are_alike_have_turns_one_after_the_other),
        cmocka_unit_test(time_is_equal_however_long_jobs_take),
        cmocka_unit_test(time_is_divided_by_shares),
        cmocka_unit_test(who_has_many_running_has_no_more),
        cmocka_unit_test(who_was_away_has_saved_nothing_up),
        cmocka_unit_test(who_comes_waits_for_less_than_a_job_of_each),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
