/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Virtual accelerators. The application chooses their numbers; the appliance knows a number from
 * its acquisition to its release, and the release goes out when the last task on it has ended.
 */
#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "core/talk/pipe_internal.h"
#include "utils/bits.h"

static struct vine_accelerator *take(struct vine_pipe *pipe, int *ret_error)
{
    /* Number 0 is the pipe's own. */
    const uint64_t free_ids = ~(pipe->accelerator_ids | 1);
    struct vine_accelerator *accelerator = NULL;

    VINE_STATIC_ASSERT(VINE__ACCELERATORS == 64, "a bit for each");
    *ret_error = -VINE_EQUOTA;
    if (free_ids == 0)
        return NULL;
    *ret_error = -ENOMEM;
    accelerator = vine__store_take(&pipe->accelerators);
    if (accelerator == NULL)
        return NULL;
    accelerator->magic = VINE__ACCELERATOR_MAGIC;
    accelerator->pipe = pipe;
    accelerator->refs = 1;
    accelerator->id = (uint16_t)vine__lowest_bit_u64(free_ids);
    pipe->accelerator_ids |= 1ULL << accelerator->id;
    pipe->accelerator_at[accelerator->id] = accelerator;
    return accelerator;
}

static void give(struct vine_accelerator *accelerator)
{
    struct vine_pipe *pipe = accelerator->pipe;

    pthread_mutex_lock(&pipe->lock);
    pipe->accelerator_ids &= ~(1ULL << accelerator->id);
    pipe->accelerator_at[accelerator->id] = NULL;
    vine__store_give(&pipe->accelerators, accelerator);
    pthread_mutex_unlock(&pipe->lock);
}

int vine_accelerator_acquire(struct vine_pipe *pipe, const char *type,
                             enum vine_accelerator_order order,
                             struct vine_accelerator **ret_accelerator)
{
    struct vine_wire_acquire request = {.order = (uint16_t)order};
    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .bytes = &request,
        .bytes_size = sizeof request,
    };
    const size_t length = type != NULL ? strlen(type) : 0;
    struct vine_task *task = NULL;
    int error = vine__pipe_ready(pipe);

    if (error)
        return error;
    if ((order != VINE_ORDERED && order != VINE_PARALLEL))
        return -EINVAL;
    if (length >= sizeof request.type)
        return -VINE_EACCELERATOR;
    if (type != NULL)
        memcpy(request.type, type, length);
    else
        memcpy(request.type, "cpu", sizeof "cpu");
    vine__accelerators_retire(pipe);
    pthread_mutex_lock(&pipe->lock);

    struct vine_accelerator *accelerator = take(pipe, &error);

    pthread_mutex_unlock(&pipe->lock);
    if (accelerator == NULL)
        return error;
    memcpy(accelerator->type, request.type, sizeof accelerator->type);
    accelerator->order = request.order;
    request.accelerator = accelerator->id;
    error = vine__task_issue(pipe, &vine__builtin_acquire, &options, pipe->call_timeout_ns, &task);
    if (error) {
        give(accelerator);
        return error;
    }
    error = vine_task_wait(task, pipe->call_timeout_ns);
    if (!error)
        vine__store_relaxed_u32(&accelerator->is_acquired, 1);
    if (!error)
        *ret_accelerator = accelerator;
    else if (error == -ETIMEDOUT || error == -EDEADLK)
        vine__accelerator_unref(accelerator); /* it was asked for, and may be acquired yet */
    else
        give(accelerator);
    vine_task_free(task);
    return error;
}

static void released(struct vine_task *task, int status, void *context)
{
    (void)status; /* a pipe that was lost has lost its accelerators too */
    give(context);
    vine_task_free(task);
}

static int retire(struct vine_accelerator *accelerator)
{
    const uint16_t id = accelerator->id;
    const struct vine_task_options options = {
        .size_bytes = sizeof options,
        .bytes = &id,
        .bytes_size = sizeof id,
        .callback = released,
        .context = accelerator,
    };
    struct vine_task *task = NULL;

    vine__store_relaxed_u32(&accelerator->is_acquired, 0);
    return vine__task_issue(accelerator->pipe, &vine__builtin_release, &options, 0, &task);
}

/* As a list in the objects' first word. The pipe's lock is held. */
static void wait_to_retire(struct vine_accelerator *accelerator)
{
    struct vine_pipe *pipe = accelerator->pipe;

    accelerator->link = (uint64_t)(uintptr_t)pipe->retiring;
    pipe->retiring = accelerator;
}

void vine__accelerators_retire(struct vine_pipe *pipe)
{
    for (;;) {
        pthread_mutex_lock(&pipe->lock);

        struct vine_accelerator *accelerator = pipe->retiring;

        if (accelerator != NULL)
            pipe->retiring = (struct vine_accelerator *)(uintptr_t)accelerator->link;
        pthread_mutex_unlock(&pipe->lock);
        if (accelerator == NULL)
            return;
        if (retire(accelerator) != 0) {
            pthread_mutex_lock(&pipe->lock);
            wait_to_retire(accelerator);
            pthread_mutex_unlock(&pipe->lock);
            return;
        }
    }
}

void vine__accelerator_unref(struct vine_accelerator *accelerator)
{
    struct vine_pipe *pipe = accelerator->pipe;

    if (vine__fetch_sub_acq_rel_u32(&accelerator->refs, 1) != 1)
        return;
    pthread_mutex_lock(&pipe->lock);
    wait_to_retire(accelerator);
    pthread_mutex_unlock(&pipe->lock);
    vine__accelerators_retire(pipe);
}

void vine_accelerator_release(struct vine_accelerator *accelerator)
{
    if (accelerator == NULL || vine__forked(accelerator->pipe->generation))
        return;
    VINE_ASSERT(accelerator->magic == VINE__ACCELERATOR_MAGIC);
    vine__accelerator_unref(accelerator);
}

static bool is_over(const struct vine_pipe *pipe)
{
    const int error = vine__pipe_check(pipe);

    return error != 0 && error != VINE__RENEWED_SOON;
}

void vine_accelerator_get_stats(struct vine_accelerator *accelerator,
                                struct vine_accelerator_stats *ret_stats)
{
    /* Acquire pairs with the release in let_go: what is read next counts these, too. */
    const uint64_t ended = vine__load_acquire_u64(&accelerator->tasks_ended);
    const uint64_t issued = vine__load_relaxed_u64(&accelerator->tasks_issued);

    VINE_ASSERT(accelerator->magic == VINE__ACCELERATOR_MAGIC);
    *ret_stats = (struct vine_accelerator_stats){
        .state = is_over(accelerator->pipe) ? VINE_ACCELERATOR_LOST
                 : ended < issued           ? VINE_ACCELERATOR_BUSY
                                            : VINE_ACCELERATOR_FREE,
        .tasks_issued = issued,
        .tasks_ended = ended,
        .queued_ns = vine__load_relaxed_u64(&accelerator->queued_units) * 16,
        .run_ns = vine__load_relaxed_u64(&accelerator->run_units) * 16,
    };
}
