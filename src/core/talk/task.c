/* SPDX-License-Identifier: Apache-2.0 */
/* A task after it was issued: wait, look, cancel, free; what it brought; and issue-and-wait. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/pipe_internal.h"

int vine_task_wait(struct vine_task *task, uint64_t timeout_ns)
{
    if (vine__task_is_over(task))
        return task->status;
    if (VINE__UNLIKELY(vine__forked(task->channel->pipe->generation)))
        return -VINE_EFORK;

    const int error = vine__channel_wait(task->channel, task, timeout_ns);

    return error ? error : task->status;
}

int vine_task_poll(struct vine_task *task)
{
    if (vine__task_is_over(task))
        return task->status;
    if (VINE__UNLIKELY(vine__forked(task->channel->pipe->generation)))
        return -VINE_EFORK;
    (void)vine__channel_poll(task->channel);
    if (VINE__UNLIKELY(vine__pipe_check(task->channel->pipe) == VINE__RENEWED_SOON) &&
        vine__this_thread.called == NULL)
        (void)!vine__pipe_renew(task->channel->pipe);
    return vine__task_is_over(task) ? task->status : -EAGAIN;
}

static void tell_cancel(const struct vine_task *task, uint32_t renewal)
{
    struct vine_wire_submission message = {
        .operation = vine__op_id(&task->operation),
        .kind = VINE_WIRE_CANCEL,
        .shape = VINE_WIRE_SHAPE(sizeof task->channel->index, 0),
    };

    memcpy(message.body, &task->channel->index, sizeof task->channel->index);
    vine__pipe_tell(task->channel->pipe, &message, renewal);
}

int vine_task_cancel(struct vine_task *task)
{
    struct vine_pipe *pipe = task->channel->pipe;
    const uint64_t id = vine__op_id(&task->operation);
    int error = vine__pipe_check(pipe);

    if (error != 0 && error != VINE__RENEWED_SOON)
        return error;
    if (vine__task_is_over(task))
        return 0;
    /* Who renews the pipe sees it, or we see that he has: then the next appliance is told. */
    pthread_mutex_lock(&pipe->lock);
    /* Among those that wait for room there is one already. */
    const bool is_kept = task->canceled == id && pipe->kept_first != NULL;
    const uint32_t renewal = vine__pipe_renewals(pipe);

    task->canceled = id;
    pthread_mutex_unlock(&pipe->lock);
    if (!is_kept)
        tell_cancel(task, renewal);
    error = vine__pipe_check(pipe);
    return error == VINE__RENEWED_SOON ? 0 : error;
}

void vine__task_cancel_again(const struct vine_task *task)
{
    struct vine_pipe *pipe = task->channel->pipe;

    pthread_mutex_lock(&pipe->lock);
    const bool is_canceled = task->canceled == vine__op_id(&task->operation);
    pthread_mutex_unlock(&pipe->lock);
    if (is_canceled)
        tell_cancel(task, vine__pipe_renewals(pipe));
}

void vine_task_free(struct vine_task *task)
{
    if (task == NULL || VINE__UNLIKELY(vine__forked(task->channel->pipe->generation)))
        return;

    uint32_t life = vine__load_acquire_u32(&task->life); /* L2 pairs with L1 */

    VINE_ASSERT((life & VINE__TASK_FREED) == 0 && life != VINE__TASK_IDLE);
    if ((life & VINE__TASK_ENDED) == 0)
        life = vine__fetch_or_acq_rel_u32(&task->life, VINE__TASK_FREED);
    if ((life & VINE__TASK_ENDED) != 0)
        vine__task_recycle(task);
}

size_t vine_task_result(const struct vine_task *task, void *bytes, size_t size)
{
    const size_t count = task->result_size;

    if (!vine__task_is_over(task) || task->status != 0)
        return 0;
    if (count > 0 && size > 0)
        memcpy(bytes, task->result, count < size ? count : size);
    return count;
}

void vine__task_forget_reason(struct vine_task *task)
{
    free(task->reason);
    task->reason = NULL;
    task->has_reason = false;
}

size_t vine_task_reason(const struct vine_task *task, char *text, size_t size)
{
    const char *reason = "";

    if (vine__task_is_over(task) && task->status != 0 && task->has_reason)
        reason = task->reason;
    if (size > 0)
        (void)snprintf(text, size, "%s", reason);
    return strlen(reason);
}

void vine__task_remember_reason(const struct vine_task *task)
{
    (void)vine_task_reason(task, vine__this_thread.reason, sizeof vine__this_thread.reason);
}

const char *vine_task_last_reason(void)
{
    return vine__this_thread.reason;
}

void vine_task_get_stats(const struct vine_task *task, struct vine_task_stats *ret_stats)
{
    *ret_stats = (struct vine_task_stats){0};
    if (!vine__task_is_over(task))
        return;
    ret_stats->queued_ns = (uint64_t)task->queued * 16;
    ret_stats->run_ns = (uint64_t)task->run * 16;
    /* Two processors' counters may differ by a little. */
    if (task->ended_ticks > task->issued_ticks)
        ret_stats->total_ns = vine__clock_ticks_to_ns(task->ended_ticks - task->issued_ticks);
}

int vine_task_run(struct vine_pipe *pipe, struct vine_procedure *procedure,
                  const struct vine_task_options *options, uint64_t timeout_ns, void *result,
                  size_t *result_size)
{
    struct vine_task *task = NULL;
    int status = vine_task_issue(pipe, procedure, options, &task);

    vine__this_thread.reason[0] = 0;
    /* Who waits for the task's end can wait for the pipe to be renewed. */
    if (status == -EAGAIN && vine__pipe_check(pipe) == VINE__RENEWED_SOON)
        status = vine__task_issue(pipe, procedure, options, timeout_ns, &task);

    if (status)
        return status;
    status = vine_task_wait(task, timeout_ns);
    if (VINE__UNLIKELY(status != 0))
        vine__task_remember_reason(task);
    if (status == 0 && result_size != NULL)
        *result_size = vine_task_result(task, result, result != NULL ? *result_size : 0);
    vine_task_free(task);
    return status;
}

int vine__task_run_builtin(struct vine_pipe *pipe, struct vine_procedure *procedure,
                           const struct vine_task_options *options)
{
    struct vine_task *task = NULL;
    int status = vine__task_issue(pipe, procedure, options, pipe->call_timeout_ns, &task);

    if (status)
        return status;
    status = vine_task_wait(task, pipe->call_timeout_ns);
    vine_task_free(task);
    return status;
}
