/* SPDX-License-Identifier: Apache-2.0 */
/* Tasks that somebody wants for a while alone, and handlers that hold the loop. */
#include "served.h"

#include <vine/inspect.h>

#include "arch/clock/clock.h"

static struct served served;
static struct vine_pipe *pipe_of_test;
static uint32_t lines_told; /* atomic: of handlers that held the loop */

static void take_log(void *context, enum vine_log_level level, const char *message)
{
    (void)context;
    (void)level;
    if (strstr(message, "held the loop") != NULL)
        (void)__atomic_fetch_add(&lines_told, 1, __ATOMIC_ACQ_REL);
}

/* Takes at least so many microseconds of the loop. */
static int hold_loop(struct vine_call *call)
{
    const uint64_t until_ns = vine__clock_now_ns() + vine_call_scalar(call, 0, 0) * 1000;

    while (vine__clock_now_ns() < until_ns)
        continue;
    return 0;
}

static const struct vine_procedure_definition holds = {
    .size_bytes = sizeof holds,
    .name = "holds",
    .flags = VINE_PROCEDURE_SHORT,
    .run = hold_loop,
    SERVED_ARGUMENTS(gate_arguments),
};

static void start_at(const char *kind, uint64_t dispatch_max_ns)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .dispatch_max_ns = dispatch_max_ns, .log = take_log};

    lines_told = 0;
    served_start_at(&served, kind, &options, 1);
    assert_int_equal(vine_appliance_register(served.appliance, &holds), 0);
    pipe_of_test = served_open(&served, NULL);
}

static void stop(void)
{
    vine_pipe_close(pipe_of_test);
    served_stop(&served);
}

static struct vine_procedure_stats stats_of(const char *name)
{
    struct vine_procedure_stats stats[64];
    const int count = vine_inspect_procedures(pipe_of_test, stats, 64);

    for (int i = 0; i < count; i++)
        if (strcmp(stats[i].name, name) == 0)
            return stats[i];
    fail();
    return stats[0];
}

static struct vine_task *gate_for(uint64_t number, uint64_t deadline_ns)
{
    struct vine_task_options options = {.size_bytes = sizeof options, .deadline_ns = deadline_ns};

    return gate_issue(pipe_of_test, number, &options);
}

/* One that runs is canceled, in a part that sleeps meanwhile. On a busy machine a deadline may be
 * over before the task is begun: then there is another with more time. */
static void one_that_runs_is_canceled_at_its_deadline(void **state)
{
    bool has_run = false;

    (void)state;
    for (uint64_t deadline_ns = 20000000; !has_run; deadline_ns *= 2) {
        start_at("", 0);
        struct vine_task *task = gate_for(1, deadline_ns);

        assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EDEADLINE);
        vine_task_free(task);
        assert_int_equal(stats_of("gate").tasks_late, 1);
        assert_int_equal(stats_of("gate").tasks_failed, 1);
        has_run = stats_of("gate").run.max_ns > 0;
        stop();
    }
}

static void one_that_waits_for_its_turn_ends_at_its_deadline(void **state)
{
    (void)state;
    start_at("", 0);
    struct vine_task *first = gate_for(1, 0);

    gate_wait_for(1);
    struct vine_task *second = gate_for(2, 10000000);

    assert_int_equal(vine_task_wait(second, LIMIT), -VINE_EDEADLINE);
    assert_int_equal(vine_task_poll(first), -EAGAIN); /* whoever has none goes on */
    gate_set(true);
    assert_int_equal(vine_task_wait(first, LIMIT), 0);
    assert_int_equal(gate_order(0), 1);
    vine_task_free(first);
    vine_task_free(second);
    stop();
}

/* On the loop and on a worker: it is over as soon as it is seen. */
static void one_whose_deadline_is_over_is_not_begun(void **state)
{
    (void)state;
    const struct vine_task_options options = {.size_bytes = sizeof options, .deadline_ns = 1};

    start_at("", 0);
    gate_set(true);
    for (int i = 0; i < 100; i++) {
        struct vine_task *task = gate_for(1, 1);

        assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EDEADLINE);
        vine_task_free(task);
        assert_int_equal(vine_task_run(pipe_of_test, served_get(pipe_of_test, "noop"), &options,
                                       LIMIT, NULL, NULL),
                         -VINE_EDEADLINE);
    }
    assert_int_equal(stats_of("noop").tasks_late, 100);
    assert_int_equal(stats_of("noop").run.max_ns, 0);
    stop();
}

static void whoever_ends_in_time_ends_well(void **state)
{
    (void)state;
    static const uint64_t deadlines[] = {LIMIT, UINT64_MAX, UINT64_MAX / 2, UINT64_C(1) << 58};

    for (int kind = 0; kind < 2; kind++) {
        start_at(kind == 0 ? "" : "file:", 0);
        gate_set(true);
        for (size_t i = 0; i < sizeof deadlines / sizeof deadlines[0]; i++) {
            struct vine_task *task = gate_for(i, deadlines[i]);

            assert_int_equal(vine_task_wait(task, LIMIT), 0);
            vine_task_free(task);
        }
        stop();
    }
}

/* With as many bytes as a task may have, and with as many as a slot has. */
static void a_deadline_takes_no_room_of_arguments(void **state)
{
    (void)state;
    static unsigned char bytes[VINE_TASK_BYTES_MAX];
    static const size_t sizes[] = {1, 31, 32, 33, 40, 41, 4088, 4095, VINE_TASK_BYTES_MAX};

    start_at("", 0);
    memset(bytes, 1, sizeof bytes);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        const struct vine_task_options options = {.size_bytes = sizeof options,
                                                  .bytes = bytes,
                                                  .bytes_size = sizes[i],
                                                  .deadline_ns = LIMIT};
        uint64_t sum = 0;
        size_t size = sizeof sum;

        assert_int_equal(vine_task_run(pipe_of_test, served_get(pipe_of_test, "sum_bytes"),
                                       &options, LIMIT, &sum, &size),
                         0);
        assert_int_equal(sum, sizes[i]);
    }
    stop();
}

static void many_with_deadlines_all_end(void **state)
{
    (void)state;
    enum { COUNT = 180 };
    struct vine_task *tasks[COUNT];

    start_at("", 0);
    for (uint64_t i = 0; i < COUNT; i++)
        tasks[i] = gate_for(i, 5000000 + i % 7 * 1000000);
    for (int i = 0; i < COUNT; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), -VINE_EDEADLINE);
        vine_task_free(tasks[i]);
    }
    assert_int_equal(stats_of("gate").tasks_late, COUNT);
    stop();
}

static void who_holds_the_loop_is_told_of_in_the_log_and_in_statistics(void **state)
{
    (void)state;
    uint64_t us = 5000;
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &us, .bytes_size = sizeof us};

    start_at("", 1000000);
    for (int i = 0; i < 3; i++)
        assert_int_equal(vine_task_run(pipe_of_test, served_get(pipe_of_test, "holds"), &options,
                                       LIMIT, NULL, NULL),
                         0);
    assert_int_equal(stats_of("holds").runs_long, 3);
    assert_true(__atomic_load_n(&lines_told, __ATOMIC_ACQUIRE) >= 1);
    stop();
    /* Unless nobody wants to know. */
    start_at("", 0);
    assert_int_equal(
        vine_task_run(pipe_of_test, served_get(pipe_of_test, "holds"), &options, LIMIT, NULL, NULL),
        0);
    assert_int_equal(stats_of("holds").runs_long, 0);
    assert_int_equal(__atomic_load_n(&lines_told, __ATOMIC_ACQUIRE), 0);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_runs_is_canceled_at_its_deadline),
        cmocka_unit_test(one_that_waits_for_its_turn_ends_at_its_deadline),
        cmocka_unit_test(one_whose_deadline_is_over_is_not_begun),
        cmocka_unit_test(whoever_ends_in_time_ends_well),
        cmocka_unit_test(a_deadline_takes_no_room_of_arguments),
        cmocka_unit_test(many_with_deadlines_all_end),
        cmocka_unit_test(who_holds_the_loop_is_told_of_in_the_log_and_in_statistics),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
