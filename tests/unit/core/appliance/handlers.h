/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A part of an appliance on a core that the test's own thread steps, and applications on threads
 * beside it: each is a function that has a pipe.
 */
#ifndef VINE_TESTS_HANDLERS_H
#define VINE_TESTS_HANDLERS_H

#include "../process/process_tests.h"

#include <vine/appliance.h>
#include <vine/handler.h>

#include "core/appliance/coroutines.h"
#include "core/talk/serving.h"

#include <pthread.h>

#define LIMIT_NS     (60 * VINE_NS_PER_SECOND) /* a hang guard, never reached */
#define ARGUMENT_MAX (64U << 20)

static const struct vine_argument in_and_out[] = {
    {"number", VINE_SCALAR, 0, 0, 1000},
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, ARGUMENT_MAX},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, ARGUMENT_MAX},
    {"text", VINE_BYTES, 0, 0, 200},
};

#define HANDLER(handler)                                                                           \
    {                                                                                              \
        .size_bytes = sizeof(struct vine_procedure_definition), .name = #handler,                  \
        .arguments = in_and_out, .argument_count = 4, .coroutine = VINE_COROUTINE_OF(handler),     \
    }

static uint32_t serve_own_pipes; /* that handlers have to this very appliance: they stay open */

static struct {
    struct vine_appliance *part;
    struct vine__coroutines *coroutines;
    char folder[32];
    char path[64];
    uint64_t begin_ns, clock_ns;
    bool is_over;
} served;

static inline void serve(const struct vine_procedure_definition *procedures, size_t count,
                         const struct vine_appliance_options *appliance_options, uint64_t run_ns)
{
    const struct vine_service_options options = {
        .size_bytes = sizeof options,
        .isolation = guard_kind == VINE__GUARD_PKU        ? VINE_ISOLATE_PKU
                     : guard_kind == VINE__GUARD_MPROTECT ? VINE_ISOLATE_MPROTECT
                                                          : VINE_ISOLATE_NONE,
        .connections = 1024,
        .run_ns = run_ns,
    };

    open_cores(1);
    memset(&served, 0, sizeof served);
    (void)snprintf(served.folder, sizeof served.folder, "/tmp/vine-test-XXXXXX");
    assert_non_null(mkdtemp(served.folder));
    (void)snprintf(served.path, sizeof served.path, "%s/socket", served.folder);
    assert_int_equal(vine_appliance_create(appliance_options, &served.part), 0);
    assert_int_equal(vine__coroutines_create(served.part, &options, &served.coroutines), 0);
    for (size_t i = 0; i < count; i++)
        assert_int_equal(vine_appliance_register(served.part, &procedures[i]), 0);
    assert_int_equal(vine_appliance_listen(served.part, served.path), 0);
    vine__serving_begin(served.part, VINE_NS_PER_SECOND);
    served.begin_ns = vine__clock_now_ns();
    served.clock_ns = stepped.clock_ns;
}

/* Atomic: an application wants to be ahead of the part. */
__attribute__((unused)) static uint32_t serve_is_held;

/* A turn of the core and of the part; time passes as it does. */
static inline enum vine__serving_state serve_turn(void)
{
    if (__atomic_load_n(&serve_is_held, __ATOMIC_ACQUIRE) != 0)
        return VINE__SERVING_BUSY;

    const enum vine__serving_state state = vine__serving_turn(served.part, vine__clock_ticks());

    stepped.clock_ns = served.clock_ns + (vine__clock_now_ns() - served.begin_ns);
    step_all();
    return state;
}

struct application {
    void (*run)(struct vine_pipe *pipe, struct application *application);
    pthread_t thread;
    uint32_t number;
    uint32_t has_ended; /* atomic */
};

static inline void *run_application(void *argument)
{
    struct application *const application = argument;
    struct vine_pipe *pipe = NULL;

    assert_int_equal(vine_pipe_open(served.path, NULL, &pipe), 0);
    application->run(pipe, application);
    vine_pipe_close(pipe);
    __atomic_store_n(&application->has_ended, 1, __ATOMIC_RELEASE);
    return NULL;
}

/* Serve until so many applications that do the same have ended, and all that they left, too. */
static inline void serve_applications(void (*run)(struct vine_pipe *pipe,
                                                  struct application *application),
                                      uint32_t count)
{
    struct application *const all = calloc(count, sizeof *all);
    const uint64_t hang_ns = vine__clock_now_ns() + LIMIT_NS;
    struct vine_appliance_stats stats;

    assert_non_null(all);
    for (uint32_t i = 0; i < count; i++) {
        all[i].run = run;
        all[i].number = i;
        assert_int_equal(pthread_create(&all[i].thread, NULL, run_application, &all[i]), 0);
    }
    for (uint32_t i = 0; i < count; i++) {
        while (__atomic_load_n(&all[i].has_ended, __ATOMIC_ACQUIRE) == 0) {
            (void)serve_turn();
            assert_true(vine__clock_now_ns() < hang_ns);
        }
        assert_int_equal(pthread_join(all[i].thread, NULL), 0);
    }
    do {
        (void)serve_turn();
        vine_appliance_get_stats(served.part, &stats);
        assert_true(vine__clock_now_ns() < hang_ns);
    } while (stats.pipes_open > serve_own_pipes || vine__coroutines_count(served.coroutines) > 0 ||
             vine__process_count() > 0);
    free(all);
}

static inline void serve_until_over(void)
{
    vine_appliance_stop(served.part);
    while (serve_turn() != VINE__SERVING_OVER)
        continue;
    served.is_over = true;
}

static inline void serve_no_more(void)
{
    char lock[80];

    if (!served.is_over)
        serve_until_over();
    vine_appliance_destroy(served.part);
    vine__coroutines_destroy(served.coroutines);
    close_cores();
    (void)unlink(served.path);
    (void)snprintf(lock, sizeof lock, "%s.lock", served.path);
    (void)unlink(lock);
    (void)rmdir(served.folder);
}

/* ---- an application's ------------------------------------------------------------------------ */

static inline struct vine_procedure *procedure_of(struct vine_pipe *pipe, const char *name)
{
    struct vine_procedure *procedure = NULL;

    assert_int_equal(vine_procedure_get(pipe, name, &procedure), 0);
    return procedure;
}

struct issued {
    struct vine_task *task;
    struct vine_data *input, *output;
};

/* Issue a task with these bytes and so much room. */
static inline struct issued issue(struct vine_pipe *pipe, const char *name,
                                  struct vine_session *session, const void *bytes, size_t size,
                                  size_t room, bool is_last)
{
    struct issued issued = {.task = NULL};
    struct vine_task_options options = {.size_bytes = sizeof options,
                                        .inputs = &issued.input,
                                        .input_count = 1,
                                        .outputs = &issued.output,
                                        .output_count = 1,
                                        .session = session,
                                        .session_last = is_last};

    assert_int_equal(vine_data_create(pipe, VINE_TYPE_BYTES, size, &issued.input), 0);
    if (size > 0)
        assert_int_equal(vine_data_write(issued.input, 0, bytes, size), 0);
    assert_int_equal(vine_data_expect(pipe, VINE_TYPE_BYTES, room, &issued.output), 0);
    assert_int_equal(vine_task_issue(pipe, procedure_of(pipe, name), &options, &issued.task), 0);
    return issued;
}

/* Wait for its end, which is to be so; of what it wrote at most `max` bytes. Returns how many. */
static inline size_t finish(struct issued *issued, int status, void *bytes, size_t max)
{
    size_t size = 0;

    assert_int_equal(vine_task_wait(issued->task, LIMIT_NS), status);
    if (status == 0) {
        size = (size_t)vine_data_size(issued->output);
        assert_true(size <= max);
        if (size > 0)
            assert_int_equal(vine_data_read(issued->output, 0, bytes, size), 0);
    }
    vine_data_free(issued->input);
    vine_data_free(issued->output);
    vine_task_free(issued->task);
    return size;
}

static inline void expect_text(struct issued *issued, const char *text)
{
    char bytes[256] = "";
    const size_t size = finish(issued, 0, bytes, sizeof bytes - 1);

    assert_int_equal(size, strlen(text));
    assert_string_equal(bytes, text);
}

static inline struct vine_session *session_of(struct vine_pipe *pipe, const char *name)
{
    struct vine_session *session = NULL;

    assert_int_equal(vine_session_open(pipe, procedure_of(pipe, name), &session), 0);
    return session;
}

#endif
