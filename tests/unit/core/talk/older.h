/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/talk/older.h - an application and an appliance of which one does not know some
 * feature of the other, being older, and all that they do with each other all the same.
 *
 * Owns:     what each of them does not know.
 * Threads:  the test's, and some that have work done.
 * Blocking: while they do.
 * Limits:   one pair a program.
 */
#ifndef VINE_TESTS_OLDER_H
#define VINE_TESTS_OLDER_H

#include "harness/must.h"
#include "served.h"

#include "core/talk/pipe_internal.h"
#include "core/talk/talk_protocol.h"

#define OLDER_THREADS 3
#define OLDER_ROUNDS  3

/* Atomic: the appliance's thread reads its own whenever it looks who has come. */
static struct {
    uint32_t application, appliance;
} unknown;

#define OLDER_REASON "a sentence that is longer than the thirty-two bytes of a completion"

static inline int run_explain(struct vine_call *call)
{
    vine_call_reason(call, OLDER_REASON);
    return -VINE_EDATA;
}

static const struct vine_procedure_definition explain = {
    .size_bytes = sizeof explain, .name = "explain", .run = run_explain};

static inline void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

/* Until the appliance has put the pipe to sleep: it wants to be told of what comes then. */
static inline void wait_until_asleep(const struct vine_pipe *pipe)
{
    while ((vine__load_relaxed_u32(&pipe->mirror.layout->board.sleep_epoch.value) & 1) == 0)
        sched_yield();
}

/* On a channel of its own. */
static inline void *have_data_turned(void *context)
{
    struct vine_pipe *pipe = context;

    for (int round = 0; round < OLDER_ROUNDS; round++) {
        char turned[5];
        size_t size = 0;

        MUST_BE(vine_pipe_call(pipe, "turn", "Hello", 5, turned, sizeof turned, &size), 0);
        MUST(size == sizeof turned && memcmp(turned, "hELLO", sizeof turned) == 0);
        wait_until_asleep(pipe);
    }
    return NULL;
}

static inline void all_threads_are_served(struct vine_pipe *pipe)
{
    pthread_t threads[OLDER_THREADS];

    for (int i = 0; i < OLDER_THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, have_data_turned, pipe), 0);
    for (int i = 0; i < OLDER_THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
}

static inline void a_session_has_its_state(struct vine_pipe *pipe)
{
    struct vine_procedure *sum = served_get(pipe, "sum");
    struct vine_session *session = NULL;
    struct sum_state state = {0};

    assert_int_equal(vine_session_open(pipe, sum, &session), 0);
    for (uint64_t number = 1; number <= 3; number++) {
        const struct vine_task_options options = {
            .size_bytes = sizeof options,
            .bytes = &number,
            .bytes_size = sizeof number,
            .session = session,
            .session_last = number == 3,
        };
        size_t size = sizeof state;

        assert_int_equal(vine_task_run(pipe, sum, &options, LIMIT, &state, &size), 0);
    }
    assert_int_equal(state.sum, 6);
    vine_session_close(session);
}

/* As much of it as a completion has room for, if no more is to be had. */
static inline void a_reason_is_told(struct vine_pipe *pipe)
{
    const struct vine_task_options options = {.size_bytes = sizeof options};
    const char *told;

    assert_int_equal(vine_task_run(pipe, served_get(pipe, "explain"), &options, LIMIT, NULL, NULL),
                     -VINE_EDATA);
    told = vine_task_last_reason();
    if ((unknown.application & VINE_TALK_FEATURE_REASONS) == 0) {
        assert_string_equal(told, OLDER_REASON);
        return;
    }
    assert_int_equal(strlen(told), VINE_RESULT_MAX);
    assert_memory_equal(told, OLDER_REASON, VINE_RESULT_MAX - 3);
    assert_string_equal(told + VINE_RESULT_MAX - 3, "...");
}

static inline void a_deadline_is_heeded_or_does_no_harm(struct vine_pipe *pipe)
{
    struct vine_task_options options = {.size_bytes = sizeof options, .deadline_ns = 1};
    const bool is_heeded = (unknown.appliance & VINE_TALK_FEATURE_DEADLINES) == 0;
    struct vine_pipe_limits limits;
    struct vine_task *task;

    vine_pipe_get_limits(pipe, &limits);
    assert_int_equal(limits.heeds_deadlines, is_heeded);
    task = gate_issue(pipe, 1, &options);
    if (!is_heeded) {
        gate_wait_for(1);
        gate_set(true);
    }
    assert_int_equal(vine_task_wait(task, LIMIT), is_heeded ? -VINE_EDEADLINE : 0);
    gate_set(false);
    vine_task_free(task);
}

static inline void all_is_well(struct vine_pipe *pipe)
{
    struct vine_pipe_stats stats;

    all_threads_are_served(pipe);
    a_session_has_its_state(pipe);
    a_reason_is_told(pipe);
    a_deadline_is_heeded_or_does_no_harm(pipe);
    vine_pipe_get_stats(pipe, &stats);
    assert_int_equal(stats.ids_refused, 0);
    assert_int_equal(stats.tasks_in_flight, 0);
    assert_int_equal(vine_pipe_status(pipe), 0);
}

/* `test` with either side, and with both, lacking what such a side may have. */
static inline void lacking(uint32_t features, void (*test)(void *context), void *context)
{
    for (unsigned sides = 1; sides <= 3; sides++) {
        vine__store_relaxed_u32(&unknown.application,
                                (sides & 1) != 0 ? features & ~VINE_TALK_FEATURE_DEADLINES : 0);
        vine__store_relaxed_u32(&unknown.appliance,
                                (sides & 2) != 0 ? features & ~VINE_TALK_FEATURE_REASONS : 0);
        test(context);
    }
}

#endif
