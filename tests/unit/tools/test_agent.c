/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=tools links=procedures */
/* An agent between an appliance and a pipe, all in this process: what is seen of it on either
 * side. */
#include "unit/core/talk/served.h"

#include "tools/agent.h"

#define WORKERS 4

static struct served far;
static struct agent agent;
static struct vine_appliance *near;
static pthread_t threads[WORKERS + 1];
static char path[80];

static void start(void)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .running_max = 2};

    served_start(&far, NULL, 2);
    agent_init(&agent, far.path);
    assert_int_equal(vine_appliance_create(&options, &near), 0);
    assert_int_equal(agent.source.open(&agent.source, near), 0);
    (void)snprintf(path, sizeof path, "%s/near", far.folder);
    assert_int_equal(vine_appliance_listen(near, path), 0);
    for (int i = 0; i < WORKERS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, served_work, near), 0);
    served_wait_for_workers(near, WORKERS);
    assert_int_equal(pthread_create(&threads[WORKERS], NULL, served_loop, near), 0);
}

static void stop(void)
{
    char lock[96];

    vine_appliance_stop(near);
    for (int i = 0; i <= WORKERS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    vine_appliance_destroy(near);
    agent.source.close(&agent.source);
    (void)snprintf(lock, sizeof lock, "%s.lock", path);
    (void)unlink(lock);
    served_stop(&far);
}

static struct vine_pipe *open_near(void)
{
    struct vine_pipe *pipe = NULL;

    assert_int_equal(vine_pipe_open(path, NULL, &pipe), 0);
    return pipe;
}

static void procedures_are_described_as_they_are_over_there(void **state)
{
    (void)state;
    start();
    struct vine_pipe *here = open_near();
    struct vine_pipe *there = served_open(&far, NULL);

    for (size_t i = 0; i < SERVED_PROCEDURES; i++) {
        const char *name = served_procedures[i].name;
        const struct vine_procedure_info *one = vine_procedure_describe(served_get(here, name));
        const struct vine_procedure_info *other = vine_procedure_describe(served_get(there, name));

        assert_string_equal(one->summary, other->summary);
        assert_string_equal(one->accelerator_type, other->accelerator_type);
        assert_int_equal(one->copies_arguments, other->copies_arguments);
        assert_int_equal(one->has_sessions, other->has_sessions);
        assert_int_equal(one->argument_count, other->argument_count);
        for (uint32_t j = 0; j < one->argument_count; j++) {
            assert_string_equal(one->arguments[j].name, other->arguments[j].name);
            assert_int_equal(one->arguments[j].kind, other->arguments[j].kind);
            assert_int_equal(one->arguments[j].data_type, other->arguments[j].data_type);
            assert_int_equal(one->arguments[j].min, other->arguments[j].min);
            assert_int_equal(one->arguments[j].max, other->arguments[j].max);
        }
    }
    vine_pipe_close(here);
    vine_pipe_close(there);
    stop();
}

static void a_task_ends_as_over_there_with_the_same_bytes(void **state)
{
    (void)state;
    static const int ends[] = {0, VINE_EDATA, VINE_EOVERFLOW, VINE_EFAILED};
    unsigned char bytes[8 + 20] = {0};
    unsigned char result[VINE_RESULT_MAX];

    start();
    struct vine_pipe *pipe = open_near();

    memset(bytes + 8, 'x', 20);
    for (size_t i = 0; i < sizeof ends / sizeof ends[0]; i++) {
        const uint64_t status = (uint64_t)ends[i];
        size_t size = sizeof result;

        memcpy(bytes, &status, sizeof status);
        const struct vine_task_options options = {
            .size_bytes = sizeof options, .bytes = bytes, .bytes_size = sizeof bytes};
        assert_int_equal(
            vine_task_run(pipe, served_get(pipe, "answer"), &options, LIMIT, result, &size),
            -ends[i]);
        if (ends[i] == 0) {
            assert_int_equal(size, 20);
            assert_memory_equal(result, bytes + 8, 20);
        }
    }
    /* An empty input, and one that has to be copied. */
    for (size_t size = 0; size <= 3u << 20; size += 3u << 20) {
        unsigned char *input = calloc(1, size + 1);
        unsigned char *output = calloc(1, size + 1);
        size_t made = 1;

        memset(input, 'a', size);
        assert_int_equal(vine_pipe_call(pipe, "turn", input, size, output, size, &made), 0);
        assert_int_equal(made, size);
        for (size_t i = 0; i < size; i++)
            assert_int_equal(output[i], 'A');
        free(input);
        free(output);
    }
    vine_pipe_close(pipe);
    stop();
}

static void outputs_come_back_each_with_its_size(void **state)
{
    (void)state;
    static const uint32_t types[] = {VINE_TYPE_BYTES, VINE_TYPE_BYTES, VINE_TYPE_BYTES,
                                     VINE_TYPE_U32};
    static const size_t sizes[] = {1, 2, 0, 4};
    struct vine_data *input = NULL;
    struct vine_data *outputs[4] = {NULL};
    char result[VINE_RESULT_MAX];
    size_t result_size = sizeof result;

    start();
    struct vine_pipe *pipe = open_near();

    assert_int_equal(vine_data_create(pipe, VINE_TYPE_U32, 4, &input), 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(vine_data_expect(pipe, types[i], 64, &outputs[i]), 0);
    const struct vine_task_options options = {.size_bytes = sizeof options,
                                              .inputs = &input,
                                              .input_count = 1,
                                              .outputs = outputs,
                                              .output_count = 4};
    assert_int_equal(
        vine_task_run(pipe, served_get(pipe, "many"), &options, LIMIT, result, &result_size), 0);
    assert_int_equal(result_size, 20);
    for (int i = 0; i < 4; i++)
        assert_int_equal(vine_data_size(outputs[i]), sizes[i]);
    assert_memory_equal(vine_data_view(outputs[3]), "dddd", 4);
    vine_pipe_close(pipe);
    stop();
}

static void wait_for_states(int count)
{
    while (__atomic_load_n(&sum_states, __ATOMIC_ACQUIRE) != count)
        sched_yield();
}

static void sessions_are_one_to_one_and_end_with_their_application(void **state)
{
    (void)state;
    struct vine_session *sessions[2] = {NULL};
    struct sum_state sum;

    __atomic_store_n(&sum_states, 0, __ATOMIC_RELEASE);
    start();
    struct vine_pipe *pipe = open_near();
    struct vine_procedure *procedure = served_get(pipe, "sum");

    for (int i = 0; i < 2; i++)
        assert_int_equal(vine_session_open(pipe, procedure, &sessions[i]), 0);
    for (uint64_t i = 0; i < 10; i++) {
        const uint64_t number = i % 2 ? 100 : 1;
        size_t size = sizeof sum;
        const struct vine_task_options options = {.size_bytes = sizeof options,
                                                  .bytes = &number,
                                                  .bytes_size = sizeof number,
                                                  .session = sessions[i % 2],
                                                  .session_last = i == 8};
        assert_int_equal(vine_task_run(pipe, procedure, &options, LIMIT, &sum, &size), 0);
        assert_int_equal(sum.sum, (i / 2 + 1) * number);
    }
    wait_for_states(1); /* the one that had its last task is over */
    vine_pipe_close(pipe);
    wait_for_states(0);
    stop();
}

static void a_cancel_and_a_death_reach_the_far_side(void **state)
{
    (void)state;
    start();
    struct vine_pipe *pipe = open_near();
    struct vine_task *task = gate_issue(pipe, 1, NULL);

    gate_wait_for(1);
    assert_int_equal(vine_task_cancel(task), 0);
    assert_int_equal(vine_task_wait(task, LIMIT), -VINE_ECANCELED);
    vine_task_free(task);

    (void)gate_issue(pipe, 2, NULL);
    gate_wait_for(1);
    vine_pipe_close(pipe);
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting > 0)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
    stop();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(procedures_are_described_as_they_are_over_there),
        cmocka_unit_test(a_task_ends_as_over_there_with_the_same_bytes),
        cmocka_unit_test(outputs_come_back_each_with_its_size),
        cmocka_unit_test(sessions_are_one_to_one_and_end_with_their_application),
        cmocka_unit_test(a_cancel_and_a_death_reach_the_far_side),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
