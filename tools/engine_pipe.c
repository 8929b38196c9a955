/* SPDX-License-Identifier: Apache-2.0 */
/*
 * engine_pipe.c - an engine whose work an appliance does.
 *
 * Inputs are read from files straight into the pipe's memory, and results are written to files
 * straight out of the appliance's: no byte is copied here.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "utils/container_of.h"

#include "engine.h"
#include "message.h"

/* Tasks that a channel may take beside ours: none, but issuing to the last slot would make every
 * other call find it full. */
#define TASKS_SPARE 2

struct engine_pipe {
    struct engine engine;
    struct vine_pipe *pipe;
    struct vine_accelerator *accelerator;
    uint64_t deadline_ns;                 /* of each task */
    struct vine_procedure *procedures[2]; /* by role */
    bool makes_output;
    uint64_t level;    /* the first scalar */
    const void *bytes; /* what goes with each task of the one that was asked for: the level, */
    size_t bytes_size; /* or the key */
    struct vine_task **tasks; /* in flight, in no order, for vine_task_wait_any */
    struct work **works;      /* the same tasks' */
    size_t count;
};

static struct engine_pipe *pipe_of(struct engine *engine)
{
    return VINE_CONTAINER_OF(engine, struct engine_pipe, engine);
}

static int block_create(struct engine *engine, uint64_t size, struct block *block)
{
    const int error = vine_data_create(pipe_of(engine)->pipe, VINE_TYPE_BYTES, size, &block->data);

    if (error == 0)
        block->bytes = vine_data_map(block->data);
    return error;
}

static void block_free(struct block *block)
{
    vine_data_free(block->data);
}

static int session_open(struct engine *engine, enum engine_role role,
                        struct engine_session **ret_session)
{
    struct vine_session *session;
    const int error =
        vine_session_open(pipe_of(engine)->pipe, pipe_of(engine)->procedures[role], &session);

    if (error == 0)
        *ret_session = (struct engine_session *)session;
    return error;
}

static void session_close(struct engine *engine, struct engine_session *session)
{
    (void)engine;
    vine_session_close((struct vine_session *)session);
}

static void forget(struct engine_pipe *pipe, struct work *work)
{
    const size_t last = --pipe->count;

    pipe->tasks[work->slot] = pipe->tasks[last];
    pipe->works[work->slot] = pipe->works[last];
    pipe->works[work->slot]->slot = work->slot;
}

static void task_ended(struct vine_task *task, int status, void *context)
{
    struct work *work = context;
    struct vine_task_stats stats;

    vine_task_get_stats(task, &stats);
    work->status = status;
    (void)vine_task_reason(task, work->reason, sizeof(work->reason));
    work->queued_ns = stats.queued_ns;
    work->run_ns = stats.run_ns;
    if (status == 0) {
        work->result_size = vine_task_result(task, work->result, sizeof(work->result));
        if (work->result_size > sizeof(work->result))
            work->result_size = sizeof(work->result);
        if (work->data != NULL) {
            work->output = vine_data_view(work->data);
            work->output_size = vine_data_size(work->data);
        }
    }
    forget(pipe_of(work->engine), work);
    engine_finish(work->engine, work);
}

static int check(const struct work *work)
{
    return work->data != NULL ? vine_data_check(work->data) : 0;
}

static int issue(struct engine *engine, struct work *work)
{
    struct engine_pipe *pipe = pipe_of(engine);
    int error = 0;

    if (pipe->count >= engine->tasks_max)
        return -EAGAIN;
    const bool has_output = work->role == ENGINE_MAIN && pipe->makes_output;
    if (has_output && work->data == NULL)
        error = vine_data_expect(pipe->pipe, VINE_TYPE_BYTES, work->room, &work->data);
    if (error < 0)
        return error;
    struct vine_task_options options = {
        .size_bytes = sizeof(options),
        .accelerator = pipe->accelerator,
        .bytes = pipe->bytes,
        .bytes_size = work->role == ENGINE_MAIN ? pipe->bytes_size : 0,
        .inputs = &work->input->data,
        .input_count = 1,
        .outputs = has_output ? &work->data : NULL,
        .output_count = has_output,
        .session = (struct vine_session *)work->session,
        .deadline_ns = pipe->deadline_ns,
        .session_last = work->session != NULL && work->is_last,
        .callback = task_ended,
        .context = work,
    };
    /* In the arrays before it is issued: whoever issues may run callbacks. */
    work->slot = pipe->count++;
    pipe->works[work->slot] = work;
    pipe->tasks[work->slot] = NULL;
    error = vine_task_issue(pipe->pipe, pipe->procedures[work->role], &options, &work->task);
    if (error < 0)
        forget(pipe, work);
    else if (work->status == -EINPROGRESS)
        pipe->tasks[work->slot] = work->task;
    return error;
}

static int wait(struct engine *engine, uint64_t timeout_ns)
{
    struct engine_pipe *pipe = pipe_of(engine);
    size_t index;

    int ended = vine_pipe_poll(pipe->pipe);
    if (ended < 0 || engine->done != NULL || pipe->count == 0)
        return ended < 0 ? ended : 0;
    /* What it returns is how that task ended, which its callback was told; or the time-out. */
    (void)!vine_task_wait_any(pipe->tasks, pipe->count, timeout_ns, &index);
    ended = vine_pipe_poll(pipe->pipe);
    return ended < 0 ? ended : 0;
}

static void work_free(struct engine *engine, struct work *work)
{
    (void)engine;
    vine_task_free(work->task);
    vine_data_free(work->data);
}

/* The appliance may go on with them: tasks that are freed are abandoned. */
static void stop(struct engine *engine)
{
    struct engine_pipe *pipe = pipe_of(engine);

    while (pipe->count > 0) {
        struct work *work = pipe->works[pipe->count - 1];

        forget(pipe, work);
        engine_finish(engine, work);
    }
}

static void destroy(struct engine *engine)
{
    struct engine_pipe *pipe = pipe_of(engine);

    if (pipe->accelerator != NULL)
        vine_accelerator_release(pipe->accelerator);
    vine_pipe_close(pipe->pipe);
    free(pipe->tasks);
    free(pipe->works);
    free(pipe);
}

static const struct engine_operations operations = {
    .block_create = block_create,
    .block_free = block_free,
    .session_open = session_open,
    .session_close = session_close,
    .issue = issue,
    .wait = wait,
    .check = check,
    .work_free = work_free,
    .stop = stop,
    .destroy = destroy,
};

int engine_pipe_create(struct vine_pipe *pipe, const struct engine_options *options,
                       struct engine **ret_engine, const char **ret_missing)
{
    struct engine_pipe *created = calloc(1, sizeof(*created));
    struct vine_pipe_limits limits;
    int error;

    *ret_missing = options->recipe->procedure;
    if (created == NULL)
        return -ENOMEM;
    vine_pipe_get_limits(pipe, &limits);
    created->pipe = pipe;
    created->makes_output = options->recipe->makes_files;
    created->engine.operations = &operations;
    created->engine.done_tail = &created->engine.done;
    created->engine.tasks_max = limits.tasks_max > TASKS_SPARE ? limits.tasks_max - TASKS_SPARE : 1;
    /* The other half of the memory is for rounding up, private copies and sessions. */
    created->engine.memory_max = limits.memory_max_bytes / 2;
    created->tasks = calloc(limits.tasks_max + 1, sizeof(struct vine_task *));
    created->works = calloc(limits.tasks_max + 1, sizeof(struct work *));
    created->level = options->level;
    created->deadline_ns = options->deadline_ns;
    if (options->deadline_ns != 0 && !limits.heeds_deadlines)
        message_warning("this appliance is older and heeds no --deadline");
    created->bytes = options->has_level ? (const void *)&created->level : options->key;
    created->bytes_size = options->has_level ? sizeof(created->level)
                          : options->key     ? strlen(options->key)
                                             : 0;
    error = created->tasks == NULL || created->works == NULL ? -ENOMEM : 0;
    if (error == 0)
        error =
            vine_procedure_get(pipe, options->recipe->procedure, &created->procedures[ENGINE_MAIN]);
    if (error == 0 && options->with_sums) {
        error = vine_procedure_get(pipe, "sha256", &created->procedures[ENGINE_SUM]);
        *ret_missing = "sha256";
    }
    if (error == 0)
        error = vine_accelerator_acquire(pipe, NULL, VINE_PARALLEL, &created->accelerator);
    if (error < 0) {
        free(created->tasks);
        free(created->works);
        free(created);
        return error;
    }
    *ret_engine = &created->engine;
    return 0;
}
