/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
#include "harness/stepped.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

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

static void stop_rival(struct vine_timer *timer)
{
    ring(timer);
    assert_true(vine_timer_stop(&rival.timer));
    assert_false(vine_timer_is_armed(&rival.timer));
}

static void a_timer_that_is_due_can_be_stopped(void **state)
{
    struct bell bell = {0};

    (void)state;
    rival = (struct bell){0};
    vine_timer_init(&bell.timer, VINE_CLOCK_STEADY, stop_rival);
    vine_timer_init(&rival.timer, VINE_CLOCK_STEADY, ring);
    vine_timer_arm_after(&bell.timer, MS);
    vine_timer_arm_after(&rival.timer, 2 * MS);
    pass(100 * MS);
    assert_int_equal(bell.rings, 1);
    assert_int_equal(rival.rings, 0);
    vine_timer_arm_after(&rival.timer, 2 * MS);
    pass(100 * MS);
    assert_int_equal(rival.rings, 1);
}

static void a_period_ends_when_it_is_stopped(void **state)
{
    struct bell bell = {0};

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_COARSE, ring);
    vine_timer_arm_every(&bell.timer, 50 * MS);
    for (int i = 0; i < 10; i++)
        pass(50 * MS);
    assert_true(bell.rings >= 4);
    assert_true(vine_timer_stop(&bell.timer));
    assert_false(vine_timer_stop(&bell.timer));
    const int rings = bell.rings;

    pass(1000 * MS);
    assert_int_equal(bell.rings, rings);
    assert_false(vine_timer_cancel(&bell.timer));
}

/* As a connection has them: each request arms its time-out, and all but the last are in time. */
static void a_time_out_of_many_requests_rings_for_the_one_that_is_late(void **state)
{
    struct bell bell = {0};

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_COARSE, ring);
    for (int request = 0; request < 1000; request++) {
        vine_timer_arm_after(&bell.timer, (unsigned int)(20 + request % 7 * 100) * MS);
        pass((unsigned int)(request % 9) * MS);
        assert_true(vine_timer_stop(&bell.timer));
        pass((unsigned int)(request % 11) * 10 * MS);
    }
    assert_int_equal(bell.rings, 0);
    vine_timer_arm_after(&bell.timer, 700 * MS);
    pass(699 * MS);
    assert_int_equal(bell.rings, 0);
    pass(20 * MS);
    assert_int_equal(bell.rings, 1);
}

static void an_idle_core_sleeps_for_ever_when_its_stopped_timer_has_gone(void **state)
{
    struct bell bell = {0};
    uint32_t wakes = 0;

    (void)state;
    vine_timer_init(&bell.timer, VINE_CLOCK_COARSE, ring);
    vine_timer_arm_after(&bell.timer, 60 * VINE_NS_PER_SECOND);
    vine_timer_arm_after(&bell.timer, 3600 * VINE_NS_PER_SECOND);
    assert_true(vine_timer_stop(&bell.timer));
    for (uint64_t until_ns; wakes < 100; wakes++) {
        stepped_settle(&world);
        until_ns = vine__reactor_idle_until(world.reactors[0]);
        if (until_ns == VINE_FOREVER)
            break;
        assert_true(until_ns > world.clock_ns);
        world.clock_ns = until_ns;
    }
    assert_true(wakes <= 1);
    memset(&bell, 0xff, sizeof(bell)); /* nothing looks at it any more */
    pass(7200 * VINE_NS_PER_SECOND);
}

/* ---- loops that come back late --------------------------------------------------------------- */

struct clock_hand {
    struct vine__operation operation;
    struct vine_work work;
    bool is_over;
    unsigned char byte;
};

static void begin_again(struct vine_work *work)
{
    struct clock_hand *const hand = VINE_CONTAINER_OF(work, struct clock_hand, work);

    if (!hand->is_over)
        vine__reactor_begin(&hand->operation);
}

static void on_read(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    (void)flags;
    (void)result;
    vine_work_post(&VINE_CONTAINER_OF(operation, struct clock_hand, operation)->work);
}

/* A server whose requests take longer than a loop may be away, and never end to come. */
static void timers_ring_though_every_turn_is_late_and_has_ends_of_operations(void **state)
{
    struct bell bell = {0};
    static struct clock_hand hand;
    const int fd = open("/dev/zero", O_RDONLY | O_CLOEXEC);
    struct vine__reactor_counts counts;

    (void)state;
    assert_true(fd >= 0);
    hand.is_over = false;
    hand.operation = (struct vine__operation){
        .fn = on_read, .kind = VINE__POLL_READ, .fd = fd, .bytes = &hand.byte, .size = 1};
    vine_work_init(&hand.work, begin_again);
    vine_work_post(&hand.work);
    vine_timer_init(&bell.timer, VINE_CLOCK_COARSE, ring);
    vine_timer_arm_after(&bell.timer, 30 * MS);
    for (uint64_t late = 0; late < 50; late++) {
        uint64_t ended;

        world.clock_ns += 20 * MS;
        vine__reactor_get_counts(world.reactors[0], &counts);
        ended = counts.completions;
        for (uint32_t turns = 0; counts.completions == ended && turns < STEPPED_TURNS_MAX;
             turns++) {
            (void)stepped_step(&world, 0);
            vine__reactor_get_counts(world.reactors[0], &counts);
        }
        assert_true(counts.completions > ended);
    }
    assert_int_equal(bell.rings, 1);
    assert_true(bell.rang_ns < 300 * MS);
    hand.is_over = true;
    stepped_settle(&world);
    assert_int_equal(close(fd), 0);
}

#define ENDS     600   /* more than a turn takes */
#define ENDS_MAX 20000 /* more than timers wait for */

struct crowd_end {
    struct vine__operation operation;
    struct vine_work work;
};

static struct crowd_end crowd_ends[ENDS];
static uint64_t heard;       /* of them */
static uint64_t heard_until; /* they begin anew until there have been so many */

static void post_its_work(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    (void)flags;
    assert_int_equal(result, 0);
    heard++;
    vine_work_post(&VINE_CONTAINER_OF(operation, struct crowd_end, operation)->work);
}

/* Each takes a while, and a turn is away with some of them. */
static void take_long(struct vine_work *work)
{
    world.clock_ns += MS;
    if (heard < heard_until)
        vine__reactor_begin(&VINE_CONTAINER_OF(work, struct crowd_end, work)->operation);
}

static void begin_crowd(uint64_t until)
{
    heard = 0;
    heard_until = until;
    for (size_t i = 0; i < ENDS; i++) {
        crowd_ends[i] =
            (struct crowd_end){.operation = {.fn = post_its_work, .kind = VINE__POLL_NOTHING}};
        vine_work_init(&crowd_ends[i].work, take_long);
        vine__reactor_begin(&crowd_ends[i].operation);
    }
}

/* It would find nothing in the caches any more after thousands, and be away with them once more. */
static void a_loop_that_was_away_takes_no_more_ends_in_a_turn_than_another(void **state)
{
    uint64_t usual;

    (void)state;
    stepped_settle(&world);
    begin_crowd(0);
    (void)stepped_step(&world, 0);
    usual = heard;
    assert_in_range(usual, 1, ENDS - 1);
    stepped_settle(&world);
    assert_int_equal(heard, ENDS);
    begin_crowd(0);
    world.clock_ns += 500 * MS;
    (void)stepped_step(&world, 0);
    assert_int_equal(heard, usual);
    stepped_settle(&world);
    assert_int_equal(heard, ENDS);
}

static void ring_after_all(struct vine_timer *timer)
{
    assert_int_equal(heard, ENDS);
    ring(timer);
}

static void what_came_while_a_loop_was_away_goes_before_its_timers(void **state)
{
    struct bell bell = {0};

    (void)state;
    stepped_settle(&world);
    vine_timer_init(&bell.timer, VINE_CLOCK_COARSE, ring_after_all);
    vine_timer_arm_after(&bell.timer, 100 * MS);
    begin_crowd(0);
    pass(500 * MS);
    assert_int_equal(bell.rings, 1);
}

static void ring_in_time(struct vine_timer *timer)
{
    assert_true(heard < ENDS_MAX);
    ring(timer);
}

static void timers_ring_though_a_loop_that_was_away_never_hears_the_last(void **state)
{
    struct bell bell = {0};

    (void)state;
    stepped_settle(&world);
    vine_timer_init(&bell.timer, VINE_CLOCK_COARSE, ring_in_time);
    vine_timer_arm_after(&bell.timer, 100 * MS);
    begin_crowd(2 * ENDS_MAX);
    pass(500 * MS);
    assert_int_equal(bell.rings, 1);
    assert_true(heard >= 2 * ENDS_MAX);
}

/* ---- any order ------------------------------------------------------------------------------- */

#define BELLS 48
#define STEPS 40000

/* What a plain list knows of each. */
struct expected {
    struct bell *bell; /* anew after it was cancelled, as its memory is its owner's then */
    uint64_t due_ns;   /* of its clock; VINE_FOREVER: not armed */
    int rings;
};

static uint64_t clock_slack_ns(enum vine_clock clock)
{
    return clock == VINE_CLOCK_COARSE ? (uint64_t)(10 * MS) : 1024; /* as vine/timer.h says */
}

static void make_bell(struct expected *expected, enum vine_clock clock)
{
    expected->bell = calloc(1, sizeof(*expected->bell));
    assert_non_null(expected->bell);
    vine_timer_init(&expected->bell->timer, clock, ring);
    expected->due_ns = VINE_FOREVER;
    expected->rings = 0;
}

static void change_bell(struct expected *expected, enum vine_clock clock)
{
    struct vine_timer *const timer = &expected->bell->timer;
    const bool is_armed = expected->due_ns != VINE_FOREVER;
    const uint64_t now_ns = vine_clock_now(clock);
    const uint64_t range_ns = UINT64_C(1) << (10 + stepped_random(&world) % 30);

    switch (stepped_random(&world) % 6) {
    case 0:
        assert_int_equal(vine_timer_cancel(timer), is_armed);
        free(expected->bell);
        make_bell(expected, clock);
        break;
    case 1:
    case 2:
        assert_int_equal(vine_timer_stop(timer), is_armed);
        expected->due_ns = VINE_FOREVER;
        break;
    case 3:
        expected->due_ns = stepped_random(&world) % (now_ns + 1);
        vine_timer_arm_at(timer, expected->due_ns);
        break;
    default: /* put off or brought forward, whether it is armed or not */
        expected->due_ns = now_ns + stepped_random(&world) % range_ns;
        vine_timer_arm_at(timer, expected->due_ns);
    }
}

static void expect_bell(struct expected *expected, enum vine_clock clock)
{
    const uint64_t now_ns = vine_clock_now(clock);
    const bool is_early = expected->bell->rings > expected->rings && expected->due_ns > now_ns;
    const bool is_late =
        expected->due_ns < now_ns && now_ns - expected->due_ns > 2 * clock_slack_ns(clock);

    assert_false(is_early);
    if (expected->bell->rings > expected->rings) {
        assert_int_equal(expected->bell->rings, expected->rings + 1);
        expected->rings++;
        expected->due_ns = VINE_FOREVER;
    } else {
        assert_false(is_late);
    }
    assert_int_equal(vine_timer_is_armed(&expected->bell->timer), expected->due_ns != VINE_FOREVER);
}

static void random_changes_ring_as_a_plain_list_says(void **state)
{
    static struct expected expected[BELLS];
    const char *const given = getenv("VINE_TEST_SEED");
    uint64_t rings = 0;

    (void)state;
    world.random = (given != NULL ? strtoull(given, NULL, 0) : (uint64_t)time(NULL)) | 1;
    print_message("VINE_TEST_SEED=%llu\n", (unsigned long long)world.random);
    for (uint32_t i = 0; i < BELLS; i++)
        make_bell(&expected[i], (enum vine_clock)(i % VINE_CLOCK_COUNT));
    for (uint32_t step = 0; step < STEPS; step++) {
        const uint32_t i = (uint32_t)(stepped_random(&world) % BELLS);
        const uint64_t by_ns = stepped_random(&world) % (uint64_t)(20 * MS);

        change_bell(&expected[i], (enum vine_clock)(i % VINE_CLOCK_COUNT));
        if (stepped_random(&world) % 4 != 0)
            continue;
        vine_clock_advance(by_ns);
        pass(by_ns);
        for (uint32_t n = 0; n < BELLS; n++) {
            const int before = expected[n].rings;

            expect_bell(&expected[n], (enum vine_clock)(n % VINE_CLOCK_COUNT));
            rings += (uint64_t)(expected[n].rings - before);
        }
    }
    assert_true(rings > STEPS / 40);
    for (uint32_t i = 0; i < BELLS; i++) {
        (void)vine_timer_cancel(&expected[i].bell->timer);
        free(expected[i].bell);
    }
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
        TEST(a_timer_that_is_due_can_be_stopped),
        TEST(a_period_ends_when_it_is_stopped),
        TEST(a_time_out_of_many_requests_rings_for_the_one_that_is_late),
        TEST(timers_ring_though_every_turn_is_late_and_has_ends_of_operations),
        TEST(a_loop_that_was_away_takes_no_more_ends_in_a_turn_than_another),
        TEST(what_came_while_a_loop_was_away_goes_before_its_timers),
        TEST(timers_ring_though_a_loop_that_was_away_never_hears_the_last),
        TEST(an_idle_core_sleeps_for_ever_when_its_stopped_timer_has_gone),
        TEST(random_changes_ring_as_a_plain_list_says),
        TEST(the_manual_clock_moves_when_it_is_told_to),
        TEST(a_crowd_of_timers_is_called_to_the_last),
        TEST(an_idle_core_may_sleep_until_its_next_timer),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
