/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks of coroutine procedures, as an executor of the test's own sees them: without coroutines. It
 * does on the loop's thread what a task's first byte says.
 */
#include "served.h"

#include <vine/stream.h>

#include "core/talk/executor.h"
#include "core/talk/pipe_internal.h"
#include "utils/container_of.h"

#define BYTES 100000U /* of the quota, for each execution */

/* Nobody looks into it. */
static const struct vine_coroutine_type *const some_coroutine = (const void *)&some_coroutine;

static struct {
    struct vine__list kept; /* tasks, by `executed.in`: those of 'k' */
    int begun, cancelled, sessions_ended;
    bool lingers; /* what it keeps for a session stays until nobody is there any more */
    struct vine__session *session;
    int check_error;
} seen;

static int number_of(const int *count)
{
    return __atomic_load_n(count, __ATOMIC_ACQUIRE);
}

static void add_one(int *count)
{
    (void)__atomic_fetch_add(count, 1, __ATOMIC_ACQ_REL);
}

static int check(void *context, const struct vine_procedure_definition *definition)
{
    assert_ptr_equal(context, &seen);
    assert_ptr_equal(definition->coroutine, some_coroutine);
    return seen.check_error;
}

/* What it brought goes where there is room for it. */
static void echo(struct vine_call *call)
{
    char bytes[4096];
    uint64_t size = vine__call_executed(call)->input_size;
    const uint64_t room = vine__call_executed(call)->room;

    size = size < room ? size : room;
    for (uint64_t at = 0; at < size;) {
        const size_t part = size - at < 1000 ? (size_t)(size - at) : 1000;

        vine__call_input_copy(call, at, bytes, part);
        vine__call_output_copy(call, at, bytes, part);
        at += part;
    }
}

static void end_kept(void)
{
    struct vine__list *node;

    while ((node = vine__list_pop_front(&seen.kept)) != NULL) {
        struct vine_call *call =
            vine__executed_call(VINE_CONTAINER_OF(node, struct vine__executed, in));

        echo(call);
        vine__call_end(call, 0);
    }
}

static void begin(void *context, struct vine_call *call)
{
    char first = 0;

    assert_ptr_equal(context, &seen);
    if (vine__call_executed(call)->input_size > 0)
        vine__call_input_copy(call, 0, &first, 1);
    if (first == 'k') {
        vine__list_push_back(&seen.kept, &vine__call_executed(call)->in);
    } else if (first == 'f') {
        vine__call_end(call, -VINE_EDATA);
    } else if (first == 's') {
        seen.session = vine__call_session(call);
        assert_non_null(seen.session);
        vine__session_keep(seen.session, &seen);
        vine__call_end(call, 0);
    } else {
        end_kept();
        echo(call);
        vine__call_end(call, 0);
    }
    add_one(&seen.begun);
}

static void cancel(void *context, struct vine_call *call)
{
    (void)context;
    add_one(&seen.cancelled);
    vine__list_remove(&vine__call_executed(call)->in);
    vine__call_end(call, -VINE_ECANCELED);
}

static void session_ended(void *context, void *kept, bool is_pipe_over)
{
    (void)context;
    assert_ptr_equal(kept, &seen);
    if (!__atomic_load_n(&seen.lingers, __ATOMIC_ACQUIRE) || is_pipe_over)
        vine__session_leave(seen.session);
    add_one(&seen.sessions_ended);
}

static const struct vine__executor executor = {.bytes = BYTES,
                                               .check = check,
                                               .begin = begin,
                                               .cancel = cancel,
                                               .session_ended = session_ended};

static const struct vine_argument arguments[] = {
    {"number", VINE_SCALAR, 0, 0, 100},
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 1u << 20},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1u << 20},
    {"text", VINE_BYTES, 0, 0, 100},
};
static const struct vine_argument small_arguments[] = {
    {"text", VINE_BYTES, 0, 0, 20},
    {"answer", VINE_RESULT, 0, 0, 20},
};
static struct vine_procedure_definition stream, small;

static struct served served;
static struct vine_pipe *pipe_of_test;

static int set_up_with(const struct vine_appliance_options *options)
{
    memset(&seen, 0, sizeof seen);
    vine__list_init(&seen.kept);
    stream = (struct vine_procedure_definition){.size_bytes = sizeof stream,
                                                .name = "stream",
                                                .arguments = arguments,
                                                .argument_count = 4,
                                                .coroutine = some_coroutine};
    small = stream;
    small.name = "small";
    small.arguments = small_arguments;
    small.argument_count = 2;
    served_start(&served, options, 1);
    vine__appliance_set_executor(served.appliance, &executor, &seen);
    assert_int_equal(vine_appliance_register(served.appliance, &stream), 0);
    assert_int_equal(vine_appliance_register(served.appliance, &small), 0);
    pipe_of_test = served_open(&served, NULL);
    return 0;
}

static int set_up(void **state)
{
    (void)state;
    return set_up_with(NULL);
}

static int tear_down(void **state)
{
    (void)state;
    vine_pipe_close(pipe_of_test);
    served_stop(&served);
    return 0;
}

/* Issue one with this text, and room for so much, which is in `*ret_output` then. */
static struct vine_task *issue(const char *text, struct vine_session *session,
                               const struct vine_task *after, struct vine_data **ret_output)
{
    struct vine_data *input = NULL;
    struct vine_task *task = NULL;
    struct vine_task_options options = {.size_bytes = sizeof options,
                                        .inputs = &input,
                                        .input_count = 1,
                                        .outputs = ret_output,
                                        .output_count = 1,
                                        .session = session,
                                        .after = after};

    assert_int_equal(vine_data_create(pipe_of_test, VINE_TYPE_BYTES, strlen(text), &input), 0);
    assert_int_equal(vine_data_write(input, 0, text, strlen(text)), 0);
    assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 100, ret_output), 0);
    assert_int_equal(
        vine_task_issue(pipe_of_test, served_get(pipe_of_test, "stream"), &options, &task), 0);
    vine_data_free(input);
    return task;
}

static void finish(struct vine_task *task, int status, struct vine_data *output, const char *text)
{
    char bytes[100] = "";

    assert_int_equal(vine_task_wait(task, LIMIT), status);
    if (status == 0) {
        assert_int_equal(vine_data_size(output), strlen(text));
        assert_int_equal(vine_data_read(output, 0, bytes, strlen(text)), 0);
        assert_string_equal(bytes, text);
    }
    vine_data_free(output);
    vine_task_free(task);
}

static void a_coroutine_is_refused_where_nobody_runs_it(void **state)
{
    struct vine_appliance *appliance = NULL;
    struct vine_procedure_definition wrong = stream;

    (void)state;
    assert_int_equal(vine_appliance_create(NULL, &appliance), 0);
    assert_int_equal(vine_appliance_register(appliance, &stream), -EOPNOTSUPP);
    vine_appliance_destroy(appliance);

    seen.check_error = -VINE_EQUOTA;
    assert_int_equal(vine_appliance_register(served.appliance, &wrong), -VINE_EQUOTA);
    seen.check_error = 0;
    wrong = stream;
    wrong.state_bytes = 1;
    assert_int_equal(vine_appliance_register(served.appliance, &wrong), -EINVAL);
    wrong = stream;
    wrong.flags = VINE_PROCEDURE_SHORT;
    assert_int_equal(vine_appliance_register(served.appliance, &wrong), -EINVAL);
    wrong = stream;
    wrong.size_bytes = offsetof(struct vine_procedure_definition, coroutine);
    assert_int_equal(vine_appliance_register(served.appliance, &wrong), -EINVAL);
}

/* ---- beside a function ----------------------------------------------------------------------- */

static int run_both(struct vine_call *call)
{
    return vine_call_result(call, "run", 3);
}

static struct vine_procedure_definition both; /* stays as long as the appliance */

static size_t run_one(struct vine_session *session, const char *text, bool is_last, char *answer)
{
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .bytes = text,
                                              .bytes_size = strlen(text),
                                              .session = session,
                                              .session_last = is_last};
    size_t size = 20;

    assert_int_equal(vine_task_run(pipe_of_test, served_get(pipe_of_test, "both"), &options, LIMIT,
                                   answer, &size),
                     0);
    return size;
}

static void beside_a_function_it_has_the_sessions_alone(void **state)
{
    struct vine_session *session = NULL;
    char answer[20];

    (void)state;
    both = small;
    both.name = "both";
    both.run = run_both;
    assert_int_equal(vine_appliance_register(served.appliance, &both), 0);
    assert_true(vine_procedure_describe(served_get(pipe_of_test, "both"))->has_streams);
    assert_int_equal(run_one(NULL, "x", false, answer), 3);
    assert_memory_equal(answer, "run", 3);
    assert_int_equal(number_of(&seen.begun), 0);

    /* A result is for the last, and for those that bring nothing. */
    assert_int_equal(vine_session_open(pipe_of_test, served_get(pipe_of_test, "both"), &session),
                     0);
    assert_int_equal(run_one(session, "one", false, answer), 0);
    assert_int_equal(run_one(session, "two", true, answer), 3);
    assert_memory_equal(answer, "two", 3);
    assert_int_equal(number_of(&seen.begun), 2);
    vine_session_close(session);
}

static int run_counting(struct vine_call *call)
{
    int *const count = vine_call_state(call);
    const char digit = (char)('0' + (count != NULL ? ++*count : 0));

    return vine_call_result(call, &digit, 1);
}

static void beside_a_function_with_a_state_it_has_the_streams_alone(void **state)
{
    struct vine_session *session = NULL;
    struct vine_stream *stream_of_both = NULL;
    char answer[20];
    size_t size = 0;

    (void)state;
    both = small;
    both.name = "both";
    both.run = run_counting;
    both.state_bytes = sizeof(int);
    assert_int_equal(vine_appliance_register(served.appliance, &both), 0);

    struct vine_procedure *const procedure = served_get(pipe_of_test, "both");

    assert_true(vine_procedure_describe(procedure)->has_streams);
    assert_false(vine_procedure_describe(procedure)->has_streams_only);
    assert_int_equal(vine_session_open(pipe_of_test, procedure, &session), 0);
    assert_int_equal(run_one(session, "one", false, answer), 1);
    assert_int_equal(run_one(session, "two", true, answer), 1);
    assert_memory_equal(answer, "2", 1);
    vine_session_close(session);
    assert_int_equal(number_of(&seen.begun), 0);

    assert_int_equal(vine_stream_open(pipe_of_test, procedure, NULL, &stream_of_both), 0);
    assert_int_equal(vine_stream_write(stream_of_both, "x", 1, LIMIT, &size), 0);
    assert_int_equal(vine_stream_end(stream_of_both, LIMIT), 0);
    assert_int_equal(vine_stream_read(stream_of_both, answer, sizeof answer, LIMIT, &size), 0);
    assert_true(number_of(&seen.begun) > 0);
    vine_stream_close(stream_of_both);
}

/* How a task ends of a session that was opened as one kind, for the tasks of another one. */
static int run_as(struct vine_session *session, const char *name, bool is_stream)
{
    const struct vine_task_options options = {.size_bytes = sizeof options, .session = session};
    const bool was_stream = session->is_stream;
    int status;

    session->is_stream = is_stream;
    status =
        vine_task_run(pipe_of_test, served_get(pipe_of_test, name), &options, LIMIT, NULL, NULL);
    session->is_stream = was_stream;
    return status;
}

static void a_task_of_another_kind_than_its_session_is_refused(void **state)
{
    struct vine_session *session = NULL;

    (void)state;
    both = small;
    both.name = "both";
    both.run = run_counting;
    both.state_bytes = sizeof(int);
    assert_int_equal(vine_appliance_register(served.appliance, &both), 0);
    for (int begins_as_stream = 0; begins_as_stream < 2; begins_as_stream++) {
        assert_int_equal(vine__session_open(pipe_of_test, served_get(pipe_of_test, "both"),
                                            begins_as_stream, &session),
                         0);
        assert_int_equal(run_as(session, "both", begins_as_stream), 0);
        assert_int_equal(run_as(session, "both", !begins_as_stream), -VINE_ESESSION);
        assert_int_equal(run_as(session, "both", begins_as_stream), 0);
        vine_session_close(session);
    }
    /* This one has no streams at all. */
    assert_int_equal(
        vine__session_open(pipe_of_test, served_get(pipe_of_test, "sum"), true, &session), 0);
    assert_int_equal(run_as(session, "sum", true), -VINE_ESESSION);
    vine_session_close(session);
}

static void beside_a_function_it_is_not_missed_where_nobody_runs_it(void **state)
{
    struct vine_appliance *appliance = NULL;

    (void)state;
    both = small;
    both.name = "both";
    both.run = run_both;
    assert_int_equal(vine_appliance_create(NULL, &appliance), 0);
    assert_int_equal(vine_appliance_register(appliance, &both), 0);
    vine_appliance_destroy(appliance);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void what_a_task_brings_is_read_and_what_is_written_arrives(void **state)
{
    struct vine_procedure *procedure = served_get(pipe_of_test, "stream");
    unsigned char input[100000];
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = "hello", .bytes_size = 5};
    unsigned char *output = malloc(sizeof input);
    size_t size = 0;
    char answer[20];

    (void)state;
    assert_non_null(output);
    assert_true(vine_procedure_describe(procedure)->has_sessions);
    assert_true(vine_procedure_describe(procedure)->has_streams);
    for (size_t i = 0; i < sizeof input; i++)
        input[i] = (unsigned char)(i * 7 + (i >> 8));
    assert_int_equal(
        vine_pipe_call(pipe_of_test, "stream", input, sizeof input, output, sizeof input, &size),
        0);
    assert_int_equal(size, sizeof input);
    assert_memory_equal(output, input, sizeof input);
    size = sizeof answer;
    assert_int_equal(vine_task_run(pipe_of_test, served_get(pipe_of_test, "small"), &options, LIMIT,
                                   answer, &size),
                     0);
    assert_int_equal(size, 5);
    assert_memory_equal(answer, "hello", 5);
    free(output);
}

static void an_error_ends_its_task_alone(void **state)
{
    struct vine_data *one, *other;
    struct vine_task *fails = issue("fails", NULL, NULL, &one);
    struct vine_task *goes = issue("goes", NULL, NULL, &other);

    (void)state;
    finish(fails, -VINE_EDATA, one, NULL);
    finish(goes, 0, other, "goes");
}

static void tasks_outside_of_a_session_keep_their_order(void **state)
{
    struct vine_data *outputs[2];
    struct vine_task *first = issue("kept", NULL, NULL, &outputs[0]);
    struct vine_task *second = issue("other", NULL, NULL, &outputs[1]);

    (void)state;
    while (number_of(&seen.begun) < 1)
        sched_yield();
    assert_int_equal(vine_task_wait(second, 1000000), -ETIMEDOUT);
    assert_int_equal(number_of(&seen.begun), 1);
    assert_int_equal(vine_task_cancel(first), 0);
    finish(first, -VINE_ECANCELED, outputs[0], NULL);
    finish(second, 0, outputs[1], "other");
    assert_int_equal(number_of(&seen.cancelled), 1);
}

static void tasks_of_a_session_are_there_together_and_in_order(void **state)
{
    struct vine_session *session = NULL;
    struct vine_data *outputs[4];
    struct vine_task *tasks[4];

    (void)state;
    assert_int_equal(vine_session_open(pipe_of_test, served_get(pipe_of_test, "stream"), &session),
                     0);
    tasks[0] = issue("k0", session, NULL, &outputs[0]);
    tasks[1] = issue("k1", session, tasks[0], &outputs[1]); /* which waits for the first */
    tasks[2] = issue("k2", session, NULL, &outputs[2]);     /* and this one behind that */
    while (number_of(&seen.begun) < 1)
        sched_yield();
    assert_int_equal(vine_task_wait(tasks[2], 1000000), -ETIMEDOUT);
    assert_int_equal(number_of(&seen.begun), 1);
    assert_int_equal(vine_task_cancel(tasks[0]), 0);
    finish(tasks[0], -VINE_ECANCELED, outputs[0], NULL);
    while (number_of(&seen.begun) < 3)
        sched_yield();
    tasks[3] = issue("all", session, NULL, &outputs[3]); /* the session has not failed */
    finish(tasks[1], 0, outputs[1], "k1");
    finish(tasks[2], 0, outputs[2], "k2");
    finish(tasks[3], 0, outputs[3], "all");
    vine_session_close(session);
}

static void the_end_of_a_session_is_told_once(void **state)
{
    struct vine_session *session = NULL;
    struct vine_data *output;
    struct vine_task *task;

    (void)state;
    assert_int_equal(vine_session_open(pipe_of_test, served_get(pipe_of_test, "stream"), &session),
                     0);
    task = issue("s", session, NULL, &output);
    finish(task, 0, output, "");
    assert_int_equal(number_of(&seen.sessions_ended), 0);
    vine_session_close(session);
    while (number_of(&seen.sessions_ended) < 1)
        sched_yield();
}

static void wait_until_no_pipe_is_there(void)
{
    struct vine_appliance_stats stats;

    do
        vine_appliance_get_stats(served.appliance, &stats);
    while (stats.pipes_open > 0);
}

static void the_end_of_a_session_is_told_though_it_comes_before_its_first_task_begins(void **state)
{
    struct vine_session *session = NULL;
    struct vine_data *outputs[2];
    struct vine_task *tasks[2];

    (void)state;
    assert_int_equal(vine_session_open(pipe_of_test, served_get(pipe_of_test, "stream"), &session),
                     0);
    tasks[0] = issue("k", NULL, NULL, &outputs[0]);
    tasks[1] = issue("s", session, tasks[0], &outputs[1]); /* which waits for the first */
    vine__session_cut(session);
    assert_int_equal(vine_task_cancel(tasks[0]), 0);
    finish(tasks[0], -VINE_ECANCELED, outputs[0], NULL);
    finish(tasks[1], 0, outputs[1], "");
    while (number_of(&seen.sessions_ended) < 1)
        sched_yield();
    vine_session_close(session);
    vine_pipe_close(pipe_of_test);
    wait_until_no_pipe_is_there();
    assert_int_equal(number_of(&seen.sessions_ended), 1);
    pipe_of_test = served_open(&served, NULL);
}

static void who_lingers_behind_a_session_hears_that_its_pipe_is_over(void **state)
{
    struct vine_session *session = NULL;
    struct vine_data *output;
    struct vine_task *task;

    (void)state;
    __atomic_store_n(&seen.lingers, true, __ATOMIC_RELEASE);
    assert_int_equal(vine_session_open(pipe_of_test, served_get(pipe_of_test, "stream"), &session),
                     0);
    task = issue("s", session, NULL, &output);
    finish(task, 0, output, "");
    vine_session_close(session);
    while (number_of(&seen.sessions_ended) < 1)
        sched_yield();
    vine_pipe_close(pipe_of_test);
    wait_until_no_pipe_is_there();
    while (number_of(&seen.sessions_ended) < 2)
        sched_yield();
    assert_int_equal(number_of(&seen.sessions_ended), 2);
    pipe_of_test = served_open(&served, NULL);
}

static void the_end_of_a_pipe_cancels_all(void **state)
{
    struct vine_session *session = NULL;
    struct vine_data *output;
    struct vine_task *task;

    (void)state;
    assert_int_equal(vine_session_open(pipe_of_test, served_get(pipe_of_test, "stream"), &session),
                     0);
    task = issue("s", session, NULL, &output);
    finish(task, 0, output, "");
    (void)issue("k", session, NULL, &output);
    (void)issue("k", NULL, NULL, &output);
    while (number_of(&seen.begun) < 3)
        sched_yield();
    vine_pipe_close(pipe_of_test);
    while (number_of(&seen.sessions_ended) < 1 || number_of(&seen.cancelled) < 2)
        sched_yield();
    pipe_of_test = served_open(&served, NULL);
}

static void each_execution_counts_in_the_quota_while_it_lasts(void **state)
{
    const struct vine_appliance_options options = {
        .size_bytes = sizeof options, .memory_max_bytes = 1 << 20, .tasks_max = 16};
    struct vine_accelerator *accelerator = NULL;
    struct vine_data *outputs[14];
    struct vine_task *tasks[14];
    int kept = 0;

    tear_down(state);
    set_up_with(&options);
    assert_int_equal(vine_accelerator_acquire(pipe_of_test, NULL, VINE_PARALLEL, &accelerator), 0);
    for (int round = 0; round < 20; round++) {
        struct vine_data *output;
        struct vine_task *task = issue("x", NULL, NULL, &output);

        finish(task, 0, output, "x");
    }
    for (int i = 0; i < 14; i++) {
        struct vine_data *input = NULL;
        const struct vine_task_options task_options = {.size_bytes = sizeof task_options,
                                                       .accelerator = accelerator,
                                                       .inputs = &input,
                                                       .input_count = 1,
                                                       .outputs = &outputs[i],
                                                       .output_count = 1};

        assert_int_equal(vine_data_create(pipe_of_test, VINE_TYPE_BYTES, 1, &input), 0);
        assert_int_equal(vine_data_write(input, 0, "k", 1), 0);
        assert_int_equal(vine_data_expect(pipe_of_test, VINE_TYPE_BYTES, 100, &outputs[i]), 0);
        assert_int_equal(vine_task_issue(pipe_of_test, served_get(pipe_of_test, "stream"),
                                         &task_options, &tasks[i]),
                         0);
        vine_data_free(input);
    }
    /* 14 are more than all of it. */
    assert_int_equal(vine_task_wait(tasks[13], LIMIT), -VINE_EQUOTA);
    for (int i = 0; i < 14; i++) {
        int status;

        assert_int_equal(vine_task_cancel(tasks[i]), 0);
        status = vine_task_wait(tasks[i], LIMIT);
        kept += status == -VINE_ECANCELED;
        finish(tasks[i], status, outputs[i], "");
    }
    assert_in_range(kept, 5, 11);
    tasks[0] = issue("x", NULL, NULL, &outputs[0]);
    finish(tasks[0], 0, outputs[0], "x");
    vine_accelerator_release(accelerator);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(a_coroutine_is_refused_where_nobody_runs_it, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(beside_a_function_it_has_the_sessions_alone, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(beside_a_function_with_a_state_it_has_the_streams_alone,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(a_task_of_another_kind_than_its_session_is_refused, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(beside_a_function_it_is_not_missed_where_nobody_runs_it,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(what_a_task_brings_is_read_and_what_is_written_arrives,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(an_error_ends_its_task_alone, set_up, tear_down),
        cmocka_unit_test_setup_teardown(tasks_outside_of_a_session_keep_their_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(tasks_of_a_session_are_there_together_and_in_order, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_a_session_is_told_once, set_up, tear_down),
        cmocka_unit_test_setup_teardown(
            the_end_of_a_session_is_told_though_it_comes_before_its_first_task_begins, set_up,
            tear_down),
        cmocka_unit_test_setup_teardown(who_lingers_behind_a_session_hears_that_its_pipe_is_over,
                                        set_up, tear_down),
        cmocka_unit_test_setup_teardown(the_end_of_a_pipe_cancels_all, set_up, tear_down),
        cmocka_unit_test_setup_teardown(each_execution_counts_in_the_quota_while_it_lasts, set_up,
                                        tear_down),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
