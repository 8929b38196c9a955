/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Calls of cores that are stepped in an order of a seed's, and calls of two that run. */
#include "harness/stepped.h"

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <vine/call_limit.h>
#include <vine/error.h>

#include "core/metrics/metrics.h"
#include "utils/container_of.h"

#define CORES   4
#define MANY    300
#define AT_MOST 3

struct asked {
    struct vine_limited_call call;
    uint32_t number;
};

static struct stepped world;
static struct asked asked[CORES * MANY];
static struct vine_call_limit *limit;
static uint32_t ended, served, most_served, next_number;
static struct vine_reply replies[CORES * MANY];
static uint32_t reply_count;

static int start_seeded(uint64_t seed)
{
    ended = served = most_served = next_number = reply_count = 0;
    limit = NULL;
    memset(asked, 0, sizeof(asked));
    stepped_open(&world, CORES, seed, NULL);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return start_seeded(11);
}

static int tear_down(void **state)
{
    (void)state;
    (void)vine__reactor_enter(world.reactors[0]);
    vine_call_limit_destroy(limit);
    for (uint32_t core = 0; core < CORES; core++)
        vine__metrics_end(core);
    stepped_close(&world);
    return 0;
}

static void be_core(uint32_t core)
{
    (void)vine__reactor_enter(world.reactors[core]);
}

static int64_t keep(void *argument)
{
    struct asked *const one = argument;

    assert_int_equal(one->number, next_number); /* first come, first served */
    next_number++;
    served++;
    most_served = served > most_served ? served : most_served;
    replies[reply_count++] = vine_core_call_defer();
    return 0;
}

static void see_end(struct vine_limited_call *call)
{
    assert_int_equal(vine_limited_call_result(call), 7);
    ended++;
}

/* Answer those that core 1 has kept. */
static void answer_all(void)
{
    be_core(1);
    while (reply_count > 0) {
        served--;
        vine_core_call_reply(replies[--reply_count], 7);
    }
    be_core(0);
}

static void ask(uint32_t first, uint32_t count)
{
    for (uint32_t i = first; i < first + count; i++) {
        asked[i].number = i;
        assert_int_equal(vine_limited_call(limit, &asked[i].call, 1, keep, &asked[i], see_end), 0);
    }
}

static struct vine_call_limit_counts counts(void)
{
    struct vine_call_limit_counts now;

    vine_call_limit_get_counts(limit, &now);
    return now;
}

/* ---- refusals -------------------------------------------------------------------------------- */

static void a_limit_that_is_none_is_refused(void **state)
{
    struct vine_call_limit *second = NULL;

    (void)state;
    assert_int_equal(vine_call_limit_create(&limit, "a", 0), -EINVAL);
    assert_null(limit);
    assert_int_equal(vine_call_limit_create(&limit, "a", 1), 0);
    assert_int_equal(vine_call_limit_create(&second, "a", 1), -EEXIST);
    assert_null(second);
    be_core(1);
    assert_int_equal(vine_call_limit_create(&second, "a", 1), 0);
    vine_call_limit_destroy(second);
    be_core(0);
}

static void who_does_not_want_to_wait_is_told(void **state)
{
    struct asked third = {.number = 2};

    (void)state;
    assert_int_equal(vine_call_limit_create(&limit, NULL, 2), 0);
    ask(0, 2);
    assert_int_equal(vine_limited_call_try(limit, &third.call, 1, keep, &third, see_end), -EAGAIN);
    assert_int_equal(counts().refused, 1);
    /* Another core has a limit of its own. */
    assert_int_equal(vine_limited_call_try(limit, &third.call, 2, keep, &third, see_end), 0);
    stepped_settle(&world);
    assert_int_equal(reply_count, 3);
    be_core(2);
    vine_core_call_reply(replies[2], 7);
    reply_count--;
    answer_all();
    stepped_settle(&world);
    assert_int_equal(ended, 3);
    assert_int_equal(vine_limited_call_try(limit, &third.call, 1, keep, &third, see_end), 0);
    next_number = 2;
    stepped_settle(&world);
    answer_all();
    stepped_settle(&world);
    assert_int_equal(ended, 4);
}

/* ---- waiting --------------------------------------------------------------------------------- */

static void no_more_are_on_their_way_and_all_begin_in_their_order(void **state)
{
    (void)state;
    for (uint64_t seed = 1; seed < 20; seed++) {
        (void)tear_down(NULL);
        (void)start_seeded(seed);
        assert_int_equal(vine_call_limit_create(&limit, "kept", AT_MOST), 0);
        ask(0, MANY);
        assert_int_equal(counts().in_flight, AT_MOST);
        assert_int_equal(counts().waiting, MANY - AT_MOST);
        for (uint32_t i = 0; ended < MANY; i++) {
            assert_true(i < STEPPED_TURNS_MAX);
            stepped_settle(&world);
            answer_all();
        }
        assert_int_equal(most_served, AT_MOST);
        assert_int_equal(counts().calls, MANY);
        assert_int_equal(counts().waited, MANY - AT_MOST);
        assert_int_equal(counts().in_flight, 0);
        assert_int_equal(counts().waiting, 0);
    }
}

static void ask_as_the_second_ends(struct vine_limited_call *call)
{
    see_end(call);
    if (ended == 2)
        ask(3, 1);
}

/* Two end in one turn: one leaves its place to who waits, the other one makes a new call. */
static void who_waits_is_not_overtaken_by_who_comes_as_places_are_left(void **state)
{
    (void)state;
    assert_int_equal(vine_call_limit_create(&limit, NULL, 2), 0);
    for (uint32_t i = 0; i < 3; i++) {
        asked[i].number = i;
        assert_int_equal(vine_limited_call(limit, &asked[i].call, 1, keep, &asked[i],
                                           i < 2 ? ask_as_the_second_ends : see_end),
                         0);
    }
    stepped_settle(&world);
    answer_all();
    stepped_settle(&world);
    answer_all();
    stepped_settle(&world);
    assert_int_equal(next_number, 4);
    assert_int_equal(ended, 4);
}

static struct vine_group group_seen[2];

static int64_t see_group(void *argument)
{
    *(struct vine_group *)argument = vine_group_current();
    return 7;
}

static struct vine_group group;

static void ask_twice(struct vine_work *work)
{
    (void)work;
    for (int i = 0; i < 2; i++)
        assert_int_equal(
            vine_limited_call(limit, &asked[i].call, 1, see_group, &group_seen[i], see_end), 0);
}

static void one_that_waited_runs_in_the_group_of_its_caller(void **state)
{
    const struct vine_group parent = {0};
    struct vine_work work;

    (void)state;
    assert_int_equal(vine_group_create("askers", 50, parent, 0, &group), 0);
    assert_int_equal(vine_call_limit_create(&limit, NULL, 1), 0);
    vine_work_init(&work, ask_twice);
    vine_work_set_group(&work, group);
    vine_work_post(&work);
    stepped_settle(&world);
    assert_int_equal(ended, 2);
    assert_int_equal(group_seen[0].id, group.id);
    assert_int_equal(group_seen[1].id, group.id);
}

/* ---- nested ---------------------------------------------------------------------------------- */

/* Each core asks the next one under its first limit, which answers when the one after that has
 * answered under its second: in one order, so all end, however few may be on their way. */
static struct vine_call_limit *outer[CORES], *inner[CORES];

struct nested {
    struct vine_limited_call outer, inner;
    struct vine_reply reply;
};

static int64_t answer(void *argument)
{
    (void)argument;
    return 7;
}

static void pass_answer(struct vine_limited_call *call)
{
    vine_core_call_reply(VINE_CONTAINER_OF(call, struct nested, inner)->reply,
                         vine_limited_call_result(call));
}

static int64_t ask_further(void *argument)
{
    struct nested *const nested = argument;
    const uint32_t core = vine_core();

    nested->reply = vine_core_call_defer();
    assert_int_equal(vine_limited_call(inner[core], &nested->inner, (core + 1) % CORES, answer,
                                       NULL, pass_answer),
                     0);
    return 0;
}

static void limits_that_nest_in_one_order_never_wait_for_ever(void **state)
{
    struct nested *const nested = calloc(CORES * MANY, sizeof(*nested));

    (void)state;
    assert_non_null(nested);
    for (uint32_t core = 0; core < CORES; core++) {
        be_core(core);
        assert_int_equal(vine_call_limit_create(&outer[core], "outer", 1), 0);
        assert_int_equal(vine_call_limit_create(&inner[core], "inner", 1), 0);
    }
    for (uint32_t core = 0; core < CORES; core++) {
        be_core(core);
        for (uint32_t i = 0; i < MANY; i++) {
            struct nested *const one = &nested[core * MANY + i];

            assert_int_equal(vine_limited_call(outer[core], &one->outer, (core + i) % CORES,
                                               ask_further, one, see_end),
                             0);
        }
    }
    stepped_settle(&world);
    assert_int_equal(ended, CORES * MANY);
    for (uint32_t core = 0; core < CORES; core++) {
        be_core(core);
        vine_call_limit_destroy(outer[core]);
        vine_call_limit_destroy(inner[core]);
    }
    free(nested);
}

/* ---- the end --------------------------------------------------------------------------------- */

static uint32_t closed;

static void see_closed(struct vine_waiting *waiting)
{
    assert_int_equal(vine_waiting_result(waiting), 0);
    assert_int_equal(ended, 5);
    vine_call_limit_destroy(limit);
    limit = NULL;
    closed++;
}

static void closing_waits_for_all_that_were_taken_and_takes_no_more(void **state)
{
    struct vine_waiting waiting;
    struct asked late = {.number = 5};

    (void)state;
    closed = 0;
    assert_int_equal(vine_call_limit_create(&limit, "closing", 2), 0);
    vine_waiting_init(&waiting, see_closed);
    ask(0, 5);
    vine_call_limit_close(limit, &waiting);
    assert_int_equal(vine_limited_call(limit, &late.call, 1, keep, &late, see_end), -VINE_ECLOSED);
    assert_int_equal(vine_limited_call_try(limit, &late.call, 2, keep, &late, see_end),
                     -VINE_ECLOSED);
    while (ended < 5) {
        assert_int_equal(closed, 0);
        stepped_settle(&world);
        answer_all();
    }
    stepped_settle(&world);
    assert_int_equal(closed, 1);
}

/* ---- cores that run -------------------------------------------------------------------------- */

#define RUN_CORES 2
#define RUN_CALLS 20000

static struct {
    struct vine__mesh *mesh;
    struct vine__reactor *reactors[RUN_CORES];
    pthread_barrier_t barrier;
    struct vine_call_limit *limit;
    struct vine_waiting waiting;
    struct vine_limited_call calls[16];
    struct vine_work first;
    uint32_t made, ended;
    int64_t most_in_flight;
} run;

static void stop_all(struct vine_waiting *waiting)
{
    (void)waiting;
    vine_call_limit_destroy(run.limit);
    vine_stop(0);
}

static void call_on(struct vine_limited_call *call)
{
    struct vine_call_limit_counts now;

    vine_call_limit_get_counts(run.limit, &now);
    if (now.in_flight > run.most_in_flight)
        run.most_in_flight = now.in_flight;
    run.ended += call->done != NULL;
    if (run.made < RUN_CALLS) {
        run.made++;
        assert_int_equal(vine_limited_call(run.limit, call, 1, answer, NULL, call_on), 0);
    } else if (run.ended == RUN_CALLS) {
        vine_waiting_init(&run.waiting, stop_all);
        vine_call_limit_close(run.limit, &run.waiting);
    }
}

static void begin(struct vine_work *work)
{
    (void)work;
    assert_int_equal(vine_call_limit_create(&run.limit, "running", AT_MOST), 0);
    for (size_t i = 0; i < sizeof(run.calls) / sizeof(run.calls[0]); i++)
        call_on(&run.calls[i]);
}

static void *run_core(void *context)
{
    const uint32_t core = (uint32_t)(uintptr_t)context;
    const struct vine__poller_options options = {.queue_depth = 32};
    struct vine__poller *poller;

    assert_int_equal(vine__poller_create(&poller, &options), 0);
    assert_int_equal(vine__reactor_create(&run.reactors[core], run.mesh, core, poller), 0);
    (void)pthread_barrier_wait(&run.barrier);
    if (core == 0) {
        (void)vine__reactor_enter(run.reactors[0]);
        vine_work_init(&run.first, begin);
        vine_work_post(&run.first);
    }
    vine__reactor_run(run.reactors[core]);
    (void)pthread_barrier_wait(&run.barrier);
    vine__reactor_destroy(run.reactors[core]);
    vine__metrics_end(core);
    return NULL;
}

static void two_cores_that_run_end_all_calls(void **state)
{
    const struct vine__mesh_options options = {.core_count = RUN_CORES, .idle_poll_ns = 20000};
    pthread_t threads[RUN_CORES];

    (void)state;
    (void)vine__reactor_enter(NULL);
    assert_int_equal(vine__mesh_create(&run.mesh, &options), 0);
    (void)pthread_barrier_init(&run.barrier, NULL, RUN_CORES);
    for (uintptr_t core = 0; core < RUN_CORES; core++)
        assert_int_equal(pthread_create(&threads[core], NULL, run_core, (void *)core), 0);
    for (uint32_t core = 0; core < RUN_CORES; core++)
        (void)pthread_join(threads[core], NULL);
    (void)pthread_barrier_destroy(&run.barrier);
    vine__mesh_destroy(run.mesh);
    assert_int_equal(run.ended, RUN_CALLS);
    assert_int_equal(run.most_in_flight, AT_MOST);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
    const struct CMUnitTest tests[] = {
        TEST(a_limit_that_is_none_is_refused),
        TEST(who_does_not_want_to_wait_is_told),
        TEST(no_more_are_on_their_way_and_all_begin_in_their_order),
        TEST(who_waits_is_not_overtaken_by_who_comes_as_places_are_left),
        TEST(one_that_waited_runs_in_the_group_of_its_caller),
        TEST(limits_that_nest_in_one_order_never_wait_for_ever),
        TEST(closing_waits_for_all_that_were_taken_and_takes_no_more),
        cmocka_unit_test(two_cores_that_run_end_all_calls),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
