/* SPDX-License-Identifier: Apache-2.0 */
#include "served.h"

static struct served served;
static struct vine_pipe *pipe_of_test;

static void start(const struct vine_appliance_options *appliance,
                  const struct vine_pipe_options *options)
{
    served_start(&served, appliance, 2);
    pipe_of_test = served_open(&served, options);
}

static void stop(void)
{
    vine_pipe_close(pipe_of_test);
    served_stop(&served);
}

static int issue_bytes(const char *procedure, const void *bytes, size_t size)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = bytes, .bytes_size = size};
    struct vine_task *task = NULL;
    const int error =
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, procedure), &options, &task);

    if (error == 0) {
        assert_int_equal(vine_task_wait(task, LIMIT), 0);
        vine_task_free(task);
    }
    return error;
}

static void wrong_bytes_are_refused_before_anything_is_sent(void **state)
{
    (void)state;
    static const char bytes[VINE_TASK_BYTES_MAX + 1];
    const uint64_t too_much = 2001;

    start(NULL, NULL);
    assert_int_equal(issue_bytes("noop", "x", 1), -VINE_EARGUMENT);
    assert_int_equal(issue_bytes("gate", "seven b", 7), -VINE_EARGUMENT);
    assert_int_equal(issue_bytes("sum_bytes", NULL, 0), -VINE_EARGUMENT);
    assert_int_equal(issue_bytes("sum_bytes", NULL, 5), -EINVAL);
    assert_int_equal(issue_bytes("sum_bytes", bytes, sizeof bytes), -VINE_ETOOBIG);
    assert_int_equal(issue_bytes("answer", &too_much, sizeof too_much), -VINE_EARGUMENT);
    struct vine_pipe_stats stats;
    vine_pipe_get_stats(pipe_of_test, &stats);
    assert_int_equal(stats.tasks_failed, 0);
    stop();
}

static void wrong_data_are_refused_before_anything_is_sent(void **state)
{
    (void)state;
    struct vine_data *bytes = NULL;
    struct vine_data *words = NULL;
    struct vine_data *place = NULL;
    struct vine_data *none = NULL;
    struct vine_task *task = NULL;

    start(NULL, NULL);
    struct vine_procedure *turn = served_get(pipe_of_test, "turn");
    struct vine_procedure *many = served_get(pipe_of_test, "many");
    assert_int_equal(vine_data_create(pipe_of_test, VINE_TYPE_BYTES, 8, &bytes), 0);
    assert_int_equal(vine_data_create(pipe_of_test, VINE_TYPE_U32, 8, &words), 0);
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 8, &place), 0);

    struct vine_task_options options = {.size_bytes = sizeof options};
    assert_int_equal(vine_task_issue(pipe_of_test, turn, &options, &task), -VINE_EARGUMENT);
    options.inputs = &bytes;
    options.input_count = 1;
    assert_int_equal(vine_task_issue(pipe_of_test, turn, &options, &task), -VINE_EARGUMENT);
    options.outputs = &none;
    options.output_count = 1;
    assert_int_equal(vine_task_issue(pipe_of_test, turn, &options, &task), -EINVAL);
    options.outputs = &words; /* no place for a result */
    assert_int_equal(vine_task_issue(pipe_of_test, turn, &options, &task), -EINVAL);
    options.outputs = &place;
    options.inputs = &words; /* of another type */
    assert_int_equal(vine_task_issue(pipe_of_test, turn, &options, &task), -VINE_EARGUMENT);
    options.inputs = &place; /* not there yet */
    assert_int_equal(vine_task_issue(pipe_of_test, turn, &options, &task), -EINVAL);
    struct vine_data *twice[] = {place, place, place, place};
    options.inputs = &words;
    options.outputs = twice;
    options.output_count = 4;
    assert_int_equal(vine_task_issue(pipe_of_test, many, &options, &task), -EINVAL);

    options = (struct vine_task_options){.size_bytes = sizeof options, .session_last = true};
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "noop"), &options, &task), -EINVAL);
    options = (struct vine_task_options){.size_bytes = sizeof options + 1};
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "noop"), &options, &task), -EINVAL);
    assert_null(task);
    vine_data_free(bytes);
    vine_data_free(words);
    vine_data_free(place);
    stop();
}

static void data_of_another_pipe_are_refused(void **state)
{
    (void)state;
    struct vine_data *input = NULL;
    struct vine_data *output = NULL;
    struct vine_task *task = NULL;

    start(NULL, NULL);
    struct vine_pipe *other = served_open(&served, NULL);
    assert_int_equal(vine_data_create(other, VINE_TYPE_BYTES, 8, &input), 0);
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 8, &output), 0);
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &input,
                                              .input_count = 1,
                                              .outputs = &output,
                                              .output_count = 1};
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "turn"), &options, &task), -EINVAL);
    vine_data_free(input);
    vine_pipe_close(other);
    stop();
}

static void bytes_arrive_whole_at_every_size(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, 8, 39, 40, 41, 64, 1000, VINE_TASK_BYTES_MAX};
    unsigned char bytes[VINE_TASK_BYTES_MAX];

    start(NULL, NULL);
    for (size_t i = 0; i < sizeof bytes; i++)
        bytes[i] = (unsigned char)(i * 7 + 1);
    for (size_t s = 0; s < sizeof sizes / sizeof sizes[0]; s++) {
        const struct vine_task_options options = {
            .size_bytes = sizeof options, .bytes = bytes, .bytes_size = sizes[s]};
        uint64_t expected = 0;
        uint64_t sum = 0;
        size_t size = sizeof sum;

        for (size_t i = 0; i < sizes[s]; i++)
            expected += bytes[i];
        assert_int_equal(vine_task_run(pipe_of_test, served_get(pipe_of_test, "sum_bytes"),
                                       &options, LIMIT, &sum, &size),
                         0);
        assert_int_equal(size, sizeof sum);
        assert_int_equal(sum, expected);
    }
    stop();
}

static void a_task_ends_with_the_error_of_its_handler(void **state)
{
    (void)state;
    const uint64_t data_error = VINE_EDATA;
    const uint64_t an_errno = EIO;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = &data_error, .bytes_size = 8};

    start(NULL, NULL);
    struct vine_procedure *answer = served_get(pipe_of_test, "answer");
    assert_int_equal(vine_task_run(pipe_of_test, answer, &options, LIMIT, NULL, NULL), -VINE_EDATA);
    options.bytes = &an_errno;
    assert_int_equal(vine_task_run(pipe_of_test, answer, &options, LIMIT, NULL, NULL),
                     -VINE_EFAILED);
    stop();
}

static void a_result_is_copied_as_far_as_there_is_room(void **state)
{
    (void)state;
    const char bytes[8 + 5] = "\0\0\0\0\0\0\0\0hello";
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = bytes, .bytes_size = sizeof bytes};
    struct vine_task *task = NULL;
    char result[8] = "........";

    start(NULL, NULL);
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "answer"), &options, &task), 0);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    assert_int_equal(vine_task_result(task, result, 3), 5);
    assert_memory_equal(result, "hel.....", 8);
    assert_int_equal(vine_task_result(task, NULL, 0), 5);
    assert_int_equal(vine_task_result(task, result, 8), 5);
    assert_memory_equal(result, "hello...", 8);
    vine_task_free(task);
    stop();
}

static void more_outputs_than_a_slot_holds_arrive_with_their_result(void **state)
{
    (void)state;
    struct vine_data *input = NULL;
    struct vine_data *outputs[4];
    unsigned char result[32];
    size_t size = sizeof result;

    start(NULL, NULL);
    struct vine_procedure *many = served_get(pipe_of_test, "many");
    assert_int_equal(vine_data_create(pipe_of_test, VINE_TYPE_U32, 4, &input), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(vine_data_expect(pipe_of_test, i < 3 ? VINE_TYPE_BYTES : VINE_TYPE_U32, 64,
                                          &outputs[i]),
                         0);
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &input,
                                              .input_count = 1,
                                              .outputs = outputs,
                                              .output_count = 4};
    for (int round = 0; round < 500; round++) { /* results are given back when replaced */
        assert_int_equal(vine_task_run(pipe_of_test, many, &options, LIMIT, result, &size), 0);
        assert_int_equal(size, 20);
        assert_int_equal(result[19], 'r');
        assert_int_equal(vine_data_size(outputs[0]), 1);
        assert_int_equal(vine_data_size(outputs[1]), 2);
        assert_int_equal(vine_data_size(outputs[2]), 0);
        assert_int_equal(vine_data_size(outputs[3]), 4);
        assert_memory_equal(vine_data_view(outputs[1]), "bb", 2);
        assert_memory_equal(vine_data_view(outputs[3]), "dddd", 4);
    }
    struct vine_pipe_stats stats;
    vine_pipe_get_stats(pipe_of_test, &stats);
    assert_true(stats.memory_bytes <= 2 * (128u << 10)); /* nothing piled up */
    vine_data_free(input);
    for (int i = 0; i < 4; i++)
        vine_data_free(outputs[i]);
    stop();
}

static void a_task_that_has_not_ended_is_pending(void **state)
{
    (void)state;
    struct vine_task_stats stats;

    start(NULL, NULL);
    struct vine_task *task = gate_issue(pipe_of_test, 1, NULL);
    gate_wait_for(1);
    assert_int_equal(vine_task_poll(task), -EAGAIN);
    assert_int_equal(vine_task_wait(task, 0), -ETIMEDOUT);
    assert_int_equal(vine_task_wait(task, 2000000), -ETIMEDOUT);
    assert_int_equal(vine_task_result(task, NULL, 0), 0);
    gate_set(true);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    assert_int_equal(vine_task_poll(task), 0);
    vine_task_get_stats(task, &stats);
    assert_true(stats.total_ns >= stats.run_ns);
    assert_true(stats.run_ns >= 1000000); /* it stood before the gate for twice that time */
    vine_task_free(task);
    vine_task_free(NULL);
    stop();
}

static void a_full_channel_is_told_until_a_task_has_ended(void **state)
{
    (void)state;
    const struct vine_pipe_options options = {.size_bytes = sizeof options, .tasks_max = 3};
    struct vine_task *tasks[3];
    struct vine_task *further = NULL;

    start(NULL, &options);
    struct vine_procedure *noop = served_get(pipe_of_test, "noop");
    for (int i = 0; i < 3; i++)
        tasks[i] = gate_issue(pipe_of_test, 0, NULL);
    assert_int_equal(vine_task_issue(pipe_of_test, noop, NULL, &further), -EAGAIN);
    gate_set(true);
    assert_int_equal(vine_task_wait(tasks[0], LIMIT), 0);
    assert_int_equal(vine_task_issue(pipe_of_test, noop, NULL, &further), 0);
    assert_int_equal(vine_task_wait(further, LIMIT), 0);
    vine_task_free(further);
    for (int i = 0; i < 3; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    stop();
}

static void *open_gate(void *unused)
{
    gate_wait_for(1);
    gate_set(true);
    return unused;
}

static void with_throttle_the_issuer_waits_instead(void **state)
{
    (void)state;
    const struct vine_pipe_options options = {
        .size_bytes = sizeof options, .tasks_max = 2, .throttle = true};
    struct vine_task *tasks[100];
    pthread_t opener;

    start(NULL, &options);
    struct vine_procedure *noop = served_get(pipe_of_test, "noop");
    struct vine_task *first = gate_issue(pipe_of_test, 0, NULL);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, NULL), 0);
    for (int i = 0; i < 100; i++)
        assert_int_equal(vine_task_issue(pipe_of_test, noop, NULL, &tasks[i]), 0);
    assert_int_equal(pthread_join(opener, NULL), 0);
    assert_int_equal(vine_task_wait(first, LIMIT), 0);
    for (int i = 0; i < 100; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    vine_task_free(first);
    stop();
}

static void tasks_that_nobody_frees_use_up_a_quota(void **state)
{
    (void)state;
    static struct vine_task *tasks[8192];
    int count = 0;
    int error = 0;

    start(NULL, NULL);
    struct vine_procedure *noop = served_get(pipe_of_test, "noop");
    while (count < 8192) {
        error = vine_task_issue(pipe_of_test, noop, NULL, &tasks[count]);
        if (error)
            break;
        assert_int_equal(vine_task_wait(tasks[count++], LIMIT), 0);
    }
    assert_int_equal(error, -VINE_EQUOTA);
    assert_true(count >= 1024);
    vine_task_free(tasks[0]);
    assert_int_equal(vine_task_issue(pipe_of_test, noop, NULL, &tasks[0]), 0);
    assert_int_equal(vine_task_wait(tasks[0], LIMIT), 0);
    for (int i = 0; i < count; i++)
        vine_task_free(tasks[i]);
    stop();
}

static void abandoned_tasks_run_to_their_end_and_leave_room(void **state)
{
    (void)state;
    struct vine_pipe_stats stats;

    start(NULL, NULL);
    struct vine_procedure *noop = served_get(pipe_of_test, "noop");
    for (int i = 0; i < 10000; i++) {
        struct vine_task *task = NULL;
        int error;

        while ((error = vine_task_issue(pipe_of_test, noop, NULL, &task)) == -EAGAIN)
            assert_true(vine_pipe_poll(pipe_of_test) >= 0);
        assert_int_equal(error, 0);
        vine_task_free(task);
    }
    do {
        assert_true(vine_pipe_poll(pipe_of_test) >= 0);
        vine_pipe_get_stats(pipe_of_test, &stats);
    } while (stats.tasks_in_flight > 0);
    assert_int_equal(stats.tasks_done, 10001);
    stop();
}

static int calls;
static int call_status;

static void count_call(struct vine_task *task, int status, void *context)
{
    assert_ptr_equal(context, &calls);
    assert_int_equal(vine_task_poll(task), status);
    call_status = status;
    calls++;
}

static void a_callback_runs_once_with_how_it_ended(void **state)
{
    (void)state;
    const uint64_t status = VINE_EDATA;
    struct vine_task *task = NULL;
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .bytes = &status,
                                              .bytes_size = sizeof status,
                                              .callback = count_call,
                                              .context = &calls};

    start(NULL, NULL);
    calls = 0;
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "answer"), &options, &task), 0);
    assert_int_equal(calls, 0);
    while (calls == 0)
        assert_true(vine_pipe_poll(pipe_of_test) >= 0);
    assert_int_equal(call_status, -VINE_EDATA);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_EDATA);
    assert_int_equal(vine_pipe_poll(pipe_of_test), 0);
    assert_int_equal(calls, 1);
    vine_task_free(task);
    stop();
}

struct chain {
    struct vine_procedure *procedure;
    int left;
    int deadlock;
};

static void issue_next(struct vine_task *task, int status, void *context)
{
    struct chain *chain = context;
    struct vine_task *next = NULL;
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .callback = issue_next, .context = chain};

    assert_int_equal(status, 0);
    if (chain->left-- > 1) {
        assert_int_equal(vine_task_issue(pipe_of_test, chain->procedure, &options, &next), 0);
        chain->deadlock = vine_task_wait(next, LIMIT);
    }
    vine_task_free(task);
}

static void a_callback_may_issue_and_free_but_not_wait(void **state)
{
    (void)state;
    struct chain chain = {.left = 1000};
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .callback = issue_next, .context = &chain};
    struct vine_task *task = NULL;

    start(NULL, NULL);
    chain.procedure = served_get(pipe_of_test, "noop");
    assert_int_equal(vine_task_issue(pipe_of_test, chain.procedure, &options, &task), 0);
    while (chain.left > 0)
        assert_true(vine_pipe_poll(pipe_of_test) >= 0);
    assert_int_equal(chain.deadlock, -EDEADLK);
    stop();
}

static void an_abandoned_task_calls_nobody(void **state)
{
    (void)state;
    struct vine_task_options options = {
        .size_bytes = sizeof options, .callback = count_call, .context = &calls};
    struct vine_pipe_stats stats;

    start(NULL, NULL);
    calls = 0;
    vine_task_free(gate_issue(pipe_of_test, 0, &options));
    gate_set(true);
    do {
        assert_true(vine_pipe_poll(pipe_of_test) >= 0);
        vine_pipe_get_stats(pipe_of_test, &stats);
    } while (stats.tasks_in_flight > 0);
    assert_int_equal(calls, 0);
    stop();
}

static void the_first_of_several_tasks_is_found(void **state)
{
    (void)state;
    struct vine_accelerator *parallel = NULL;
    struct vine_task *tasks[4] = {NULL, NULL, NULL, NULL};
    size_t index = 99;

    start(NULL, NULL);
    assert_int_equal(vine_task_wait_any(tasks, 4, LIMIT, &index), -EINVAL);
    assert_int_equal(vine_accelerator_acquire(pipe_of_test, NULL, VINE_PARALLEL, &parallel), 0);
    struct vine_task_options options = {.size_bytes = sizeof options, .accelerator = parallel};
    tasks[1] = gate_issue(pipe_of_test, 0, &options);
    gate_wait_for(1);
    assert_int_equal(vine_task_wait_any(tasks, 4, 1000000, &index), -ETIMEDOUT);
    options = (struct vine_task_options){.size_bytes = sizeof options, .accelerator = parallel};
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "noop"), &options, &tasks[3]), 0);
    assert_int_equal(vine_task_wait_any(tasks, 4, LIMIT, &index), 0);
    assert_int_equal(index, 3);
    vine_task_free(tasks[3]);
    tasks[3] = NULL;
    gate_set(true);
    assert_int_equal(vine_task_wait_any(tasks, 4, LIMIT, &index), 0);
    assert_int_equal(index, 1);
    vine_task_free(tasks[1]);
    vine_accelerator_release(parallel);
    stop();
}

static void a_canceled_task_ends_all_the_same(void **state)
{
    (void)state;

    start(NULL, NULL);
    struct vine_task *running = gate_issue(pipe_of_test, 0, NULL);
    struct vine_task *waiting = gate_issue(pipe_of_test, 0, NULL);
    gate_wait_for(1);
    assert_int_equal(vine_task_cancel(waiting), 0);
    assert_int_equal(vine_task_wait(waiting, LIMIT), -VINE_ECANCELED);
    assert_int_equal(vine_task_poll(running), -EAGAIN);
    assert_int_equal(vine_task_cancel(running), 0);
    assert_int_equal(vine_task_wait(running, LIMIT), -VINE_ECANCELED);
    assert_int_equal(vine_task_cancel(running), 0);
    vine_task_free(running);
    vine_task_free(waiting);
    stop();
}

static void a_task_starts_after_another_if_asked_to(void **state)
{
    (void)state;
    struct vine_accelerator *parallel = NULL;

    start(NULL, NULL);
    assert_int_equal(vine_accelerator_acquire(pipe_of_test, NULL, VINE_PARALLEL, &parallel), 0);
    struct vine_task_options options = {.size_bytes = sizeof options, .accelerator = parallel};
    struct vine_task *first = gate_issue(pipe_of_test, 1, &options);
    gate_wait_for(1);
    options.after = first;
    struct vine_task *second = gate_issue(pipe_of_test, 2, &options);
    options.after = second;
    struct vine_task *third = gate_issue(pipe_of_test, 3, &options);
    assert_int_equal(vine_task_wait(third, 2000000), -ETIMEDOUT);
    gate_set(true);
    assert_int_equal(vine_task_wait(third, LIMIT), 0);
    assert_int_equal(vine_task_wait(second, LIMIT), 0);
    assert_int_equal(vine_task_wait(first, LIMIT), 0);
    assert_int_equal(gate_order(0), 1);
    assert_int_equal(gate_order(1), 2);
    assert_int_equal(gate_order(2), 3);
    options.after = first; /* which has ended: nothing to wait for */
    struct vine_task *fourth = gate_issue(pipe_of_test, 4, &options);
    assert_int_equal(vine_task_wait(fourth, LIMIT), 0);
    vine_task_free(first);
    vine_task_free(second);
    vine_task_free(third);
    vine_task_free(fourth);
    vine_accelerator_release(parallel);
    stop();
}

static void a_run_that_takes_too_long_is_abandoned(void **state)
{
    (void)state;

    start(NULL, NULL);
    assert_int_equal(
        vine_task_run(pipe_of_test, served_get(pipe_of_test, "gate"), NULL, 1000000, NULL, NULL),
        -ETIMEDOUT);
    gate_set(true);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(wrong_bytes_are_refused_before_anything_is_sent),
        cmocka_unit_test(wrong_data_are_refused_before_anything_is_sent),
        cmocka_unit_test(data_of_another_pipe_are_refused),
        cmocka_unit_test(bytes_arrive_whole_at_every_size),
        cmocka_unit_test(a_task_ends_with_the_error_of_its_handler),
        cmocka_unit_test(a_result_is_copied_as_far_as_there_is_room),
        cmocka_unit_test(more_outputs_than_a_slot_holds_arrive_with_their_result),
        cmocka_unit_test(a_task_that_has_not_ended_is_pending),
        cmocka_unit_test(a_full_channel_is_told_until_a_task_has_ended),
        cmocka_unit_test(with_throttle_the_issuer_waits_instead),
        cmocka_unit_test(tasks_that_nobody_frees_use_up_a_quota),
        cmocka_unit_test(abandoned_tasks_run_to_their_end_and_leave_room),
        cmocka_unit_test(a_callback_runs_once_with_how_it_ended),
        cmocka_unit_test(a_callback_may_issue_and_free_but_not_wait),
        cmocka_unit_test(an_abandoned_task_calls_nobody),
        cmocka_unit_test(the_first_of_several_tasks_is_found),
        cmocka_unit_test(a_canceled_task_ends_all_the_same),
        cmocka_unit_test(a_task_starts_after_another_if_asked_to),
        cmocka_unit_test(a_run_that_takes_too_long_is_abandoned),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
