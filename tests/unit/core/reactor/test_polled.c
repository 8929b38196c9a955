/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* What a core looks at by itself. */
#include "harness/stepped.h"

#include "utils/container_of.h"

#define SLEEPS   3
#define SHORT_NS 100000

struct watched {
    struct vine__polled polled;
    uint32_t polls, looks, lies, rises;
    bool is_there, refuses, ends_itself;
    uint64_t limit_ns;
    struct vine_work *posted; /* by its lie_down, once */
};

static struct stepped world;
static uint32_t works;

static struct watched *watched_of(struct vine__polled *polled)
{
    return VINE_CONTAINER_OF(polled, struct watched, polled);
}

static bool poll(struct vine__polled *polled, uint64_t now_ticks)
{
    struct watched *const self = watched_of(polled);
    const bool was_there = self->is_there;

    (void)now_ticks;
    self->polls++;
    self->is_there = false;
    if (self->ends_itself)
        vine__polled_end(polled);
    return was_there;
}

static bool look(struct vine__polled *polled, uint64_t now_ticks)
{
    struct watched *const self = watched_of(polled);

    (void)now_ticks;
    self->looks++;
    return self->is_there;
}

static bool lie_down(struct vine__polled *polled, uint64_t *ret_limit_ns)
{
    struct watched *const self = watched_of(polled);

    self->lies++;
    if (self->limit_ns != 0)
        *ret_limit_ns = self->limit_ns;
    if (self->posted != NULL)
        vine_work_post(self->posted);
    self->posted = NULL;
    return !self->refuses;
}

static void get_up(struct vine__polled *polled)
{
    struct watched *const self = watched_of(polled);

    self->rises++;
    if (self->rises == SLEEPS)
        vine_stop(0);
}

#define WATCHED                                                                                    \
    {                                                                                              \
        .polled = {.poll = poll, .look = look, .lie_down = lie_down, .get_up = get_up }            \
    }

static void count_work(struct vine_work *work)
{
    (void)work;
    works++;
}

static int set_up(void **state)
{
    (void)state;
    works = 0;
    stepped_open(&world, 1, 1, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stepped_close(&world);
    return 0;
}

static void who_is_polled_is_looked_at_in_each_turn_until_its_end(void **state)
{
    struct watched watched = WATCHED;

    (void)state;
    vine__polled_begin(&watched.polled);
    assert_false(stepped_step(&world, 0));
    assert_false(stepped_step(&world, 0));
    assert_int_equal(watched.polls, 2);
    vine__polled_end(&watched.polled);
    (void)stepped_step(&world, 0);
    assert_int_equal(watched.polls, 2);
}

static void what_is_there_makes_a_turn_a_busy_one(void **state)
{
    struct watched watched = WATCHED;

    (void)state;
    vine__polled_begin(&watched.polled);
    watched.is_there = true;
    assert_true(stepped_step(&world, 0));
    assert_false(stepped_step(&world, 0));
    vine__polled_end(&watched.polled);
}

static void a_core_that_is_idle_looks_several_times_between_turns(void **state)
{
    struct watched watched = WATCHED;

    (void)state;
    vine__polled_begin(&watched.polled);
    assert_false(vine__reactor_peek(world.reactors[0]));
    assert_true(watched.looks > 1);
    watched.looks = 0;
    watched.is_there = true;
    assert_true(vine__reactor_peek(world.reactors[0]));
    assert_int_equal(watched.looks, 1);
    vine__polled_end(&watched.polled);
}

static void one_may_end_itself_while_it_is_polled(void **state)
{
    struct watched first = WATCHED, second = WATCHED;

    (void)state;
    vine__polled_begin(&first.polled);
    vine__polled_begin(&second.polled);
    first.ends_itself = true;
    second.ends_itself = true;
    (void)stepped_step(&world, 0);
    (void)stepped_step(&world, 0);
    assert_int_equal(first.polls, 1);
    assert_int_equal(second.polls, 1);
}

/* All that lie down get up before the core does anything else. */
static void who_slept_is_told_of_it(void **state)
{
    struct watched watched = WATCHED;

    (void)state;
    watched.limit_ns = SHORT_NS;
    vine__polled_begin(&watched.polled);
    vine__reactor_doze(world.reactors[0]);
    assert_int_equal(watched.lies, 1);
    assert_int_equal(watched.rises, 0);
    (void)stepped_step(&world, 0);
    assert_int_equal(watched.rises, 1);
    (void)stepped_step(&world, 0);
    assert_int_equal(watched.rises, 1);
    vine__polled_end(&watched.polled);
}

/* There is nothing that would ever end the sleep. */
static void one_that_refuses_keeps_its_core_awake(void **state)
{
    struct watched watched = WATCHED, refusing = WATCHED;

    (void)state;
    refusing.refuses = true;
    vine__polled_begin(&refusing.polled);
    vine__polled_begin(&watched.polled);
    vine__reactor_doze(world.reactors[0]);
    assert_int_equal(refusing.lies, 1);
    (void)stepped_step(&world, 0);
    assert_int_equal(refusing.rises, 1);
    assert_int_equal(watched.rises, 1);
    vine__polled_end(&watched.polled);
    vine__polled_end(&refusing.polled);
}

static void work_that_is_posted_by_who_lies_down_keeps_its_core_awake(void **state)
{
    struct watched watched = WATCHED;
    struct vine_work work;

    (void)state;
    vine_work_init(&work, count_work);
    watched.posted = &work;
    vine__polled_begin(&watched.polled);
    vine__reactor_doze(world.reactors[0]);
    assert_true(stepped_step(&world, 0));
    assert_int_equal(works, 1);
    vine__polled_end(&watched.polled);
}

/* As a core runs: it sleeps for the limit each time, and else for ever. */
static void no_sleep_is_longer_than_who_is_polled_bears(void **state)
{
    struct watched watched = WATCHED, patient = WATCHED;

    (void)state;
    watched.limit_ns = SHORT_NS;
    patient.rises = SLEEPS; /* it does not stop the loop */
    vine__polled_begin(&watched.polled);
    vine__polled_begin(&patient.polled);
    vine__reactor_run(world.reactors[0]);
    (void)vine__reactor_enter(world.reactors[0]);
    assert_true(watched.rises >= SLEEPS);
    assert_true(watched.polls >= SLEEPS);
    vine__polled_end(&patient.polled);
    vine__polled_end(&watched.polled);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(who_is_polled_is_looked_at_in_each_turn_until_its_end,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_is_there_makes_a_turn_a_busy_one, set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_core_that_is_idle_looks_several_times_between_turns,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_may_end_itself_while_it_is_polled, set_up, tear_down),
        cmocka_unit_test_setup_teardown(who_slept_is_told_of_it, set_up, tear_down),
        cmocka_unit_test_setup_teardown(one_that_refuses_keeps_its_core_awake, set_up, tear_down),
        cmocka_unit_test_setup_teardown(work_that_is_posted_by_who_lies_down_keeps_its_core_awake,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(no_sleep_is_longer_than_who_is_polled_bears, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
