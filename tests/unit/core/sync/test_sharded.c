/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * Functions and services on every core: four of them in one thread, stepped in an order that
 * follows from the seed.
 */
#include "harness/stepped.h"

#include <errno.h>
#include <string.h>

#include <vine/sharded.h>

#define CORES 4

/* Sanitizers end a program that asks for too much memory, unless they are told to refuse it. */
VINE_API const char *__asan_default_options(void);
const char *__asan_default_options(void)
{
    return "allocator_may_return_null=1";
}

VINE_API const char *__tsan_default_options(void);
const char *__tsan_default_options(void)
{
    return "allocator_may_return_null=1";
}

static struct stepped world;

static int open_world(void **state)
{
    (void)state;
    stepped_open(&world, CORES, 7, NULL);
    return 0;
}

static int close_world(void **state)
{
    (void)state;
    stepped_close(&world);
    return 0;
}

static void settle(void)
{
    stepped_settle(&world);
    (void)vine__reactor_enter(world.reactors[0]);
}

/* ---- map and reduce -------------------------------------------------------------------------- */

static int done_count;
static int64_t done_result;
static uint32_t done_core;

static void note_done(struct vine_map_reduce *map_reduce)
{
    done_count++;
    done_result = map_reduce->result;
    done_core = vine_core();
}

static int64_t power_of_ten(void *argument)
{
    int64_t value = *(const int64_t *)argument;

    for (uint32_t core = 0; core < vine_core(); core++)
        value *= 10;
    return value;
}

static int64_t subtract(int64_t so_far, int64_t value)
{
    return 2 * so_far - value;
}

static void each_core_is_asked_once_and_the_results_are_put_together(void **state)
{
    int64_t digit = 3;
    struct vine_core_call calls[CORES];
    struct vine_map_reduce sum = {.map = power_of_ten,
                                  .argument = &digit,
                                  .reduce = vine_reduce_sum,
                                  .done = note_done,
                                  .result = 10000};
    (void)state;

    done_count = 0;
    vine_map_reduce(&sum, calls);
    assert_int_equal(done_count, 0);
    settle();
    assert_int_equal(done_count, 1);
    assert_int_equal(done_result, 13333);
    assert_int_equal(done_core, 0);
}

static void results_are_put_together_in_the_order_of_the_cores(void **state)
{
    int64_t digit = 1;
    struct vine_core_call calls[CORES];
    struct vine_map_reduce all = {
        .map = power_of_ten, .argument = &digit, .reduce = subtract, .done = note_done};
    (void)state;

    for (int round = 0; round < 20; round++) { /* whatever order they come in */
        all.result = 0;
        vine_map_reduce(&all, calls);
        settle();
        assert_int_equal(done_result, -8 * 1 - 4 * 10 - 2 * 100 - 1000);
    }
}

static void without_reduce_each_value_is_kept(void **state)
{
    int64_t digit = 7;
    struct vine_core_call calls[CORES];
    struct vine_map_reduce all = {.map = power_of_ten, .argument = &digit, .done = note_done};
    int64_t value = 7;
    (void)state;

    vine_map_reduce(&all, calls);
    settle();
    for (int core = 0; core < CORES; core++, value *= 10)
        assert_int_equal(vine_core_call_result(&calls[core]), value);
    assert_int_equal(done_result, 0);
}

static void the_first_error_is_the_one_that_counts(void **state)
{
    (void)state;
    assert_int_equal(vine_reduce_error(0, 5), 0);
    assert_int_equal(vine_reduce_error(0, -EIO), -EIO);
    assert_int_equal(vine_reduce_error(-EIO, -ENOMEM), -EIO);
    assert_int_equal(vine_reduce_error(-EIO, 0), -EIO);
}

/* ---- services -------------------------------------------------------------------------------- */

struct instance {
    unsigned char zeroes[100];
    struct vine_work work;
    struct vine_reply reply;
    int result;
    uint32_t core;
};

/* What the service is to do, and what happened. */
struct plan {
    int start_results[CORES];
    int stop_results[CORES];
    uint32_t starts[CORES];
    uint32_t stops[CORES];
    uint32_t dones;
};

static void answer(struct vine_work *work)
{
    struct instance *instance =
        (struct instance *)(void *)((char *)work - offsetof(struct instance, work));

    assert_int_equal(vine_core(), instance->core);
    vine_core_call_reply(instance->reply, instance->result);
}

/* Odd cores answer later. */
static void reply(struct instance *instance, struct vine_reply reply, int result)
{
    if (vine_core() % 2 == 0) {
        vine_core_call_reply(reply, result);
        return;
    }
    instance->reply = reply;
    instance->result = result;
    vine_work_init(&instance->work, answer);
    vine_work_post(&instance->work);
}

static void start(void *place, void *argument, struct vine_reply to)
{
    struct instance *instance = place;
    struct plan *plan = argument;

    for (size_t n = 0; n < sizeof(instance->zeroes); n++)
        assert_int_equal(instance->zeroes[n], 0);
    memset(instance, 0x55, sizeof(*instance));
    instance->core = vine_core();
    plan->starts[vine_core()]++;
    reply(instance, to, plan->start_results[vine_core()]);
}

static void stop(void *place, void *argument, struct vine_reply to)
{
    struct instance *instance = place;
    struct plan *plan = argument;

    assert_int_equal(instance->core, vine_core());
    plan->stops[vine_core()]++;
    reply(instance, to, plan->stop_results[vine_core()]);
}

static void note_service(struct vine_sharded *sharded, void *argument)
{
    struct plan *plan = argument;

    (void)sharded;
    plan->dones++;
    assert_int_equal(vine_core(), 0);
}

static struct vine_sharded *make(struct plan *plan)
{
    const struct vine_sharded_options options = {.size_bytes = sizeof(options),
                                                 .instance_bytes = sizeof(struct instance),
                                                 .start = start,
                                                 .stop = stop,
                                                 .argument = plan};
    struct vine_sharded *sharded = NULL;

    assert_int_equal(vine_sharded_create(&sharded, &options), 0);
    return sharded;
}

static void impossible_options_are_refused(void **state)
{
    struct vine_sharded_options options = {.size_bytes = sizeof(options) - 1, .instance_bytes = 8};
    struct vine_sharded *sharded = NULL;
    (void)state;

    assert_int_equal(vine_sharded_create(&sharded, NULL), -EINVAL);
    assert_int_equal(vine_sharded_create(&sharded, &options), -EINVAL);
    options.size_bytes = sizeof(options);
    options.instance_bytes = 0;
    assert_int_equal(vine_sharded_create(&sharded, &options), -EINVAL);
    options.instance_bytes = SIZE_MAX;
    assert_int_equal(vine_sharded_create(&sharded, &options), -EINVAL);
    assert_null(sharded);
    vine_sharded_destroy(NULL);
}

static void a_start_that_fails_on_a_core_stops_the_others(void **state)
{
    struct plan plan = {.start_results = {0, -EIO, 0, -EPERM}, .stop_results = {-EBUSY}};
    struct vine_sharded *sharded = make(&plan);
    (void)state;

    vine_sharded_start(sharded, note_service);
    settle();
    assert_int_equal(plan.dones, 1);
    assert_int_equal(vine_sharded_result(sharded), -EIO);
    for (uint32_t core = 0; core < CORES; core++) {
        assert_int_equal(plan.starts[core], 1);
        assert_int_equal(plan.stops[core], plan.start_results[core] == 0);
        (void)vine__reactor_enter(world.reactors[core]);
        assert_null(vine_sharded_local(sharded));
    }
    (void)vine__reactor_enter(world.reactors[0]);
    /* And it can be tried again. */
    memset(&plan, 0, sizeof(plan));
    vine_sharded_start(sharded, note_service);
    settle();
    assert_int_equal(vine_sharded_result(sharded), 0);
    vine_sharded_stop(sharded, note_service);
    settle();
    assert_int_equal(plan.dones, 2);
    vine_sharded_destroy(sharded);
}

static void a_core_without_memory_fails_the_start(void **state)
{
    const struct vine_sharded_options options = {.size_bytes = sizeof(options),
                                                 .instance_bytes = SIZE_MAX / 4};
    struct plan plan = {.dones = 0};
    struct vine_sharded_options with_plan = options;
    struct vine_sharded *sharded = NULL;
    (void)state;

    with_plan.argument = &plan;
    assert_int_equal(vine_sharded_create(&sharded, &with_plan), 0);
    vine_sharded_start(sharded, note_service);
    settle();
    assert_int_equal(plan.dones, 1);
    assert_int_equal(vine_sharded_result(sharded), -ENOMEM);
    vine_sharded_destroy(sharded);
}

static void each_core_has_its_own_instance(void **state)
{
    struct plan plan = {.dones = 0};
    struct vine_sharded *sharded = make(&plan);
    struct instance *seen[CORES];
    (void)state;

    assert_null(vine_sharded_local(sharded));
    vine_sharded_start(sharded, note_service);
    assert_int_equal(plan.dones, 0);
    settle();
    assert_int_equal(plan.dones, 1);
    for (uint32_t core = 0; core < CORES; core++) {
        (void)vine__reactor_enter(world.reactors[core]);
        seen[core] = vine_sharded_local(sharded);
        assert_int_equal(seen[core]->core, core);
        assert_int_equal((uintptr_t)seen[core] % VINE_CACHE_LINE, 0);
    }
    (void)vine__reactor_enter(world.reactors[0]);
    vine_sharded_stop(sharded, note_service);
    settle();
    assert_int_equal(plan.dones, 2);
    assert_int_equal(vine_sharded_result(sharded), 0);
    for (uint32_t core = 0; core < CORES; core++)
        assert_int_equal(plan.stops[core], 1);
    assert_null(vine_sharded_local(sharded));
    vine_sharded_destroy(sharded);
}

static void a_stop_that_fails_says_so_and_ends_all_the_same(void **state)
{
    struct plan plan = {.stop_results = {0, 0, -EIO, 0}};
    struct vine_sharded *sharded = make(&plan);
    (void)state;

    vine_sharded_start(sharded, note_service);
    settle();
    vine_sharded_stop(sharded, note_service);
    settle();
    assert_int_equal(vine_sharded_result(sharded), -EIO);
    assert_null(vine_sharded_local(sharded));
    vine_sharded_destroy(sharded);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_core_is_asked_once_and_the_results_are_put_together),
        cmocka_unit_test(results_are_put_together_in_the_order_of_the_cores),
        cmocka_unit_test(without_reduce_each_value_is_kept),
        cmocka_unit_test(the_first_error_is_the_one_that_counts),
        cmocka_unit_test(impossible_options_are_refused),
        cmocka_unit_test(a_start_that_fails_on_a_core_stops_the_others),
        cmocka_unit_test(a_core_without_memory_fails_the_start),
        cmocka_unit_test(each_core_has_its_own_instance),
        cmocka_unit_test(a_stop_that_fails_says_so_and_ends_all_the_same),
    };
    return cmocka_run_group_tests(tests, open_world, close_world);
}
