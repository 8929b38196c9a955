/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* How an appliance's pipes are spread over cores, and how it begins and ends. */
#define SERVED_APPLIANCE "../appliance/served_by_reactors.h"

#include "../talk/served.h"

#include "utils/atomic.h"

#define PIPES (4 * SERVED_CORES)

/* Which core serves the pipe. */
static int run_where(struct vine_call *call)
{
    const uint32_t core = vine_core();

    return vine_call_result(call, &core, sizeof core);
}

static const struct vine_argument where_arguments[] = {
    {.name = "core", .kind = VINE_RESULT, .min = 0, .max = sizeof(uint32_t)},
};

static const struct vine_procedure_definition where = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "where",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_where,
    .arguments = where_arguments,
    .argument_count = 1,
};

static uint32_t core_of(struct vine_pipe *pipe)
{
    uint32_t core = UINT32_MAX;

    assert_int_equal(vine_pipe_call(pipe, "where", NULL, 0, &core, sizeof core, NULL), 0);
    assert_true(core < SERVED_CORES);
    return core;
}

static void count_cores(struct vine_pipe **pipes, uint32_t count, uint32_t *ret_counts)
{
    memset(ret_counts, 0, SERVED_CORES * sizeof *ret_counts);
    for (uint32_t i = 0; i < count; i++)
        ret_counts[core_of(pipes[i])]++;
}

static void pipes_are_spread_evenly_and_stay_where_they_are(void **state)
{
    struct served served;
    struct vine_pipe *pipes[PIPES];
    uint32_t counts[SERVED_CORES];

    (void)state;
    served_start(&served, NULL, 0);
    assert_int_equal(vine_appliance_register(served.appliance, &where), 0);
    for (uint32_t i = 0; i < PIPES; i++)
        pipes[i] = served_open(&served, NULL);
    count_cores(pipes, PIPES, counts);
    /* One that has come to a core just now may count twice there. */
    for (uint32_t core = 0; core < SERVED_CORES; core++)
        assert_in_range(counts[core], PIPES / SERVED_CORES - 1, PIPES / SERVED_CORES + 1);
    for (uint32_t i = 0; i < PIPES; i++) {
        const uint32_t core = core_of(pipes[i]);

        for (int task = 0; task < 100; task++)
            assert_int_equal(core_of(pipes[i]), core);
    }
    for (uint32_t i = 0; i < PIPES; i++)
        vine_pipe_close(pipes[i]);
    served_stop(&served);
}

static uint32_t pipes_open(const struct served *served)
{
    struct vine_appliance_stats stats;

    vine_appliance_get_stats(served->appliance, &stats);
    return stats.pipes_open;
}

static int64_t do_nothing(void *nothing)
{
    (void)nothing;
    return 0;
}

static void who_comes_is_handed_to_the_core_that_others_have_left(void **state)
{
    struct served served;
    struct vine_pipe *pipes[PIPES];
    uint32_t counts[SERVED_CORES];
    uint32_t left = 0;

    (void)state;
    served_start(&served, NULL, 1);
    assert_int_equal(vine_appliance_register(served.appliance, &where), 0);
    for (uint32_t i = 0; i < PIPES; i++)
        pipes[i] = served_open(&served, NULL);
    for (uint32_t i = 0; i < PIPES; i++) {
        if (core_of(pipes[i]) != SERVED_CORES - 1)
            continue;
        vine_pipe_close(pipes[i]);
        pipes[i] = NULL;
        left++;
    }
    while (pipes_open(&served) != PIPES - left)
        sched_yield();
    /* What ended in a turn is no load when the next work runs. */
    (void)reactors_call(SERVED_CORES - 1, do_nothing, NULL);
    for (uint32_t i = 0; i < PIPES; i++)
        if (pipes[i] == NULL)
            pipes[i] = served_open(&served, NULL);
    count_cores(pipes, PIPES, counts);
    assert_in_range(counts[SERVED_CORES - 1], left > 1 ? left - 1 : 1, left + 1);
    for (uint32_t i = 0; i < PIPES; i++)
        vine_pipe_close(pipes[i]);
    served_stop(&served);
}

static void what_all_cores_have_done_is_counted_together(void **state)
{
    struct vine_appliance_stats stats;
    struct served served;
    struct vine_pipe *pipes[PIPES];

    (void)state;
    served_start(&served, NULL, 2);
    assert_int_equal(vine_appliance_register(served.appliance, &where), 0);
    for (uint32_t i = 0; i < PIPES; i++) {
        pipes[i] = served_open(&served, NULL);
        (void)core_of(pipes[i]);
    }
    vine_appliance_get_stats(served.appliance, &stats);
    assert_int_equal(stats.pipes_open, PIPES);
    assert_int_equal(stats.pipes_accepted, PIPES);
    assert_int_equal(stats.tasks_done, PIPES);
    assert_int_equal(stats.workers, 2);
    for (uint32_t i = 0; i < PIPES; i++)
        vine_pipe_close(pipes[i]);
    served_stop(&served);
}

static void the_bound_of_pipes_is_for_all_cores_together(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .pipes_max = SERVED_CORES + 1};
    struct served served;
    struct vine_pipe *pipes[SERVED_CORES + 1], *another = NULL;

    (void)state;
    served_start(&served, &options, 1);
    for (uint32_t i = 0; i < SERVED_CORES + 1; i++)
        pipes[i] = served_open(&served, NULL);
    assert_int_equal(vine_pipe_open(served.path, NULL, &another), -VINE_EQUOTA);
    for (uint32_t i = 0; i < SERVED_CORES + 1; i++)
        vine_pipe_close(pipes[i]);
    served_stop(&served);
}

static void a_procedure_is_offered_and_withdrawn_on_all_cores(void **state)
{
    struct served served;
    struct vine_pipe *pipes[SERVED_CORES];
    uint32_t core;

    (void)state;
    served_start(&served, NULL, 1);
    for (uint32_t i = 0; i < SERVED_CORES; i++)
        pipes[i] = served_open(&served, NULL);
    for (uint32_t i = 0; i < SERVED_CORES; i++)
        assert_int_equal(vine_pipe_call(pipes[i], "where", NULL, 0, &core, sizeof core, NULL),
                         -VINE_EPROCEDURE);
    assert_int_equal(vine_appliance_register(served.appliance, &where), 0);
    for (uint32_t i = 0; i < SERVED_CORES; i++)
        (void)core_of(pipes[i]);
    assert_int_equal(vine_appliance_withdraw(served.appliance, "where"), 0);
    for (uint32_t i = 0; i < SERVED_CORES; i++)
        assert_int_equal(vine_pipe_call(pipes[i], "where", NULL, 0, &core, sizeof core, NULL),
                         -VINE_EPROCEDURE);
    for (uint32_t i = 0; i < SERVED_CORES; i++)
        vine_pipe_close(pipes[i]);
    served_stop(&served);
}

/* ---- the end --------------------------------------------------------------------------------- */

static uint32_t draining_events, draining_tasks;

static void see_event(void *context, const struct vine_appliance_event *event)
{
    (void)context;
    if (event->kind != VINE_APPLIANCE_DRAINING)
        return;
    (void)vine__fetch_add_acq_rel_u32(&draining_events, 1);
    (void)vine__fetch_add_acq_rel_u32(&draining_tasks, (uint32_t)event->count);
}

/* Tasks on each core before the gate: their ends are awaited, on all cores. */
static void what_was_taken_ends_before_it_does(void **state)
{
    const struct vine_appliance_options options = {.size_bytes = sizeof options,
                                                   .event = see_event};
    struct served served;
    struct vine_pipe *pipes[SERVED_CORES], *another = NULL;
    struct vine_task *tasks[SERVED_CORES];

    (void)state;
    draining_events = 0;
    draining_tasks = 0;
    served_start(&served, &options, SERVED_CORES);
    for (uint32_t i = 0; i < SERVED_CORES; i++) {
        pipes[i] = served_open(&served, NULL);
        tasks[i] = gate_issue(pipes[i], i, NULL);
    }
    gate_wait_for(SERVED_CORES);
    vine_appliance_stop(served.appliance);
    while (vine__load_relaxed_u32(&draining_events) == 0)
        sched_yield();
    while (vine_pipe_open(served.path, NULL, &another) == 0)
        vine_pipe_close(another); /* who came before core 0 had heard of it */
    gate_set(true);
    for (uint32_t i = 0; i < SERVED_CORES; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
    }
    served_stop(&served);
    assert_int_equal(draining_events, 1);
    assert_int_equal(draining_tasks, SERVED_CORES);
    for (uint32_t i = 0; i < SERVED_CORES; i++)
        vine_pipe_close(pipes[i]);
}

/* The second time, what runs is given up. */
static void who_is_told_twice_gives_up_on_all_cores(void **state)
{
    struct served served;
    struct vine_pipe *pipes[SERVED_CORES];
    struct vine_task *tasks[SERVED_CORES];

    (void)state;
    served_start(&served, NULL, SERVED_CORES);
    for (uint32_t i = 0; i < SERVED_CORES; i++) {
        pipes[i] = served_open(&served, NULL);
        tasks[i] = gate_issue(pipes[i], i, NULL);
    }
    gate_wait_for(SERVED_CORES);
    vine_appliance_stop(served.appliance);
    vine_appliance_stop(served.appliance);
    for (uint32_t i = 0; i < SERVED_CORES; i++) {
        assert_int_equal(vine_task_wait(tasks[i], LIMIT), -VINE_ECANCELED);
        vine_task_free(tasks[i]);
        vine_pipe_close(pipes[i]);
    }
    served_stop(&served);
}

/* Nobody else tells it. */
static void it_ends_with_the_reactors(void **state)
{
    struct served served;
    struct served_reactors *self;
    struct vine_pipe *pipes[PIPES];

    (void)state;
    served_start(&served, NULL, 2);
    self = served.others;
    for (uint32_t i = 0; i < PIPES; i++)
        pipes[i] = served_open(&served, NULL);
    self->destroys_it = true;
    (void)reactors_call(0, reactors_stop_all, NULL);
    pthread_mutex_lock(&self->lock);
    while (!self->has_ended)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
    reactors_close_stopped(&self->reactors);
    free(self);
    for (uint32_t i = 0; i < PIPES; i++)
        vine_pipe_close(pipes[i]);
    served_remove(&served);
}

static int64_t count_workers(void *path)
{
    const struct vine_serving_options options = {.size_bytes = sizeof options, .worker_count = 2};
    struct vine_serving *serving = NULL;
    struct vine_appliance_stats stats;
    int error = vine_serving_create(&options, &serving);

    if (error == 0)
        error = vine_serving_start(serving, path);
    if (error != 0) {
        vine_serving_destroy(serving);
        return error;
    }
    vine_appliance_get_stats(vine_serving_appliance(serving), &stats);
    vine_appliance_stop(vine_serving_appliance(serving)); /* and nobody waits for it */
    return stats.workers;
}

/* Else cores would run the jobs of whoever comes at once, and be held up by them. */
static void its_workers_count_before_they_have_begun(void **state)
{
    struct served served;
    char path[sizeof served.path + 8];

    (void)state;
    served_start(&served, NULL, 0);
    (void)snprintf(path, sizeof path, "%s.second", served.path);
    assert_int_equal(reactors_call(0, count_workers, path), 2);
    served_stop(&served);
}

/* ---- refusals -------------------------------------------------------------------------------- */

struct attempt {
    const char *address;
    uint32_t core_count;
    int created, started;
};

static int64_t try_it(void *context)
{
    struct attempt *const attempt = context;
    const struct vine_serving_options options = {.size_bytes = sizeof options,
                                                 .core_count = attempt->core_count};
    struct vine_serving *serving = NULL;

    attempt->created = vine_serving_create(&options, &serving);
    if (attempt->created == 0 && attempt->address != NULL)
        attempt->started = vine_serving_start(serving, attempt->address);
    vine_serving_destroy(serving);
    return 0;
}

static void one_that_cannot_start_can_be_destroyed(void **state)
{
    struct served served;
    struct served_reactors *self;
    struct attempt attempt = {.core_count = SERVED_CORES + 1};

    (void)state;
    served_start(&served, NULL, 0);
    self = served.others;
    assert_non_null(self);
    (void)reactors_call(0, try_it, &attempt);
    assert_int_equal(attempt.created, -EINVAL);
    attempt = (struct attempt){.address = NULL};
    (void)reactors_call(0, try_it, &attempt);
    assert_int_equal(attempt.created, 0);
    attempt = (struct attempt){.address = served.path};
    (void)reactors_call(0, try_it, &attempt);
    assert_int_equal(attempt.started, -EADDRINUSE);
    served_stop(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_that_cannot_start_can_be_destroyed),
        cmocka_unit_test(its_workers_count_before_they_have_begun),
        cmocka_unit_test(pipes_are_spread_evenly_and_stay_where_they_are),
        cmocka_unit_test(who_comes_is_handed_to_the_core_that_others_have_left),
        cmocka_unit_test(what_all_cores_have_done_is_counted_together),
        cmocka_unit_test(the_bound_of_pipes_is_for_all_cores_together),
        cmocka_unit_test(a_procedure_is_offered_and_withdrawn_on_all_cores),
        cmocka_unit_test(what_was_taken_ends_before_it_does),
        cmocka_unit_test(who_is_told_twice_gives_up_on_all_cores),
        cmocka_unit_test(it_ends_with_the_reactors),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
