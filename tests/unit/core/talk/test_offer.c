/* SPDX-License-Identifier: Apache-2.0 */
/* What an appliance offers and takes while it serves: procedures that come and go, pipes that are
 * refused for a while, and what a handler that serves many procedures is told of its task. */
#include "served.h"

#include "utils/atomic.h"

static struct served served;

struct known {
    struct vine_procedure_definition definition; /* the first */
    unsigned char bytes[64];
    size_t bytes_size;
    uint64_t pipe;
    uint32_t calls; /* atomic: it and the rest are a worker's until this is raised */
};

/* Keeps what it is told in the struct around its definition. */
static int run_known(struct vine_call *call)
{
    struct known *known = (struct known *)(uintptr_t)vine_call_definition(call);
    const void *bytes = vine_call_task_bytes(call, &known->bytes_size);

    known->pipe = vine_call_pipe(call);
    memcpy(known->bytes, bytes, known->bytes_size);
    /* Pairs with the loads below: the rings do too, but a sanitizer does not see through the two
     * mappings of their memory. */
    vine__store_release_u32(&known->calls, known->calls + 1);
    return 0;
}

static struct known known = {
    .definition = {.size_bytes = sizeof(struct vine_procedure_definition),
                   .name = "known",
                   .flags = VINE_ARGUMENTS_COPIED_BY_HANDLER,
                   .run = run_known,
                   SERVED_ARGUMENTS(answer_arguments)},
};

static int run(struct vine_pipe *pipe, struct vine_procedure *procedure, const void *bytes,
               size_t size)
{
    const struct vine_task_options options = {
        .size_bytes = sizeof options, .bytes = bytes, .bytes_size = size};

    return vine_task_run(pipe, procedure, &options, LIMIT, NULL, NULL);
}

static void a_handler_finds_its_definition_the_bytes_as_sent_and_whose_they_are(void **state)
{
    (void)state;
    const unsigned char bytes[] = {7, 0, 0, 0, 0, 0, 0, 0, 'a', 'b', 'c'};

    served_start(&served, NULL, 1);
    assert_int_equal(vine_appliance_register(served.appliance, &known.definition), 0);
    struct vine_pipe *one = served_open(&served, NULL);
    struct vine_pipe *other = served_open(&served, NULL);
    struct vine_procedure *procedure = served_get(one, "known");

    assert_true(vine_procedure_describe(procedure)->copies_arguments);
    assert_int_equal(run(one, procedure, bytes, sizeof bytes), 0);
    assert_int_equal(vine__load_acquire_u32(&known.calls), 1); /* pairs with the handler's */
    assert_int_equal(known.bytes_size, sizeof bytes);
    assert_memory_equal(known.bytes, bytes, sizeof bytes);
    const uint64_t first = known.pipe;
    /* What was not sent is not there. */
    assert_int_equal(run(other, served_get(other, "known"), NULL, 0), 0);
    assert_int_equal(vine__load_acquire_u32(&known.calls), 2); /* pairs with the handler's */
    assert_int_equal(known.bytes_size, 0);
    assert_int_not_equal(known.pipe, first);
    vine_pipe_close(one);
    vine_pipe_close(other);
    served_stop(&served);
}

static void a_procedure_that_is_withdrawn_is_not_there_until_it_is_offered_again(void **state)
{
    (void)state;
    struct vine_procedure *procedures[16];
    struct vine_procedure *missing = NULL;

    served_start(&served, NULL, 1);
    assert_int_equal(vine_appliance_withdraw(served.appliance, "known"), -VINE_EPROCEDURE);
    assert_int_equal(vine_appliance_register(served.appliance, &known.definition), 0);
    struct vine_pipe *pipe = served_open(&served, NULL);
    struct vine_procedure *procedure = served_get(pipe, "known");
    const int count = vine_procedure_list(pipe, procedures, 16);

    assert_int_equal(vine_appliance_withdraw(served.appliance, "known"), 0);
    assert_int_equal(vine_appliance_withdraw(served.appliance, "known"), -VINE_EPROCEDURE);
    assert_int_equal(run(pipe, procedure, NULL, 0), -VINE_EPROCEDURE);
    assert_int_equal(vine_procedure_list(pipe, procedures, 16), count - 1);
    struct vine_pipe *later = served_open(&served, NULL);
    assert_int_equal(vine_procedure_get(later, "known", &missing), -VINE_EPROCEDURE);
    assert_int_equal(run(pipe, served_get(pipe, "noop"), NULL, 0), 0);

    assert_int_equal(vine_appliance_register(served.appliance, &known.definition), 0);
    assert_int_equal(run(pipe, procedure, NULL, 0), 0);
    assert_int_equal(vine_procedure_list(pipe, procedures, 16), count);
    vine_pipe_close(pipe);
    vine_pipe_close(later);
    served_stop(&served);
}

static void one_that_is_suspended_refuses_pipes_and_keeps_those_that_it_has(void **state)
{
    (void)state;
    struct vine_pipe *refused = NULL;

    served_start(&served, NULL, 1);
    struct vine_pipe *pipe = served_open(&served, NULL);

    vine_appliance_suspend(served.appliance, -VINE_ENOAPPLIANCE);
    assert_int_equal(vine_pipe_open(served.path, NULL, &refused), -VINE_ENOAPPLIANCE);
    assert_null(refused);
    assert_int_equal(run(pipe, served_get(pipe, "noop"), NULL, 0), 0);
    vine_appliance_suspend(served.appliance, 0);
    vine_pipe_close(served_open(&served, NULL));
    vine_pipe_close(pipe);
    served_stop(&served);
}

/* Two workers, of which one pipe may have one: another pipe's task ends while both tasks of the
 * first are there and the gate is closed. */
static void a_pipe_has_no_more_workers_than_it_may(void **state)
{
    (void)state;
    const struct vine_appliance_options options = {.size_bytes = sizeof options, .running_max = 1};
    struct vine_accelerator *parallel = NULL;
    struct vine_appliance_stats stats;
    struct vine_task *tasks[2];

    served_start(&served, &options, 2);
    struct vine_pipe *greedy = served_open(&served, NULL);
    struct vine_pipe *modest = served_open(&served, NULL);

    assert_int_equal(vine_accelerator_acquire(greedy, NULL, VINE_PARALLEL, &parallel), 0);
    for (uint64_t i = 0; i < 2; i++) {
        struct vine_task_options freely = {.size_bytes = sizeof freely, .accelerator = parallel};

        tasks[i] = gate_issue(greedy, i, &freely);
    }
    do {
        sched_yield();
        vine_appliance_get_stats(served.appliance, &stats);
    } while (stats.tasks_running < 2);
    assert_int_equal(run(modest, served_get(modest, "sum_bytes"), "x", 1), 0);
    gate_set(true);
    for (int i = 0; i < 2; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    vine_pipe_close(greedy);
    vine_pipe_close(modest);
    served_stop(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_handler_finds_its_definition_the_bytes_as_sent_and_whose_they_are),
        cmocka_unit_test(a_procedure_that_is_withdrawn_is_not_there_until_it_is_offered_again),
        cmocka_unit_test(one_that_is_suspended_refuses_pipes_and_keeps_those_that_it_has),
        cmocka_unit_test(a_pipe_has_no_more_workers_than_it_may),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
