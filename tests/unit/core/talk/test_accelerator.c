/* SPDX-License-Identifier: Apache-2.0 */
#include "served.h"

static struct served served;
static struct vine_pipe *pipe_of_test;

static void start(void)
{
    served_start(&served, NULL, 3);
    pipe_of_test = served_open(&served, NULL);
}

static void stop(void)
{
    vine_pipe_close(pipe_of_test);
    served_stop(&served);
}

static struct vine_accelerator *acquire(enum vine_accelerator_order order)
{
    struct vine_accelerator *accelerator = NULL;

    assert_int_equal(vine_accelerator_acquire(pipe_of_test, "cpu", order, &accelerator), 0);
    return accelerator;
}

static void what_there_is_not_is_not_acquired(void **state)
{
    (void)state;
    struct vine_accelerator *accelerator = NULL;

    start();
    assert_int_equal(vine_accelerator_acquire(pipe_of_test, "cuda", VINE_ORDERED, &accelerator),
                     -VINE_EACCELERATOR);
    assert_int_equal(vine_accelerator_acquire(pipe_of_test, "a_name_of_more_than_thirty_one_bytes_",
                                              VINE_ORDERED, &accelerator),
                     -VINE_EACCELERATOR);
    assert_int_equal(
        vine_accelerator_acquire(pipe_of_test, NULL, (enum vine_accelerator_order)7, &accelerator),
        -EINVAL);
    assert_null(accelerator);
    vine_accelerator_release(NULL);
    stop();
}

static void the_appliance_tells_of_its_processors(void **state)
{
    (void)state;
    struct vine_accelerator_info info[2];

    start();
    assert_int_equal(vine_accelerator_list(pipe_of_test, NULL, NULL, 0), 1);
    assert_int_equal(vine_accelerator_list(pipe_of_test, "cpu", info, 2), 1);
    assert_string_equal(info[0].type, "cpu");
    assert_true(info[0].parallelism >= 1);
    assert_int_equal(vine_accelerator_list(pipe_of_test, "cuda", info, 2), 0);
    stop();
}

/* A task that waits for one of another accelerator keeps its place in its own. */
static void a_task_that_waits_is_not_overtaken_on_its_accelerator(void **state)
{
    (void)state;
    struct vine_task *tasks[3];

    start();
    struct vine_accelerator *first = acquire(VINE_ORDERED);
    struct vine_accelerator *second = acquire(VINE_ORDERED);
    struct vine_task_options options = {.size_bytes = sizeof options, .accelerator = first};
    tasks[0] = gate_issue(pipe_of_test, 1, &options);
    options = (struct vine_task_options){
        .size_bytes = sizeof options, .accelerator = second, .after = tasks[0]};
    tasks[1] = gate_issue(pipe_of_test, 2, &options);
    options.after = NULL;
    tasks[2] = gate_issue(pipe_of_test, 3, &options);
    /* The loop has seen them all when it has done this one. */
    assert_int_equal(
        vine_task_run(pipe_of_test, served_get(pipe_of_test, "noop"), NULL, LIMIT, NULL, NULL), 0);
    gate_set(true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    for (int i = 0; i < 3; i++)
        assert_int_equal(gate_order(i), i + 1);
    vine_accelerator_release(first);
    vine_accelerator_release(second);
    stop();
}

static void ordered_tasks_run_one_after_the_other(void **state)
{
    (void)state;
    struct vine_task *tasks[20];

    start();
    struct vine_accelerator *accelerator = acquire(VINE_ORDERED);
    struct vine_task_options options = {.size_bytes = sizeof options, .accelerator = accelerator};
    gate_set(true);
    for (uint64_t i = 0; i < 20; i++)
        tasks[i] = gate_issue(pipe_of_test, i, &options);
    for (int i = 0; i < 20; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        assert_int_equal(gate_order(i), i);
        vine_task_free(tasks[i]);
    }
    vine_accelerator_release(accelerator);
    stop();
}

static void parallel_tasks_run_beside_each_other(void **state)
{
    (void)state;
    struct vine_task *tasks[3];

    start();
    struct vine_accelerator *accelerator = acquire(VINE_PARALLEL);
    struct vine_task_options options = {.size_bytes = sizeof options, .accelerator = accelerator};
    for (uint64_t i = 0; i < 3; i++)
        tasks[i] = gate_issue(pipe_of_test, i, &options);
    gate_wait_for(3);
    gate_set(true);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    vine_accelerator_release(accelerator);
    stop();
}

static void statistics_sum_what_ran_on_it(void **state)
{
    (void)state;
    struct vine_accelerator_stats stats;

    start();
    struct vine_accelerator *accelerator = acquire(VINE_PARALLEL);
    struct vine_task_options options = {.size_bytes = sizeof options, .accelerator = accelerator};
    vine_accelerator_get_stats(accelerator, &stats);
    assert_int_equal(stats.state, VINE_ACCELERATOR_FREE);
    struct vine_task *task = gate_issue(pipe_of_test, 0, &options);
    vine_accelerator_get_stats(accelerator, &stats);
    assert_int_equal(stats.state, VINE_ACCELERATOR_BUSY);
    assert_int_equal(stats.tasks_issued, 1);
    assert_int_equal(stats.tasks_ended, 0);
    gate_wait_for(1);
    assert_int_equal(vine_task_wait(task, 1000000), -ETIMEDOUT);
    gate_set(true);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    vine_accelerator_get_stats(accelerator, &stats);
    assert_int_equal(stats.state, VINE_ACCELERATOR_FREE);
    assert_int_equal(stats.tasks_ended, 1);
    assert_true(stats.run_ns > 100000);
    vine_task_free(task);
    vine_accelerator_release(accelerator);
    stop();
}

static void an_accelerator_of_a_pipe_that_is_over_says_so(void **state)
{
    (void)state;
    struct vine_accelerator_stats stats;

    start();
    struct vine_accelerator *accelerator = acquire(VINE_ORDERED);
    served_stop(&served);
    assert_int_not_equal(vine_pipe_status(pipe_of_test), 0);
    vine_accelerator_get_stats(accelerator, &stats);
    assert_int_equal(stats.state, VINE_ACCELERATOR_LOST);
    vine_accelerator_release(accelerator);
    vine_pipe_close(pipe_of_test);
}

static void a_released_accelerator_serves_its_tasks_to_their_end(void **state)
{
    (void)state;

    start();
    struct vine_accelerator *accelerator = acquire(VINE_ORDERED);
    struct vine_task_options options = {.size_bytes = sizeof options, .accelerator = accelerator};
    struct vine_task *first = gate_issue(pipe_of_test, 1, &options);
    struct vine_task *second = gate_issue(pipe_of_test, 2, &options);
    vine_accelerator_release(accelerator);
    gate_set(true);
    assert_int_equal(vine_task_wait(second, LIMIT), 0);
    assert_int_equal(vine_task_wait(first, LIMIT), 0);
    vine_task_free(first);
    vine_task_free(second);
    stop();
}

static void accelerators_are_bounded_and_come_back(void **state)
{
    (void)state;
    struct vine_accelerator *held[128];
    int count = 0;
    int error;

    start();
    for (int round = 0; round < 20; round++) {
        count = 0;
        while ((error = vine_accelerator_acquire(pipe_of_test, NULL, VINE_ORDERED, &held[count])) ==
               0)
            count++;
        assert_int_equal(error, -VINE_EQUOTA);
        assert_int_equal(count, 63);
        while (count > 0)
            vine_accelerator_release(held[--count]);
        /* The releases are tasks: their numbers are free when these have ended. */
        struct vine_pipe_stats stats;
        do {
            assert_true(vine_pipe_poll(pipe_of_test) >= 0);
            vine_pipe_get_stats(pipe_of_test, &stats);
        } while (stats.tasks_in_flight > 0);
    }
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_there_is_not_is_not_acquired),
        cmocka_unit_test(the_appliance_tells_of_its_processors),
        cmocka_unit_test(a_task_that_waits_is_not_overtaken_on_its_accelerator),
        cmocka_unit_test(ordered_tasks_run_one_after_the_other),
        cmocka_unit_test(parallel_tasks_run_beside_each_other),
        cmocka_unit_test(statistics_sum_what_ran_on_it),
        cmocka_unit_test(an_accelerator_of_a_pipe_that_is_over_says_so),
        cmocka_unit_test(a_released_accelerator_serves_its_tasks_to_their_end),
        cmocka_unit_test(accelerators_are_bounded_and_come_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
