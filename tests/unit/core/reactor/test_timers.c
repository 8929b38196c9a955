/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime timeout=60 */
#include "harness/stepped.h"

#include <stdlib.h>
#include <string.h>

#include <vine/timer.h>

#include "utils/container_of.h"

#define MS 1000000ULL

struct bell {
    struct vine_timer timer;
    int rings;
    uint64_t rang_ns;
};

static struct stepped world;

static int set_up(void **state)
{
    (void)state;
    stepped_open(&world, 2, 3, NULL);
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    stepped_close(&world);
    return 0;
}

static void ring(struct vine_timer *timer)
{
    struct bell *const bell = VINE_CONTAINER_OF(timer, struct bell, timer);

    bell->rings++;
    bell->rang_ns = vine_clock_now(VINE_CLOCK_STEADY);
}

static void pass(uint64_t time_ns)
{
    world.clock_ns += time_ns;
    stepped_settle(&world);
}

static void a_timer_is_never_early(void **state)
{
    struct bell bell = {0};

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_STEADY, ring);
    assert_false(vine_timer_is_armed(&bell.timer));
    vine_timer_arm_after(&bell.timer, 5 * MS);
    assert_true(vine_timer_is_armed(&bell.timer));
    pass(5 * MS - 1000);
    assert_int_equal(bell.rings, 0);
    pass(2000);
    assert_int_equal(bell.rings, 1);
    assert_false(vine_timer_is_armed(&bell.timer));
    pass(100 * MS);
    assert_int_equal(bell.rings, 1);
}

static void a_timer_that_is_due_waits_for_the_loop(void **state)
{
    struct bell bell = {0};

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_STEADY, ring);
    vine_timer_arm_at(&bell.timer, 0);
    assert_int_equal(bell.rings, 0);
    pass(2000);
    assert_int_equal(bell.rings, 1);
}

static void a_cancelled_timer_does_not_ring(void **state)
{
    struct bell bell = {0};

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_COARSE, ring);
    assert_false(vine_timer_cancel(&bell.timer));
    vine_timer_arm_after(&bell.timer, MS);
    assert_true(vine_timer_cancel(&bell.timer));
    assert_false(vine_timer_cancel(&bell.timer));
    pass(1000 * MS);
    assert_int_equal(bell.rings, 0);
}

static struct bell rival;

static void cancel_rival(struct vine_timer *timer)
{
    ring(timer);
    assert_true(vine_timer_cancel(&rival.timer));
    memset(&rival, 0, sizeof(rival)); /* its memory is its owner's again */
}

/* Both are due: one of them takes the other one out, which has not been called yet. */
static void a_timer_that_is_due_can_be_cancelled(void **state)
{
    struct bell bell = {0};

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_STEADY, cancel_rival);
    vine_timer_init(&rival.timer, VINE_CLOCK_STEADY, ring);
    vine_timer_arm_after(&bell.timer, MS);
    vine_timer_arm_after(&rival.timer, 2 * MS);
    pass(10 * MS);
    assert_int_equal(bell.rings, 1);
    assert_int_equal(rival.rings, 0);
}

static void a_period_that_was_missed_is_left_out(void **state)
{
    struct bell bell = {0};

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_STEADY, ring);
    vine_timer_arm_every(&bell.timer, 10 * MS);
    for (int i = 1; i <= 5; i++) {
        pass(10 * MS + 1000);
        assert_int_equal(bell.rings, i);
    }
    pass(95 * MS);
    assert_int_equal(bell.rings, 6);
    pass(10 * MS + 1000);
    assert_int_equal(bell.rings, 7);
    assert_true(vine_timer_cancel(&bell.timer));
}

static void arm_anew(struct vine_timer *timer)
{
    ring(timer);
    if (VINE_CONTAINER_OF(timer, struct bell, timer)->rings < 10)
        vine_timer_arm_after(timer, MS);
}

static void a_timer_may_arm_itself(void **state)
{
    struct bell bell = {0};

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_STEADY, arm_anew);
    vine_timer_arm_after(&bell.timer, MS);
    for (int i = 0; i < 20; i++)
        pass(2 * MS);
    assert_int_equal(bell.rings, 10);
}

static void the_manual_clock_moves_when_it_is_told_to(void **state)
{
    struct bell bell = {0};

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_MANUAL, ring);
    vine_timer_arm_after(&bell.timer, 3600 * VINE_NS_PER_SECOND);
    pass(7200 * VINE_NS_PER_SECOND);
    assert_int_equal(bell.rings, 0);
    (void)vine__reactor_enter(world.reactors[0]);
    vine_clock_advance(3601 * VINE_NS_PER_SECOND);
    assert_int_equal(bell.rings, 0);
    stepped_settle(&world);
    assert_int_equal(bell.rings, 1);
}

#define CROWD 20000

/* More than are looked at in a turn, in slots that are opened by and by. */
static void a_crowd_of_timers_is_called_to_the_last(void **state)
{
    struct bell *const crowd = calloc(CROWD, sizeof(*crowd));
    int rings = 0;

    (void)state;
    assert_non_null(crowd);
    for (uint32_t i = 0; i < CROWD; i++) {
        vine_timer_init(&crowd[i].timer, i % 2 != 0 ? VINE_CLOCK_MANUAL : VINE_CLOCK_COARSE, ring);
        vine_timer_arm_after(&crowd[i].timer, 60 * VINE_NS_PER_SECOND + i * MS);
    }
    vine_clock_advance(3600 * VINE_NS_PER_SECOND);
    pass(3600 * VINE_NS_PER_SECOND);
    for (uint32_t i = 0; i < CROWD; i++)
        rings += crowd[i].rings;
    assert_int_equal(rings, CROWD);
    free(crowd);
}

static void an_idle_core_may_sleep_until_its_next_timer(void **state)
{
    struct bell bell = {0};

    (void)state;
    stepped_settle(&world);
    assert_true(vine__reactor_idle_until(world.reactors[0]) == VINE_FOREVER);
    vine_timer_init(&bell.timer, VINE_CLOCK_STEADY, ring);
    vine_timer_arm_after(&bell.timer, 50 * MS);
    const uint64_t until_ns = vine__reactor_idle_until(world.reactors[0]);

    assert_true(until_ns > world.clock_ns);
    assert_true(until_ns <= world.clock_ns + 51 * MS);
    assert_true(vine_timer_cancel(&bell.timer));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_timer_is_never_early),
        TEST(a_timer_that_is_due_waits_for_the_loop),
        TEST(a_cancelled_timer_does_not_ring),
        TEST(a_timer_that_is_due_can_be_cancelled),
        TEST(a_period_that_was_missed_is_left_out),
        TEST(a_timer_may_arm_itself),
        TEST(the_manual_clock_moves_when_it_is_told_to),
        TEST(a_crowd_of_timers_is_called_to_the_last),
        TEST(an_idle_core_may_sleep_until_its_next_timer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
