/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* A core that has more to do than it may have. */
#include "harness/stepped.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <vine/timer.h>

#include "utils/container_of.h"

#define BACKLOG_MAX 4
#define ENDLESS     (4 * BACKLOG_MAX)
#define TURNS       20
#define CROWD       20000  /* beyond what a loop that was away may have to do, and still hear */
#define WORK_NS     100000 /* some of them use what a turn may */

struct endless {
    struct vine_work work;
    bool is_over;
};

struct letter {
    struct vine__operation operation;
    unsigned char byte;
    int ends;
    int32_t result;
};

static struct stepped world;
static struct endless all[ENDLESS];
static struct letter letter;
static int ends[2];

static void go_on(struct vine_work *work)
{
    world.clock_ns += WORK_NS;
    if (!VINE_CONTAINER_OF(work, struct endless, work)->is_over)
        vine_work_post(work);
}

static void on_written(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct letter *const written = VINE_CONTAINER_OF(operation, struct letter, operation);

    (void)flags;
    written->ends++;
    written->result = result;
}

static int set_up(void **state)
{
    const struct vine__mesh_options options = {.backlog_max = BACKLOG_MAX};

    (void)state;
    stepped_open(&world, 1, 1, &options);
    assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
    assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
    letter = (struct letter){
        .operation = {.fn = on_written,
                      .kind = VINE__POLL_WRITE,
                      .fd = ends[1],
                      .bytes = &letter.byte,
                      .size = 1,
                      .offset = VINE__POLL_STREAM},
        .byte = 7,
    };
    for (int i = 0; i < ENDLESS; i++) {
        all[i].is_over = false;
        vine_work_init(&all[i].work, go_on);
        vine_work_post(&all[i].work);
    }
    return 0;
}

static int tear_down(void **state)
{
    (void)state;
    for (int i = 0; i < ENDLESS; i++)
        all[i].is_over = true;
    stepped_settle(&world);
    stepped_close(&world);
    (void)close(ends[0]);
    (void)close(ends[1]);
    return 0;
}

static void take_turns(void)
{
    for (int i = 0; i < TURNS; i++)
        assert_true(stepped_step(&world, 0));
}

static void a_core_that_cannot_keep_up_takes_no_ends_of_operations(void **state)
{
    (void)state;
    take_turns();
    vine__reactor_begin(&letter.operation);
    take_turns();
    assert_int_equal(letter.ends, 0);
    for (int i = 0; i < ENDLESS; i++)
        all[i].is_over = true;
    stepped_settle(&world);
    assert_int_equal(letter.ends, 1);
    assert_int_equal(letter.result, 1);
}

/* An answer does not wait until all others are composed. */
static void what_a_core_begins_goes_out_though_it_cannot_keep_up(void **state)
{
    unsigned char byte = 0;

    (void)state;
    take_turns();
    vine__reactor_begin(&letter.operation);
    assert_int_equal(read(ends[0], &byte, 1), -1);
    assert_int_equal(errno, EAGAIN);
    take_turns();
    assert_int_equal(read(ends[0], &byte, 1), 1);
    assert_int_equal(byte, 7);
}

struct bell {
    struct vine_timer timer;
    bool has_rung;
};

static void ring(struct vine_timer *timer)
{
    VINE_CONTAINER_OF(timer, struct bell, timer)->has_rung = true;
}

/* Timers of who was away wait for the ends of operations, and these for its work. */
static void timers_ring_in_a_core_that_was_away_and_cannot_keep_up(void **state)
{
    struct endless *const crowd = calloc(CROWD, sizeof(*crowd));
    struct bell bell = {.has_rung = false};

    (void)state;
    assert_non_null(crowd);
    for (int i = 0; i < CROWD; i++) {
        vine_work_init(&crowd[i].work, go_on);
        vine_work_post(&crowd[i].work);
    }
    vine_timer_init(&bell.timer, VINE_CLOCK_COARSE, ring);
    vine_timer_arm_after(&bell.timer, VINE_NS_PER_SECOND / 2);
    world.clock_ns += VINE_NS_PER_SECOND;
    for (int i = 0; i < CROWD && !bell.has_rung; i++)
        assert_true(stepped_step(&world, 0));
    assert_true(bell.has_rung);
    for (int i = 0; i < CROWD; i++)
        crowd[i].is_over = true;
    for (int i = 0; i < ENDLESS; i++)
        all[i].is_over = true;
    stepped_settle(&world);
    free(crowd);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_core_that_cannot_keep_up_takes_no_ends_of_operations),
        TEST(what_a_core_begins_goes_out_though_it_cannot_keep_up),
        TEST(timers_ring_in_a_core_that_was_away_and_cannot_keep_up),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
