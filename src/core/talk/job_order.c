/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Which job runs behind which others: lanes, and tasks that come after a task of another channel.
 *
 * A job is ready when it has its turn in its lane (or has none) and the task that it comes after
 * has ended. It waits in its lane while it waits for that task, too, so that a lane's order holds.
 * A job waits only for jobs that were taken before it: no ring of them can wait for each other.
 *
 * Jobs are found by channel and operation, and each knows the jobs that come after it, so that no
 * step looks at more than the jobs it concerns, whatever an application makes of them.
 */
#include <errno.h>

#include <vine/error.h>

#include "core/talk/appliance_internal.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#define CALL_OF(node)     VINE_CONTAINER_OF(node, struct vine_call, link)
#define FOLLOWER_OF(node) VINE_CONTAINER_OF(node, struct vine_call, follower)

bool vine__jobs_show(struct vine__served *pipe)
{
    if (pipe->turn.is_waiting || vine__list_is_empty(&pipe->ready))
        return false;
    vine__turns_wait(&pipe->appliance->common->turns, &pipe->turn);
    return true;
}

/* jobs_lock is held. */
static void give_to_loop(struct vine_call *call)
{
    struct vine_appliance *appliance = call->pipe->appliance;

    vine__list_push_back(&appliance->done, &call->link);
    vine__store_relaxed_u32(&appliance->done_count,
                            vine__load_relaxed_u32(&appliance->done_count) + 1);
}

/* jobs_lock is held. */
static void make_ready(struct vine_call *call)
{
    call->job_state = VINE__JOB_READY;
    if (vine__is_streamed(call)) {
        give_to_loop(call);
        return;
    }
    vine__list_push_back(&call->pipe->ready, &call->link);
    (void)vine__jobs_show(call->pipe);
    pthread_cond_signal(&call->pipe->appliance->common->jobs_ready);
}

static struct vine_call *find(const struct vine__served *pipe, uint32_t channel, uint64_t operation)
{
    if (channel >= pipe->channel_count || pipe->channels[channel]->jobs.slots == NULL)
        return NULL;
    return vine__table_find(&pipe->channels[channel]->jobs, operation);
}

static int make_table(struct vine__served *pipe, struct vine__table *jobs)
{
    const uint32_t count_max = pipe->agreement.tasks_max;
    const uint64_t bytes = vine__table_bytes(count_max);
    int error = vine__quota_take(&pipe->quota, bytes);

    if (error)
        return error;
    error = vine__table_init(jobs, count_max, pipe->appliance->common->table_seed);
    if (error)
        vine__quota_give(&pipe->quota, bytes);
    return error;
}

int vine__job_submit(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    struct vine_appliance *appliance = pipe->appliance;
    struct vine__table *jobs = &pipe->channels[call->channel]->jobs;
    struct vine_call *before =
        call->has_after ? find(pipe, call->after_channel, call->after_operation) : NULL;

    if (jobs->slots == NULL && make_table(pipe, jobs) != 0)
        return VINE_EQUOTA;

    /* There is room: no more are in flight on the channel than were granted. */
    const int error = vine__table_insert(jobs, call->wire_operation, call);

    if (error) {
        VINE_ASSERT(error == -EEXIST);
        vine__why_say(&pipe->why, "two tasks in flight on channel %u with the operation %llu",
                      call->channel, (unsigned long long)call->wire_operation);
        return -VINE_EPROTOCOL;
    }
    call->is_listed = true;
    vine__count(&appliance->tasks_taken, 1);
    vine__list_init(&call->link);
    vine__list_init(&call->follower);
    vine__list_init(&call->followers);
    if (before != NULL)
        vine__list_push_back(&before->followers, &call->follower);

    pthread_mutex_lock(&appliance->common->jobs_lock);
    call->job_state = VINE__JOB_WAITING;
    call->awaits = before != NULL;
    call->has_turn = call->lane == NULL || call->lane->running == 0;
    if (!call->has_turn)
        vine__list_push_back(&call->lane->jobs, &call->link);
    else if (call->lane != NULL)
        vine__store_relaxed_u32(&call->lane->running, 1);
    if (call->has_turn && !call->awaits)
        make_ready(call);
    pthread_mutex_unlock(&appliance->common->jobs_lock);
    return 0;
}

int vine__job_submit_begun(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    const int error =
        vine__table_insert(&pipe->channels[call->channel]->jobs, call->wire_operation, call);

    vine__list_init(&call->link);
    vine__list_init(&call->follower);
    vine__list_init(&call->followers);
    call->awaits = false;
    call->has_turn = true;
    if (call->session != NULL || error)
        call->lane = NULL; /* what follows it in its session follows at once */
    if (error) {
        VINE_ASSERT(error == -EEXIST);
        vine__why_say(&pipe->why, "two tasks in flight on channel %u with the operation %llu",
                      call->channel, (unsigned long long)call->wire_operation);
        vine__executor_cancel(call); /* nobody else finds it */
        return -VINE_EPROTOCOL;
    }
    call->is_listed = true;
    vine__count(&pipe->appliance->tasks_taken, 1);
    if (call->lane != NULL)
        vine__store_relaxed_u32(&call->lane->running, 1);
    return 0;
}

void vine__job_forget(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    const struct vine_call *removed =
        vine__table_remove(&pipe->channels[call->channel]->jobs, call->wire_operation);
    struct vine__list *node;

    VINE_ASSERT(removed == call);
    call->is_listed = false;
    vine__count(&pipe->appliance->tasks_taken, (uint64_t)-1);
    if (vine__list_is_empty(&call->followers))
        return;
    pthread_mutex_lock(&pipe->appliance->common->jobs_lock);
    while ((node = vine__list_pop_front(&call->followers)) != NULL) {
        struct vine_call *next = FOLLOWER_OF(node);

        next->awaits = false;
        if (next->has_turn)
            make_ready(next);
    }
    pthread_mutex_unlock(&pipe->appliance->common->jobs_lock);
}

void vine__job_end_locked(struct vine_call *call)
{
    call->job_state = VINE__JOB_ENDED;
    give_to_loop(call);
    vine__job_leave_lane_locked(call);
}

void vine__job_leave_lane_locked(struct vine_call *call)
{
    struct vine__lane *lane = call->has_turn ? call->lane : NULL;

    if (lane == NULL)
        return;
    call->lane = NULL;

    struct vine__list *node = vine__list_pop_front(&lane->jobs);

    if (node == NULL) {
        vine__store_release_u32(&lane->running, 0); /* J1 pairs with J2 */
        return;
    }

    struct vine_call *next = CALL_OF(node);

    next->has_turn = true;
    if (!next->awaits)
        make_ready(next);
}

/* A job that no worker has taken yet ends here. jobs_lock is held. */
static void cancel_locked(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    const bool was_ready = call->job_state == VINE__JOB_READY;

    vine__store_relaxed_u32(&call->canceled, 1);
    if (!was_ready && call->job_state != VINE__JOB_WAITING)
        return; /* a running one sees it if it looks */
    vine__list_remove(&call->follower);
    vine__list_remove(&call->link);
    call->status = -VINE_ECANCELED;
    if (vine__is_streamed(call)) {
        /* Where it was ready the loop was about to have it. */
        if (was_ready)
            vine__store_relaxed_u32(&pipe->appliance->done_count,
                                    vine__load_relaxed_u32(&pipe->appliance->done_count) - 1);
    } else if (was_ready && vine__list_is_empty(&pipe->ready) && pipe->turn.is_waiting) {
        vine__turns_leave(&pipe->appliance->common->turns, &pipe->turn);
    }
    vine__job_end_locked(call);
}

bool vine__job_cancel(struct vine__served *pipe, uint32_t channel, uint64_t wire_operation)
{
    struct vine_call *call = find(pipe, channel, wire_operation);

    if (call != NULL)
        vine__job_cancel_call(call);
    return call != NULL;
}

void vine__job_cancel_call(struct vine_call *call)
{
    struct vine__common *common = call->pipe->appliance->common;

    pthread_mutex_lock(&common->jobs_lock);
    cancel_locked(call);
    pthread_mutex_unlock(&common->jobs_lock);
    vine__executor_cancel(call);
}

static void for_each(struct vine__served *pipe, void (*fn)(struct vine_call *call))
{
    for (uint32_t i = 0; i < pipe->channel_count; i++) {
        const struct vine__table *jobs = &pipe->channels[i]->jobs;
        uint64_t position = 0;
        void *call;

        while (jobs->slots != NULL && vine__table_next(jobs, &position, NULL, &call))
            fn(call);
    }
}

static void mark_given_up(struct vine_call *call)
{
    call->is_given_up = true;
}

void vine__jobs_give_up(struct vine__served *pipe)
{
    for_each(pipe, mark_given_up);
    vine__jobs_cancel(pipe);
}

void vine__jobs_cancel(struct vine__served *pipe)
{
    pthread_mutex_lock(&pipe->appliance->common->jobs_lock);
    for_each(pipe, cancel_locked);
    pthread_mutex_unlock(&pipe->appliance->common->jobs_lock);
    /* It may end them, but completes none before the loop's next turn. */
    for_each(pipe, vine__executor_cancel);
}
