/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/talk/served.h - an appliance on threads of the test's own, and procedures to try.
 *
 * Owns:     the appliance, its threads and its folder under /tmp.
 * Threads:  the test's; one serves, the rest work.
 * Blocking: starting and stopping.
 * Limits:   SERVED_WORKERS_MAX workers; one gate a program.
 */
#ifndef VINE_TESTS_SERVED_H
#define VINE_TESTS_SERVED_H

#include <vine/appliance.h>
#include <vine/error.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "harness/procedures.h"

#define SERVED_WORKERS_MAX 4
#define SECOND             VINE_NS_PER_SECOND
#define LIMIT              (60 * SECOND) /* a hang guard, never reached */

/* How it is served: by served_begin and served_end of this file. */
#ifndef SERVED_APPLIANCE
#define SERVED_APPLIANCE "served_by_threads.h"
#endif

struct served {
    struct vine_appliance *appliance;
    void *others; /* of who serves it */
    pthread_t loop;
    pthread_t workers[SERVED_WORKERS_MAX];
    int worker_count;
    char folder[32];
    char path[64];
};

/* ---- procedures ------------------------------------------------------------------------------ */

/* Handlers of `gate` wait until it is opened, and tell how many do. */
static struct {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool is_open;
    int waiting;
    int passed;
    uint64_t order[64]; /* the scalars of those that passed */
} gate = {.lock = PTHREAD_MUTEX_INITIALIZER, .changed = PTHREAD_COND_INITIALIZER};

static inline void gate_set(bool is_open)
{
    pthread_mutex_lock(&gate.lock);
    gate.is_open = is_open;
    if (!is_open)
        gate.passed = 0;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
}

/* Until so many handlers stand before the gate. */
static inline void gate_wait_for(int count)
{
    pthread_mutex_lock(&gate.lock);
    while (gate.waiting < count)
        pthread_cond_wait(&gate.changed, &gate.lock);
    pthread_mutex_unlock(&gate.lock);
}

/* The number of the task that passed as the n-th. */
static inline uint64_t gate_order(int n)
{
    pthread_mutex_lock(&gate.lock);
    const uint64_t number = gate.order[n];
    pthread_mutex_unlock(&gate.lock);
    return number;
}

static inline int run_gate(struct vine_call *call)
{
    const uint64_t number = vine_call_scalar(call, 0, 0);
    int error = 0;

    pthread_mutex_lock(&gate.lock);
    gate.waiting++;
    pthread_cond_broadcast(&gate.changed);
    while (!gate.is_open && !error) {
        struct timespec soon;

        clock_gettime(CLOCK_REALTIME, &soon);
        soon.tv_nsec += 1000000;
        soon.tv_sec += soon.tv_nsec / 1000000000;
        soon.tv_nsec %= 1000000000;
        pthread_cond_timedwait(&gate.changed, &gate.lock, &soon);
        if (vine_call_is_canceled(call))
            error = -VINE_ECANCELED;
    }
    gate.waiting--;
    if (gate.passed < 64)
        gate.order[gate.passed] = number;
    gate.passed++;
    pthread_cond_broadcast(&gate.changed);
    pthread_mutex_unlock(&gate.lock);
    return error;
}

/* Turns each letter's case, into the output. */
static inline int run_turn(struct vine_call *call)
{
    size_t size;
    size_t room;
    const unsigned char *from = vine_call_bytes(call, 0, &size);
    unsigned char *to = vine_call_output(call, 1, &room);

    if (size > room)
        return -VINE_EOVERFLOW;
    for (size_t i = 0; i < size; i++)
        to[i] = from[i] ^ 0x20;
    return vine_call_output_size(call, 1, size);
}

/* The result is the task's own bytes; how it ends is its scalar. */
static inline int run_answer(struct vine_call *call)
{
    size_t size;
    const uint64_t status = vine_call_scalar(call, 0, 0);
    const void *bytes = vine_call_bytes(call, 1, &size);
    const int error = vine_call_result(call, bytes, size < VINE_RESULT_MAX ? size : 0);

    return error ? error : -(int)status;
}

/* The sum of all its bytes, as eight of them. */
static inline int run_sum_bytes(struct vine_call *call)
{
    size_t size;
    const unsigned char *bytes = vine_call_bytes(call, 0, &size);
    uint64_t sum = 0;

    for (size_t i = 0; i < size; i++)
        sum += bytes[i];
    return vine_call_result(call, &sum, sizeof sum);
}

/* Four outputs of 1, 2, 0 and 4 bytes and 20 bytes of result. */
static inline int run_many(struct vine_call *call)
{
    static const size_t sizes[] = {1, 2, 0, 4};
    unsigned char result[20];
    int error = 0;

    for (uint32_t i = 0; i < 4 && !error; i++) {
        size_t room;
        void *to = vine_call_output(call, 1 + i, &room);

        if (room < sizes[i])
            return -VINE_EOVERFLOW;
        if (sizes[i] > 0)
            memset(to, 'a' + (int)i, sizes[i]);
        error = vine_call_output_size(call, 1 + i, sizes[i]);
    }
    memset(result, 'r', sizeof result);
    return error ? error : vine_call_result(call, result, sizeof result);
}

struct sum_state {
    uint64_t sum;
    uint64_t tasks;
};

static int sum_states; /* that live */

static inline int begin_sum(void *state)
{
    (void)state;
    __atomic_fetch_add(&sum_states, 1, __ATOMIC_ACQ_REL);
    return 0;
}

static inline void end_sum(void *state)
{
    (void)state;
    __atomic_fetch_sub(&sum_states, 1, __ATOMIC_ACQ_REL);
}

/* The sum over a session; a scalar of 999 fails. The result is sum and count of tasks. */
static inline int run_sum(struct vine_call *call)
{
    struct sum_state *state = vine_call_state(call);
    const uint64_t number = vine_call_scalar(call, 0, 0);
    struct sum_state alone = {0};

    if (state == NULL)
        state = &alone;
    if (number == 999)
        return -VINE_EDATA;
    state->sum += number;
    state->tasks++;
    return vine_call_result(call, state, sizeof *state);
}

/* Charges so many bytes to its session's pipe and ends as its second scalar says. */
static inline int run_hold(struct vine_call *call)
{
    const int error = vine_call_charge(call, (int64_t)vine_call_scalar(call, 0, 0));

    return error ? error : -(int)vine_call_scalar(call, 1, 0);
}

static const struct vine_argument hold_arguments[] = {
    {"bytes", VINE_SCALAR, 0, 0, INT64_MAX},
    {"status", VINE_SCALAR, 0, 0, 2000},
};
static const struct vine_argument gate_arguments[] = {
    {"number", VINE_SCALAR, 0, 0, UINT64_MAX},
};
static const struct vine_argument turn_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, 64u << 20},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 64u << 20},
};
static const struct vine_argument answer_arguments[] = {
    {"status", VINE_SCALAR, 0, 0, 2000},
    {"bytes", VINE_BYTES, 0, 0, VINE_TASK_BYTES_MAX},
    {"answer", VINE_RESULT, 0, 0, VINE_RESULT_MAX},
};
static const struct vine_argument sum_bytes_arguments[] = {
    {"bytes", VINE_BYTES, 0, 1, VINE_TASK_BYTES_MAX},
    {"sum", VINE_RESULT, 0, 8, 8},
};
static const struct vine_argument many_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_U32, 4, 1024},   {"a", VINE_OUTPUT, VINE_TYPE_BYTES, 1, 1024},
    {"b", VINE_OUTPUT, VINE_TYPE_BYTES, 1, 1024}, {"c", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 1024},
    {"d", VINE_OUTPUT, VINE_TYPE_U32, 4, 1024},   {"result", VINE_RESULT, 0, 0, VINE_RESULT_MAX},
};
static const struct vine_argument sum_arguments[] = {
    {"number", VINE_SCALAR, 0, 0, UINT64_MAX},
    {"state", VINE_RESULT, 0, 16, 16},
};

#define SERVED_ARGUMENTS(list)                                                                     \
    .arguments = (list), .argument_count = sizeof(list) / sizeof((list)[0])

static const struct vine_procedure_definition served_procedures[] = {
    {.size_bytes = sizeof(struct vine_procedure_definition),
     .name = "noop",
     .summary = "does nothing",
     .flags = VINE_PROCEDURE_SHORT,
     .run = run_noop},
    {.size_bytes = sizeof(struct vine_procedure_definition),
     .name = "gate",
     .run = run_gate,
     SERVED_ARGUMENTS(gate_arguments)},
    {.size_bytes = sizeof(struct vine_procedure_definition),
     .name = "turn",
     .flags = VINE_ARGUMENTS_SHARED,
     .run = run_turn,
     SERVED_ARGUMENTS(turn_arguments)},
    {.size_bytes = sizeof(struct vine_procedure_definition),
     .name = "answer",
     .flags = VINE_PROCEDURE_SHORT,
     .run = run_answer,
     SERVED_ARGUMENTS(answer_arguments)},
    {.size_bytes = sizeof(struct vine_procedure_definition),
     .name = "sum_bytes",
     .run = run_sum_bytes,
     SERVED_ARGUMENTS(sum_bytes_arguments)},
    {.size_bytes = sizeof(struct vine_procedure_definition),
     .name = "many",
     .run = run_many,
     SERVED_ARGUMENTS(many_arguments)},
    {.size_bytes = sizeof(struct vine_procedure_definition),
     .name = "sum",
     .run = run_sum,
     SERVED_ARGUMENTS(sum_arguments),
     .state_bytes = sizeof(struct sum_state),
     .begin = begin_sum,
     .end = end_sum},
    {.size_bytes = sizeof(struct vine_procedure_definition),
     .name = "hold",
     .run = run_hold,
     SERVED_ARGUMENTS(hold_arguments),
     .state_bytes = 8},
};

#define SERVED_PROCEDURES (sizeof served_procedures / sizeof served_procedures[0])

/* ---- the appliance --------------------------------------------------------------------------- */

/* Until the workers are counted: before, the loop would run long tasks itself. */
static inline void served_wait_for_workers(struct vine_appliance *appliance, uint32_t count)
{
    struct vine_appliance_stats stats;

    do {
        sched_yield();
        vine_appliance_get_stats(appliance, &stats);
    } while (stats.workers < count);
}

#include SERVED_APPLIANCE

/* At an address of the test's. */
static inline void served_start_address(struct served *served, const char *address,
                                        const struct vine_appliance_options *options, int workers)
{
    (void)snprintf(served->path, sizeof served->path, "%s", address);
    served->worker_count = workers;
    served_begin(served, options);
    gate_set(false);
}

/* `kind`: "" for a socket, "file:" for a named segment. */
static inline void served_start_at(struct served *served, const char *kind,
                                   const struct vine_appliance_options *options, int workers)
{
    char path[sizeof served->path];

    memset(served, 0, sizeof *served);
    (void)snprintf(served->folder, sizeof served->folder, "/tmp/vine-test-XXXXXX");
    assert_non_null(mkdtemp(served->folder));
    (void)snprintf(path, sizeof path, "%s%s/socket", kind, served->folder);
    served_start_address(served, path, options, workers);
}

static inline void served_start(struct served *served, const struct vine_appliance_options *options,
                                int workers)
{
    served_start_at(served, "", options, workers);
}

/* What is left of its folder. */
static inline void served_remove(struct served *served)
{
    if (served->folder[0] == 0)
        return;
    (void)unlink(served->path);
    char lock[80];
    (void)snprintf(lock, sizeof lock, "%s.lock", served->path);
    (void)unlink(lock);
    (void)rmdir(served->folder);
}

static inline void served_stop(struct served *served)
{
    gate_set(true);
    served_end(served);
    served_remove(served);
}

static inline struct vine_pipe *served_open(const struct served *served,
                                            const struct vine_pipe_options *options)
{
    struct vine_pipe *pipe = NULL;

    assert_int_equal(vine_pipe_open(served->path, options, &pipe), 0);
    return pipe;
}

static inline struct vine_procedure *served_get(struct vine_pipe *pipe, const char *name)
{
    struct vine_procedure *procedure = NULL;

    assert_int_equal(vine_procedure_get(pipe, name, &procedure), 0);
    return procedure;
}

/* A task of `gate` with a number. */
static inline struct vine_task *gate_issue(struct vine_pipe *pipe, uint64_t number,
                                           struct vine_task_options *options)
{
    struct vine_task_options own = {.size_bytes = sizeof own};
    struct vine_task *task = NULL;

    if (options == NULL)
        options = &own;
    options->bytes = &number;
    options->bytes_size = sizeof number;
    assert_int_equal(vine_task_issue(pipe, served_get(pipe, "gate"), options, &task), 0);
    return task;
}

#endif
