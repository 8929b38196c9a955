/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A new process of an appliance is left the pipes of the running one.
 */
#include "nursery.h"

#define THREADS 3
#define WINDOW  24

/* ---- refusals -------------------------------------------------------------------------------- */

static void where_nobody_listens_nothing_is_taken_over(void **state)
{
    (void)state;
    assert_int_equal(give(START_AND_TAKE_OVER, 0).error, -VINE_ENOAPPLIANCE);
}

static void who_leaves_to_nobody_refuses(void **state)
{
    const pid_t pid = begin(START_AND_STAY);
    struct vine_pipe *pipe = open_pipe(0);

    (void)state;
    begin_test();
    run_number(pipe, "long", 1);
    assert_int_equal(give(START_AND_TAKE_OVER, 0).error, -VINE_EFAILED);
    run_number(pipe, "long", 2);
    assert_int_equal(renewals_of(pipe), 0);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, pid).error, 0);
}

/* ---- one ------------------------------------------------------------------------------------- */

static void a_pipe_without_options_goes_on_with_the_successor(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    pid_t second;

    (void)state;
    begin_test();
    run_number(pipe, "long", 1);
    second = begin(START_AND_TAKE_OVER);
    assert_int_equal(give(END, first).error, 0); /* though the application has not said hello */
    run_number(pipe, "long", 2);
    assert_int_equal(renewals_of(pipe), 1);
    assert_int_equal(shared->begun[2], 1);
    /* The name is the successor's, and new pipes are. */
    struct vine_pipe *other = open_pipe(0);
    run_number(other, "short", 3);
    vine_pipe_close(other);
    /* Whose death is noticed as such. */
    assert_int_equal(give(KILL, second).error, -SIGKILL);
    while (vine_pipe_status(pipe) == 0)
        sched_yield();
    assert_int_equal(vine_pipe_status(pipe), -VINE_EPEERLOST);
    vine_pipe_close(pipe);
}

static void a_task_that_runs_ends_there_and_the_next_ones_here(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    struct vine_procedure *held = served_get(pipe, "held");
    struct vine_task *tasks[10];
    uint64_t number;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};

    (void)state;
    begin_test();
    for (number = 0; number < 10; number++)
        assert_int_equal(vine_task_issue(pipe, held, &options, &tasks[number]), 0);
    while (__atomic_load_n(&shared->waiting, __ATOMIC_ACQUIRE) == 0)
        sched_yield();
    const pid_t second = begin(START_AND_TAKE_OVER);
    for (number = 10; number < 20; number++) {
        struct vine_task *task = NULL;

        assert_int_equal(vine_task_issue(pipe, held, &options, &task), 0);
        vine_task_free(task); /* it is abandoned, and runs all the same */
    }
    __atomic_store_n(&shared->gate_is_open, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < 10; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    assert_int_equal(give(END, first).error, 0);
    run_number(pipe, "held", 20); /* behind all others */
    for (int i = 0; i <= 20; i++)
        assert_int_equal(shared->begun[i], 1);
    assert_int_equal(renewals_of(pipe), 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

static void a_result_of_the_predecessor_is_an_input_of_the_successor(void **state)
{
    const pid_t first = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(0);
    struct vine_procedure *turn = served_get(pipe, "turn");
    struct vine_data *data = NULL;
    struct vine_data *result = NULL;
    struct vine_data *again = NULL;
    struct vine_task *task = NULL;
    char text[6] = {0};
    struct vine_task_options options = {.size_bytes = sizeof options,
                                        .inputs = &data,
                                        .input_count = 1,
                                        .outputs = &result,
                                        .output_count = 1};

    (void)state;
    begin_test();
    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, 5, &data), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 5, &result), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, 5, &again), 0);
    assert_int_equal(vine_data_write(data, 0, "HeLLo", 5), 0);
    assert_int_equal(vine_task_run(pipe, turn, &options, LIMIT, NULL, NULL), 0);
    const pid_t second = begin(START_AND_TAKE_OVER);
    assert_int_equal(give(END, first).error, 0);
    /* Issued before this side knows of it: it is named anew. */
    options.inputs = &result;
    options.outputs = &again;
    assert_int_equal(vine_task_issue(pipe, turn, &options, &task), 0);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    vine_task_free(task);
    assert_int_equal(vine_data_read(again, 0, text, 5), 0);
    assert_string_equal(text, "HeLLo");
    assert_int_equal(renewals_of(pipe), 1);
    vine_data_free(result);
    vine_data_free(again);
    vine_data_free(data);
    run_number(pipe, "long", 1);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, second).error, 0);
}

/* ---- many ------------------------------------------------------------------------------------ */

static uint32_t is_over;

struct load {
    pthread_t thread;
    uint32_t index;
    uint64_t reconnect_ns;
    uint64_t count; /* of tasks issued */
    uint64_t lost;
    bool has_loop;
    uint32_t first; /* of its numbers */
};

/* Issues its numbers one after the other, with a window of them in flight, until it is told to
 * end. How a task ended is compared with how often it began. */
static void end_number(struct load *load, uint64_t number, int status)
{
    const uint8_t begun = __atomic_load_n(&shared->begun[number], __ATOMIC_ACQUIRE);

    if (status == 0)
        MUST_BE(begun, 1);
    else
        MUST_BE(status, -VINE_EPEERLOST);
    MUST_BE(begun <= 1, true);
    load->lost += status != 0;
}

static void *issue_all_the_time(void *context)
{
    struct load *load = context;
    struct vine_pipe *pipe = open_pipe(load->reconnect_ns);
    struct vine_procedure *procedures[] = {NULL, NULL};
    struct vine_task *tasks[WINDOW] = {NULL};
    uint64_t numbers[WINDOW] = {0};
    uint64_t timeout_ns;
    int fd = -1;

    MUST_BE(vine_procedure_get(pipe, "short", &procedures[0]), 0);
    MUST_BE(vine_procedure_get(pipe, "long", &procedures[1]), 0);
    if (load->has_loop)
        MUST_BE(vine_pipe_descriptor(pipe, &fd), 0);
    while (__atomic_load_n(&is_over, __ATOMIC_ACQUIRE) == 0 &&
           load->count + WINDOW < NUMBERS / THREADS) {
        size_t at = load->count % WINDOW;
        uint64_t number = load->first + load->count;
        const struct vine_task_options options = {
            .size_bytes = sizeof options, .bytes = &number, .bytes_size = sizeof number};
        int error;

        if (tasks[at] != NULL && load->has_loop) {
            while (vine_task_poll(tasks[at]) == -EAGAIN) {
                struct pollfd one = {.fd = fd, .events = POLLIN};

                MUST_BE(vine_pipe_arm(pipe, &timeout_ns) >= 0, true);
                if (vine_task_poll(tasks[at]) == -EAGAIN)
                    (void)poll(&one, 1, (int)((timeout_ns + 999999) / 1000000));
            }
        }
        if (tasks[at] != NULL) {
            end_number(load, numbers[at], vine_task_wait(tasks[at], LIMIT));
            vine_task_free(tasks[at]);
            tasks[at] = NULL;
        }
        numbers[at] = number;
        while ((error = vine_task_issue(pipe, procedures[number % 2], &options, &tasks[at])) ==
               -EAGAIN)
            sched_yield();
        MUST_BE(error, 0);
        __atomic_store_n(&load->count, load->count + 1, __ATOMIC_RELEASE);
    }
    for (size_t at = 0; at < WINDOW; at++)
        if (tasks[at] != NULL) {
            end_number(load, numbers[at], vine_task_wait(tasks[at], LIMIT));
            vine_task_free(tasks[at]);
        }
    vine_pipe_close(pipe);
    return NULL;
}

static void begin_loads(struct load *loads, uint64_t reconnect_ns)
{
    begin_test();
    is_over = 0;
    for (uint32_t i = 0; i < THREADS; i++) {
        loads[i] = (struct load){.index = i,
                                 .reconnect_ns = reconnect_ns,
                                 .has_loop = i == 2,
                                 .first = i * (NUMBERS / THREADS)};
        assert_int_equal(pthread_create(&loads[i].thread, NULL, issue_all_the_time, &loads[i]), 0);
    }
}

static void end_loads(struct load *loads)
{
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    for (uint32_t i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(loads[i].thread, NULL), 0);
}

/* Each of them has issued some more. */
static void wait_for_progress(const struct load *loads)
{
    for (uint32_t i = 0; i < THREADS; i++) {
        const uint64_t before = __atomic_load_n(&loads[i].count, __ATOMIC_ACQUIRE);

        while (__atomic_load_n(&loads[i].count, __ATOMIC_ACQUIRE) < before + WINDOW)
            sched_yield();
    }
}

static void no_task_is_lost_nor_run_twice_in_a_hundred_take_overs(void **state)
{
    pid_t pid = begin(START_AND_LISTEN);
    struct load loads[THREADS];

    (void)state;
    begin_loads(loads, 0);
    for (int i = 0; i < 100; i++) {
        wait_for_progress(loads);
        const pid_t next = begin(START_AND_TAKE_OVER);

        assert_int_equal(give(END, pid).error, 0);
        pid = next;
    }
    end_loads(loads);
    for (uint32_t i = 0; i < THREADS; i++) {
        assert_int_equal(loads[i].lost, 0);
        for (uint64_t n = 0; n < loads[i].count; n++)
            assert_int_equal(shared->begun[loads[i].first + n], 1);
    }
    assert_int_equal(give(STOP, pid).error, 0);
}

/* Until some moment of a take-over. */
static void pass_a_moment(unsigned *seed)
{
    for (int i = rand_r(seed) % 2000; i > 0; i--)
        sched_yield();
}

static void whoever_is_killed_meanwhile_applications_go_on(void **state)
{
    pid_t pid = begin(START_AND_LISTEN);
    struct load loads[THREADS];
    unsigned seed = 20261122;

    (void)state;
    begin_loads(loads, PATIENCE);
    wait_for_progress(loads); /* to open one while its appliance is killed may fail */
    for (int i = 0; i < 30; i++) {
        send_order(START_AND_TAKE_OVER, 0);
        pass_a_moment(&seed);
        if (i % 2)
            (void)kill(pid, SIGKILL); /* of the nursery, which waits for it below */

        struct answer next = take_answer();

        if (!(i % 2) && next.error == 0) {
            pass_a_moment(&seed);
            assert_int_equal(give(KILL, next.pid).error, -SIGKILL);
            /* The first goes on, unless it had left all: then it ends by itself, soon. */
            next = give(START_AND_TAKE_OVER, 0);
            if (next.error != 0) {
                assert_int_equal(give(END, next.pid).error, 9);
                (void)kill(pid, SIGKILL);
                (void)give(END, pid);
                pid = begin(START_AND_LISTEN);
                continue;
            }
        } else if (next.error != 0) {
            assert_int_equal(give(END, next.pid).error, 9);
            (void)kill(pid, SIGKILL);
            (void)give(END, pid);
            pid = begin(START_AND_LISTEN);
            continue;
        }
        (void)give(END, pid);
        pid = next.pid;
    }
    end_loads(loads);
    for (uint32_t i = 0; i < THREADS; i++)
        for (uint64_t n = 0; n < loads[i].count; n++)
            assert_true(shared->begun[loads[i].first + n] <= 1);
    assert_int_equal(give(STOP, pid).error, 0);
}

/* ---- restarts -------------------------------------------------------------------------------- */

static void *ask_all_the_time(void *context)
{
    struct vine_pipe *pipe = context;
    struct vine_procedure *noop = NULL;
    const struct vine_task_options again = {.size_bytes = sizeof again, .idempotent = true};
    uint64_t done = 0;

    /* A question for a procedure is a task too, and idempotent. */
    for (; __atomic_load_n(&is_over, __ATOMIC_ACQUIRE) == 0 || done == 0; done++)
        MUST_BE(noop == NULL ? vine_procedure_get(pipe, "noop", &noop)
                             : vine_task_run(pipe, noop, &again, LIMIT, NULL, NULL),
                0);
    return NULL;
}

static void threads_of_a_pipe_go_on_over_many_restarts(void **state)
{
    pid_t pid = begin(START_AND_LISTEN);
    struct vine_pipe *pipe = open_pipe(LIMIT);
    struct vine_pipe_stats stats;
    pthread_t threads[THREADS];

    (void)state;
    begin_test();
    is_over = 0;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, ask_all_the_time, pipe), 0);
    for (uint64_t i = 1; i <= 20; i++) {
        if (i % 3 == 0) {
            const pid_t next = begin(START_AND_TAKE_OVER);

            assert_int_equal(give(END, pid).error, 0);
            pid = next;
        } else {
            (void)give(i % 3 == 1 ? KILL : STOP, pid);
            pid = begin(START_AND_LISTEN);
        }
        do {
            sched_yield();
            vine_pipe_get_stats(pipe, &stats);
        } while (stats.renewals < i);
    }
    __atomic_store_n(&is_over, 1, __ATOMIC_RELEASE);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.tasks_lost, 0);
    assert_int_equal(stats.tasks_failed, 0);
    vine_pipe_close(pipe);
    assert_int_equal(give(STOP, pid).error, 0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(where_nobody_listens_nothing_is_taken_over),
        cmocka_unit_test(who_leaves_to_nobody_refuses),
        cmocka_unit_test(a_pipe_without_options_goes_on_with_the_successor),
        cmocka_unit_test(a_task_that_runs_ends_there_and_the_next_ones_here),
        cmocka_unit_test(a_result_of_the_predecessor_is_an_input_of_the_successor),
        cmocka_unit_test(no_task_is_lost_nor_run_twice_in_a_hundred_take_overs),
        cmocka_unit_test(whoever_is_killed_meanwhile_applications_go_on),
        cmocka_unit_test(threads_of_a_pipe_go_on_over_many_restarts),
    };

    return cmocka_run_group_tests(tests, set_up, tear_down);
}
