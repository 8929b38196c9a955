/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/* Pipes that move between cores: all the time, whatever they are at, and by load. */
#include <stdbool.h>

#include <vine/service.h>

static bool is_restless;

static const struct vine_service_options coroutines = {
    .size_bytes = sizeof coroutines, .isolation = VINE_ISOLATE_NONE, .connections = 64};

#define SERVED_APPLIANCE  "../appliance/served_by_reactors.h"
#define SERVED_RESTLESS   is_restless
#define SERVED_CORES      2
#define SERVED_COROUTINES &coroutines

#include "../talk/served.h"

#include <vine/coroutine.h>
#include <vine/handler.h>
#include <vine/inspect.h>
#include <vine/stream.h>

#include "arch/clock/clock.h"
#include "utils/atomic.h"

#define APPLICATIONS 4
#define IN_FLIGHT    32
#define MOVES        50   /* that a test waits for */
#define FIRST        1000 /* number that is summed: `sum` fails at the one before */

static uint64_t moved(const struct served *served)
{
    struct vine_appliance_stats stats;

    vine_appliance_get_stats(served->appliance, &stats);
    return stats.pipes_moved;
}

static int run_where(struct vine_call *call)
{
    const uint32_t core = vine_core();

    return vine_call_result(call, &core, sizeof core);
}

static const struct vine_argument where_arguments[] = {
    {.name = "core", .kind = VINE_RESULT, .min = 0, .max = sizeof(uint32_t)},
};

static const struct vine_procedure_definition where = {
    .size_bytes = sizeof where,
    .name = "where",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_where,
    SERVED_ARGUMENTS(where_arguments),
};

static uint32_t core_of(struct vine_pipe *pipe)
{
    uint32_t core = UINT32_MAX;

    assert_int_equal(vine_pipe_call(pipe, "where", NULL, 0, &core, sizeof core, NULL), 0);
    return core;
}

struct application {
    const struct served *served;
    pthread_t thread;
    struct vine_pipe *pipe; /* NULL: its own */
    uint32_t *stops;        /* atomic */
    uint64_t tasks;
};

static void start(struct application *applications, uint32_t count, void *(*run)(void *context))
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(pthread_create(&applications[i].thread, NULL, run, &applications[i]), 0);
}

static void join(struct application *applications, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++)
        assert_int_equal(pthread_join(applications[i].thread, NULL), 0);
}

/* ---- all the time ---------------------------------------------------------------------------- */

/* The session counts and sums in order: each result says how many came before it. */
static void *count_in_a_session(void *context)
{
    struct application *const self = context;
    struct vine_pipe *const pipe = served_open(self->served, NULL);
    struct vine_procedure *const sum = served_get(pipe, "sum");
    struct vine_session *session = NULL;
    struct vine_task *tasks[IN_FLIGHT] = {NULL};
    uint64_t expected = 0;

    assert_int_equal(vine_session_open(pipe, sum, &session), 0);
    for (uint64_t i = 0; vine__load_relaxed_u32(self->stops) == 0; i++) {
        struct vine_task **const task = &tasks[i % IN_FLIGHT];
        const uint64_t number = FIRST + i;
        const struct vine_task_options options = {.size_bytes = sizeof options,
                                                  .session = session,
                                                  .bytes = &number,
                                                  .bytes_size = sizeof number};

        if (*task != NULL) {
            struct sum_state state = {0};

            assert_int_equal(vine_task_wait(*task, LIMIT), 0);
            assert_int_equal(vine_task_result(*task, &state, sizeof state), sizeof state);
            assert_int_equal(state.tasks, ++self->tasks);
            expected += FIRST + self->tasks - 1;
            assert_int_equal(state.sum, expected);
            vine_task_free(*task);
        }
        assert_int_equal(vine_task_issue(pipe, sum, &options, task), 0);
    }
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        vine_task_free(tasks[i]);
    vine_session_close(session);
    vine_pipe_close(pipe);
    return NULL;
}

static void count_and_move(int worker_count)
{
    struct application applications[APPLICATIONS];
    struct served served;
    uint32_t stops = 0;

    is_restless = true;
    served_start(&served, NULL, worker_count);
    for (uint32_t i = 0; i < APPLICATIONS; i++)
        applications[i] = (struct application){.served = &served, .stops = &stops};
    start(applications, APPLICATIONS, count_in_a_session);
    while (moved(&served) < MOVES)
        sched_yield();
    vine__store_relaxed_u32(&stops, 1);
    join(applications, APPLICATIONS);
    served_stop(&served);
}

static void no_task_is_lost_or_passed_by_another(void **state)
{
    (void)state;
    count_and_move(2);
}

static void nor_where_cores_run_all_tasks(void **state)
{
    (void)state;
    count_and_move(0);
}

static void *come_and_go(void *context)
{
    struct application *const self = context;

    while (vine__load_relaxed_u32(self->stops) == 0) {
        struct vine_pipe *const pipe = served_open(self->served, NULL);
        char turned[5];
        size_t size = 0;

        assert_int_equal(vine_pipe_call(pipe, "turn", "Hello", 5, turned, sizeof turned, &size), 0);
        assert_memory_equal(turned, "hELLO", 5);
        vine_pipe_close(pipe);
    }
    return NULL;
}

static void who_closes_while_it_moves_is_gone(void **state)
{
    struct application applications[APPLICATIONS];
    struct vine_appliance_stats stats;
    struct served served;
    uint32_t stops = 0;

    (void)state;
    is_restless = true;
    served_start(&served, NULL, 1);
    for (uint32_t i = 0; i < APPLICATIONS; i++)
        applications[i] = (struct application){.served = &served, .stops = &stops};
    start(applications, APPLICATIONS, come_and_go);
    while (moved(&served) < MOVES)
        sched_yield();
    vine__store_relaxed_u32(&stops, 1);
    join(applications, APPLICATIONS);
    do {
        sched_yield();
        vine_appliance_get_stats(served.appliance, &stats);
    } while (stats.pipes_open > 0);
    assert_int_equal(stats.pipes_lost, 0);
    assert_int_equal(stats.pipes_broken, 0);
    served_stop(&served);
}

static void *call_often(void *context)
{
    struct application *const self = context;

    for (int i = 0; i < 100; i++)
        assert_int_equal(vine_pipe_call(self->pipe, "noop", NULL, 0, NULL, 0, NULL), 0);
    return NULL;
}

/* One that cannot leave, since a task of it does not end, is served all the same. */
static void a_pipe_with_a_task_that_lasts_is_served(void **state)
{
    struct served served;
    struct application application;
    struct vine_pipe *pipe;
    struct vine_task *task;

    (void)state;
    is_restless = true;
    served_start(&served, NULL, 1);
    pipe = served_open(&served, NULL);
    task = gate_issue(pipe, 1, NULL);
    gate_wait_for(1);
    /* On a channel of its own: here tasks wait for those before them. */
    application = (struct application){.served = &served, .pipe = pipe};
    start(&application, 1, call_often);
    join(&application, 1);
    gate_set(true);
    assert_int_equal(vine_task_wait(task, LIMIT), 0);
    vine_task_free(task);
    vine_pipe_close(pipe);
    served_stop(&served);
}

static void what_was_taken_ends_though_pipes_move_as_it_drains(void **state)
{
    (void)state;
    is_restless = true;
    for (int round = 0; round < 20; round++) {
        struct served served;
        struct vine_pipe *pipes[APPLICATIONS];
        struct vine_task *tasks[APPLICATIONS];

        served_start(&served, NULL, 2);
        for (uint32_t i = 0; i < APPLICATIONS; i++) {
            pipes[i] = served_open(&served, NULL);
            assert_int_equal(vine_pipe_call(pipes[i], "noop", NULL, 0, NULL, 0, NULL), 0);
            tasks[i] = i < 2 ? gate_issue(pipes[i], i, NULL) : NULL;
        }
        gate_wait_for(2);
        vine_appliance_stop(served.appliance);
        gate_set(true);
        for (uint32_t i = 0; i < 2; i++) {
            assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
            vine_task_free(tasks[i]);
        }
        served_stop(&served);
        for (uint32_t i = 0; i < APPLICATIONS; i++)
            vine_pipe_close(pipes[i]);
    }
}

/* Whoever looks at whatever moment. */
static void what_moves_is_open_and_listed_all_the_time(void **state)
{
    struct vine_pipe_facts facts[2 * APPLICATIONS];
    struct vine_pipe *pipes[APPLICATIONS];
    struct vine_appliance_stats stats;
    struct served served;

    (void)state;
    is_restless = true;
    served_start(&served, NULL, 1);
    for (uint32_t i = 0; i < APPLICATIONS; i++)
        pipes[i] = served_open(&served, NULL);
    for (uint32_t i = 0; i < APPLICATIONS; i++) /* one that is welcomed is counted soon */
        assert_int_equal(vine_pipe_call(pipes[i], "noop", NULL, 0, NULL, 0, NULL), 0);
    do {
        vine_appliance_get_stats(served.appliance, &stats);
        assert_int_equal(stats.pipes_open, APPLICATIONS);
        if (stats.pipes_moved % 8 == 0) {
            assert_int_equal(vine_inspect_pipes(pipes[0], facts, 2 * APPLICATIONS), APPLICATIONS);
            for (uint32_t i = 0; i < APPLICATIONS; i++)
                assert_false(facts[i].is_closed);
        }
    } while (stats.pipes_moved < 4 * MOVES);
    for (uint32_t i = 0; i < APPLICATIONS; i++)
        vine_pipe_close(pipes[i]);
    served_stop(&served);
}

/* ---- coroutines ------------------------------------------------------------------------------ */

/* Says how many tasks it has had before. */
VINE_COROUTINE(counts)
{
    struct {
        uint64_t count;
        bool is_there;
    } *self;

    vine_begin();
    do {
        vine_write(&self->count, sizeof self->count);
        self->count++;
        vine_task_next(self->is_there);
    } while (self->is_there);
    vine_end();
}

VINE_COROUTINE(echoes)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_forward(that->socket, that->socket);
    vine_end();
}

static const struct vine_argument counts_arguments[] = {
    {"count", VINE_RESULT, 0, 0, sizeof(uint64_t)},
};

static const struct vine_argument echoes_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 65536},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 65536},
};

static const struct vine_procedure_definition handlers[] = {
    {.size_bytes = sizeof handlers[0],
     .name = "counts",
     .coroutine = VINE_COROUTINE_OF(counts),
     SERVED_ARGUMENTS(counts_arguments)},
    {.size_bytes = sizeof handlers[0],
     .name = "echoes",
     .coroutine = VINE_COROUTINE_OF(echoes),
     SERVED_ARGUMENTS(echoes_arguments)},
};

static void start_with_handlers(struct served *served, bool moves_all_the_time)
{
    is_restless = moves_all_the_time;
    served_start(served, NULL, 1);
    for (size_t i = 0; i < sizeof handlers / sizeof handlers[0]; i++)
        assert_int_equal(vine_appliance_register(served->appliance, &handlers[i]), 0);
}

/* Those that rest between two tasks keep no pipe: they end, and the next core begins its own. */
static void coroutines_that_rest_end_where_their_pipe_was(void **state)
{
    struct served served;
    struct vine_pipe *pipe;
    uint64_t count = 0, last = 0, rested = 0, begun = 0;

    (void)state;
    start_with_handlers(&served, true);
    pipe = served_open(&served, NULL);
    do {
        assert_int_equal(vine_pipe_call(pipe, "counts", NULL, 0, &count, sizeof count, NULL), 0);
        assert_true(count == 0 || count == last + 1);
        rested += count > 0;
        begun += count == 0;
        last = count;
    } while (moved(&served) < MOVES || rested == 0);
    assert_true(begun > 1);
    vine_pipe_close(pipe);
    served_stop(&served);
}

/* A stream's coroutine is its core's, and so is its pipe while it is there. */
static void a_session_of_a_coroutine_binds_its_pipe(void **state)
{
    struct served served;
    struct vine_pipe *bound, *other;
    struct vine_stream *stream = NULL;
    char echo[4] = "";
    size_t size = 0;
    uint32_t core;

    (void)state;
    start_with_handlers(&served, true);
    assert_int_equal(vine_appliance_register(served.appliance, &where), 0);
    bound = served_open(&served, NULL);
    other = served_open(&served, NULL);
    assert_int_equal(vine_stream_open(bound, served_get(bound, "echoes"), NULL, &stream), 0);
    assert_int_equal(vine_stream_write(stream, "one", 3, LIMIT, &size), 0);
    assert_int_equal(vine_stream_read(stream, echo, sizeof echo, LIMIT, &size), 0);
    assert_true(size > 0);
    core = core_of(bound);
    for (const uint64_t before = moved(&served); moved(&served) < before + MOVES;) {
        assert_int_equal(core_of(bound), core);
        (void)core_of(other);
    }
    vine_stream_close(stream);
    while (core_of(bound) == core)
        continue;
    vine_pipe_close(bound);
    vine_pipe_close(other);
    served_stop(&served);
}

/* ---- by load --------------------------------------------------------------------------------- */

/* Some work of the loop's. */
static int run_long(struct vine_call *call)
{
    const uint64_t end_ticks = vine__clock_ticks() + vine__clock_ns_to_ticks(20000);

    (void)call;
    while (vine__clock_ticks() < end_ticks)
        continue;
    return 0;
}

static const struct vine_procedure_definition lengthy = {
    .size_bytes = sizeof lengthy,
    .name = "lengthy",
    .flags = VINE_PROCEDURE_SHORT,
    .run = run_long,
};

static void *flood(void *context)
{
    struct application *const self = context;
    struct vine_procedure *const procedure = served_get(self->pipe, "lengthy");
    struct vine_task *tasks[IN_FLIGHT] = {NULL};

    for (uint32_t i = 0; vine__load_relaxed_u32(self->stops) == 0; i = (i + 1) % IN_FLIGHT) {
        if (tasks[i] != NULL)
            assert_int_equal(vine_task_wait(tasks[i], LIMIT), 0);
        vine_task_free(tasks[i]);
        assert_int_equal(vine_task_issue(self->pipe, procedure, NULL, &tasks[i]), 0);
    }
    for (uint32_t i = 0; i < IN_FLIGHT; i++)
        vine_task_free(tasks[i]);
    return NULL;
}

/* Applications on one core alone, of which each wants half of a processor at least. */
static void busy_pipes_of_one_core_are_shared_out(void **state)
{
    struct application applications[APPLICATIONS];
    struct vine_pipe *others[APPLICATIONS];
    struct served served;
    uint32_t count = 0, other_count = 0;
    uint32_t stops = 0;

    (void)state;
    is_restless = false;
    served_start(&served, NULL, 0);
    assert_int_equal(vine_appliance_register(served.appliance, &where), 0);
    assert_int_equal(vine_appliance_register(served.appliance, &lengthy), 0);
    while (count < 2) {
        struct vine_pipe *const pipe = served_open(&served, NULL);

        assert_true(other_count < APPLICATIONS);
        if (core_of(pipe) == 0)
            applications[count++] =
                (struct application){.served = &served, .pipe = pipe, .stops = &stops};
        else
            others[other_count++] = pipe;
    }
    start(applications, count, flood);
    while (moved(&served) == 0)
        sched_yield();
    vine__store_relaxed_u32(&stops, 1);
    join(applications, count);
    assert_int_not_equal(core_of(applications[0].pipe), core_of(applications[1].pipe));
    for (uint32_t i = 0; i < count; i++)
        vine_pipe_close(applications[i].pipe);
    for (uint32_t i = 0; i < other_count; i++)
        vine_pipe_close(others[i]);
    served_stop(&served);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(no_task_is_lost_or_passed_by_another),
        cmocka_unit_test(nor_where_cores_run_all_tasks),
        cmocka_unit_test(who_closes_while_it_moves_is_gone),
        cmocka_unit_test(a_pipe_with_a_task_that_lasts_is_served),
        cmocka_unit_test(what_was_taken_ends_though_pipes_move_as_it_drains),
        cmocka_unit_test(what_moves_is_open_and_listed_all_the_time),
        cmocka_unit_test(coroutines_that_rest_end_where_their_pipe_was),
        cmocka_unit_test(a_session_of_a_coroutine_binds_its_pipe),
        cmocka_unit_test(busy_pipes_of_one_core_are_shared_out),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
