/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "harness/assertion.h"
#include "harness/stepped.h"

#include <errno.h>
#include <stdlib.h>

#include "utils/container_of.h"

#define CORES 4
#define MANY  1000 /* far more than may be in flight */

struct asked {
    struct vine_core_call call;
    uint64_t number;
    uint32_t ran_on;
    uint32_t ended_on;
    bool has_ended;
};

static struct stepped world;
static uint32_t ended_count;

static int set_up(void **state)
{
    (void)state;
    ended_count = 0;
    stepped_open(&world, CORES, (uint64_t)(uintptr_t)state | 1, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stepped_close(&world);
    return 0;
}

static int64_t answer(void *argument)
{
    struct asked *const asked = argument;

    asked->ran_on = vine_core();
    return (int64_t)asked->number * 2;
}

static void see_end(struct vine_core_call *call)
{
    struct asked *const asked = VINE_CONTAINER_OF(call, struct asked, call);

    assert_false(asked->has_ended);
    asked->has_ended = true;
    asked->ended_on = vine_core();
    assert_int_equal(vine_core_call_result(call), asked->number * 2);
    ended_count++;
}

static void a_call_runs_there_and_ends_here(void **state)
{
    (void)state;
    for (uint32_t core = 0; core < CORES; core++) {
        struct asked asked = {.number = core + 1};

        vine_core_call(&asked.call, core, answer, &asked, see_end);
        assert_false(asked.has_ended);
        stepped_settle(&world);
        assert_true(asked.has_ended);
        assert_int_equal(asked.ran_on, core);
        assert_int_equal(asked.ended_on, 0);
    }
}

static uint64_t expected;

static int64_t expect_in_order(void *argument)
{
    struct asked *const asked = argument;

    assert_int_equal(asked->number, expected);
    expected++;
    return answer(argument);
}

static void calls_of_one_core_to_another_begin_in_order(void **state)
{
    struct asked *const asked = calloc(MANY, sizeof(*asked));

    (void)state;
    assert_non_null(asked);
    expected = 0;
    for (uint32_t i = 0; i < MANY; i++) {
        asked[i].number = i;
        vine_core_call(&asked[i].call, 2, expect_in_order, &asked[i], see_end);
    }
    stepped_settle(&world);
    assert_int_equal(ended_count, MANY);
    free(asked);
}

/* All to all, far beyond what may be in flight, in whatever order the cores run. */
static void nobody_waits_for_ever_when_all_call_all(void **state)
{
    struct asked *const asked = calloc(CORES * MANY, sizeof(*asked));

    (void)state;
    assert_non_null(asked);
    for (uint32_t core = 0; core < CORES; core++) {
        (void)vine__reactor_enter(world.reactors[core]);
        for (uint32_t i = 0; i < MANY; i++) {
            struct asked *const one = &asked[core * MANY + i];

            one->number = i;
            vine_core_call(&one->call, i % CORES, answer, one, see_end);
        }
    }
    stepped_settle(&world);
    assert_int_equal(ended_count, CORES * MANY);
    for (uint32_t i = 0; i < CORES * MANY; i++) {
        assert_int_equal(asked[i].ran_on, i % MANY % CORES);
        assert_int_equal(asked[i].ended_on, i / MANY);
    }
    free(asked);
}

static struct asked nested[2];

static int64_t call_further(void *argument)
{
    struct asked *const asked = argument;

    nested[1] = (struct asked){.number = 5};
    vine_core_call(&nested[1].call, 0, answer, &nested[1], see_end);
    return answer(asked);
}

static void who_is_called_may_call(void **state)
{
    (void)state;
    nested[0] = (struct asked){.number = 4};
    vine_core_call(&nested[0].call, 1, call_further, &nested[0], see_end);
    stepped_settle(&world);
    assert_int_equal(ended_count, 2);
    assert_int_equal(nested[1].ran_on, 0);
    assert_int_equal(nested[1].ended_on, 1);
}

/* ---- calls that travel alone ----------------------------------------------------------------- */

static void an_idle_core_serves_a_call_between_two_turns(void **state)
{
    struct asked asked = {.number = 8};

    (void)state;
    assert_false(vine__reactor_peek(world.reactors[1]));
    vine_core_call(&asked.call, 1, answer, &asked, see_end);
    assert_true(vine__reactor_peek(world.reactors[1]));
    assert_int_equal(asked.ran_on, 1);
    assert_false(asked.has_ended);
    assert_true(vine__reactor_peek(world.reactors[0]));
    assert_true(asked.has_ended);
    assert_false(vine__reactor_peek(world.reactors[0]));
}

static void the_call_that_travels_alone_comes_before_those_in_the_ring(void **state)
{
    struct asked asked[3];

    (void)state;
    expected = 0;
    for (uint32_t i = 0; i < 3; i++) {
        asked[i] = (struct asked){.number = i};
        vine_core_call(&asked[i].call, 1, expect_in_order, &asked[i], see_end);
    }
    assert_true(vine__reactor_peek(world.reactors[1]));
    assert_int_equal(expected, 1);
    assert_true(stepped_step(&world, 1));
    assert_int_equal(expected, 3);
    stepped_settle(&world);
    assert_int_equal(ended_count, 3);
}

static struct asked again;
static bool has_work;

static void see_end_and_ask_again(struct vine_core_call *call)
{
    see_end(call);
    again = (struct asked){.number = 9};
    vine_core_call(&again.call, 1, answer, &again, see_end);
}

static void go_on(struct vine_work *work)
{
    world.clock_ns += 1000000; /* a quota */
    if (has_work)
        vine_work_post(work);
}

/* An idle core leaves the line alone when it has written it; one that is busy since looks again. */
static void a_core_that_is_busy_gets_a_reply_that_travels_alone(void **state)
{
    struct asked asked = {.number = 3};
    struct vine_work work;

    (void)state;
    vine_core_call(&asked.call, 1, answer, &asked, see_end_and_ask_again);
    assert_true(vine__reactor_peek(world.reactors[1]));
    assert_true(vine__reactor_peek(world.reactors[0]));
    assert_true(asked.has_ended);
    has_work = true;
    vine_work_init(&work, go_on);
    vine_work_post(&work);
    (void)stepped_step(&world, 1);
    (void)stepped_step(&world, 1);
    for (int i = 0; i < 2; i++) {
        assert_false(vine__reactor_peek(world.reactors[0]));
        (void)stepped_step(&world, 0);
    }
    assert_true(again.has_ended);
    has_work = false;
    stepped_settle(&world);
}

/* ---- replies that come later ----------------------------------------------------------------- */

static struct vine_reply kept;

static int64_t keep(void *argument)
{
    (void)answer(argument);
    kept = vine_core_call_defer();
    return -1;
}

static void a_reply_may_come_later(void **state)
{
    struct asked asked = {.number = 21};

    (void)state;
    vine_core_call(&asked.call, 3, keep, &asked, see_end);
    stepped_settle(&world);
    assert_int_equal(asked.ran_on, 3);
    assert_false(asked.has_ended);
    (void)vine__reactor_enter(world.reactors[3]);
    vine_core_call_reply(kept, 42);
    stepped_settle(&world);
    assert_true(asked.has_ended);
}

/* ---- submitting ------------------------------------------------------------------------------ */

static uint32_t submitted;

static int64_t count_up(void *argument)
{
    (void)argument;
    submitted++;
    return 0;
}

static void what_cannot_be_submitted_is_refused(void **state)
{
    (void)state;
    submitted = 0;
    assert_int_equal(vine_submit_to(CORES, count_up, NULL), -EINVAL);
    assert_int_equal(vine_submit_to(0, NULL, NULL), -EINVAL);
    for (int i = 0; i < VINE_SUBMITS_MAX; i++)
        assert_int_equal(vine_submit_to(1, count_up, NULL), 0);
    assert_int_equal(vine_submit_to(1, count_up, NULL), -EAGAIN);
    stepped_settle(&world);
    assert_int_equal(submitted, VINE_SUBMITS_MAX);
    assert_int_equal(vine_submit_to(1, count_up, NULL), 0);
    stepped_settle(&world);
    assert_int_equal(submitted, VINE_SUBMITS_MAX + 1);
}

static struct vine_core_call endless;

static void calling_without_an_end(void)
{
    vine_core_call(&endless, 1, count_up, NULL, NULL);
}

static void calling_nothing(void)
{
    vine_core_call(&endless, 1, NULL, NULL, see_end);
}

static void a_call_without_both_functions_fails_an_assertion_at_once(void **state)
{
    (void)state;
    assert_true(child_fails_an_assertion(calling_without_an_end));
    assert_true(child_fails_an_assertion(calling_nothing));
}

/* ---- groups ---------------------------------------------------------------------------------- */

static struct vine_group seen;

static int64_t see_group(void *argument)
{
    (void)argument;
    seen = vine_group_current();
    return 0;
}

static struct vine_group group;
static struct vine_core_call grouped;

static void nothing(struct vine_core_call *call)
{
    (void)call;
}

static void call_from_group(struct vine_work *work)
{
    (void)work;
    vine_core_call(&grouped, 1, see_group, NULL, nothing);
}

static void a_call_runs_in_the_group_of_its_caller(void **state)
{
    const struct vine_group parent = {0};
    struct vine_work work;

    (void)state;
    assert_int_equal(vine_group_create("callers", 50, parent, 0, &group), 0);
    vine_work_init(&work, call_from_group);
    vine_work_set_group(&work, group);
    vine_work_post(&work);
    stepped_settle(&world);
    assert_int_equal(seen.id, group.id);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(what_cannot_be_submitted_is_refused),
        TEST(a_call_without_both_functions_fails_an_assertion_at_once),
        TEST(a_call_runs_there_and_ends_here),
        TEST(calls_of_one_core_to_another_begin_in_order),
        TEST(nobody_waits_for_ever_when_all_call_all),
        TEST(who_is_called_may_call),
        TEST(an_idle_core_serves_a_call_between_two_turns),
        TEST(the_call_that_travels_alone_comes_before_those_in_the_ring),
        TEST(a_core_that_is_busy_gets_a_reply_that_travels_alone),
        TEST(a_reply_may_come_later),
        TEST(a_call_runs_in_the_group_of_its_caller),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
