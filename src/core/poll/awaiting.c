/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/poll/awaiting.c - tasks elsewhere that coroutines wait for, outside.
 *
 * What one brings is copied as soon as it is asked for: into the pipe, or aside until it is open.
 * What it made is copied into the heap in front of the run that is told of it. Whoever asked may be
 * gone before the end: this is its own, and goes when the task has ended.
 */

#include <errno.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "core/poll/poll_internal.h"
#include "core/remote/remote.h"

struct awaiting {
    struct further *further; /* NULL: nobody waits for it any more */
    bool has_ended;
    void *output; /* in the heap, with so much room as the task has */
    struct vine_remote_task task;
    uint64_t scalars[VINE__SCALARS_MAX];
    char procedure[VINE__PROCEDURE_BYTES];
};

static void let_go(struct awaiting *awaiting)
{
    vine__remote_done(&awaiting->task);
    vine__closed_free(awaiting);
}

static void ended(struct vine_remote_task *task)
{
    struct awaiting *const awaiting = VINE_CONTAINER_OF(task, struct awaiting, task);
    struct further *const further = awaiting->further;

    if (further == NULL) {
        let_go(awaiting);
        return;
    }
    awaiting->has_ended = true;
    further->answer = task->error != 0 ? task->error : (int64_t)task->output_bytes;
    further->has_answer = true;
    vine__polling_run(further->polling);
}

int vine__awaiting_begin(struct further *further, const struct vine__awaiting *wish)
{
    struct vine__polling *const polling = further->polling;
    const struct vine_awaited *const awaited = &wish->awaited;
    struct awaiting *awaiting;

    if (awaited->scalar_count > VINE__SCALARS_MAX ||
        memchr(wish->procedure, '\0', sizeof(wish->procedure)) == NULL)
        return -VINE_ECORRUPT;
    if (!vine__polling_can_read(polling, awaited->input, awaited->input_bytes) ||
        (awaited->output_max > 0 &&
         !vine__guard_region_has(&polling->heap->region, (uintptr_t)awaited->output,
                                 awaited->output_max))) {
        further->answer = -EFAULT;
        further->has_answer = true;
        vine_work_post(&polling->work);
        return 0;
    }
    awaiting = vine__closed_alloc(sizeof(*awaiting));
    if (awaiting == NULL)
        return -ENOMEM;
    further->awaiting = awaiting;
    awaiting->further = further;
    awaiting->output = awaited->output;
    memcpy(awaiting->scalars, wish->scalars, sizeof(awaiting->scalars));
    memcpy(awaiting->procedure, wish->procedure, sizeof(awaiting->procedure));
    awaiting->task = (struct vine_remote_task){
        .scalars = awaiting->scalars,
        .scalar_count = awaited->scalar_count,
        .input = awaited->input,
        .input_bytes = awaited->input_bytes,
        .output_max = awaited->output_max,
    };
    vine__remote_begin(&awaiting->task, wish->remote, awaiting->procedure, ended);
    return 0;
}

void vine__awaiting_tell(struct awaiting *awaiting)
{
    struct further *const further = awaiting->further;
    int error = -EFAULT;

    if (vine__guard_region_has(&further->polling->heap->region, (uintptr_t)awaiting->output,
                               awaiting->task.output_bytes))
        error = vine__remote_take(&awaiting->task, awaiting->output);
    if (error != 0)
        further->answer = error;
}

void vine__awaiting_leave(struct awaiting *awaiting)
{
    awaiting->further = NULL;
    if (awaiting->has_ended)
        let_go(awaiting);
    else
        vine_remote_cancel(&awaiting->task);
}
