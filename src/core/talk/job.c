/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Tasks that are too long for the loop, and the threads that run them.
 *
 * Each pipe has a queue of ready jobs (job_order.c says when a job is ready), and workers take one
 * job from the pipe that has had the least of their time for its shares (turns.h), so that a pipe
 * that floods delays itself. The loop completes what has ended: rings and boxes are the loop's.
 *
 * jobs_lock guards the queues. Workers are few and jobs take microseconds at least, so a lock that
 * is held for a few list operations costs nothing that could be measured.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#define DONE_AT_ONCE 64         /* jobs that the loop completes in one turn */
#define SCRATCH_KEPT (4u << 20) /* bytes that a thread keeps between tasks */
#define IDLE_LOOK_NS (10 * VINE_NS_PER_SECOND)

#define CALL_OF(node) VINE_CONTAINER_OF(node, struct vine_call, link)

/* Room for private copies of all inputs. NULL if there is no memory. */
static unsigned char *scratch_of(struct vine__scratch *scratch, size_t size_bytes)
{
    if (size_bytes > scratch->size_bytes) {
        free(scratch->memory);
        scratch->memory = malloc(size_bytes);
        scratch->size_bytes = scratch->memory ? size_bytes : 0;
    }
    return scratch->memory;
}

static uint64_t rounded(uint64_t size_bytes)
{
    return (size_bytes + VINE_CACHE_LINE - 1) & ~(VINE_CACHE_LINE - 1ULL);
}

/* 0: its handler sees the inputs where they are. */
static uint64_t copies_bytes(const struct vine_call *call)
{
    uint64_t bytes = 0;

    if ((call->definition->flags & VINE_ARGUMENTS_SHARED) != 0)
        return 0;
    for (uint32_t i = 0; i < call->input_count; i++)
        bytes += rounded(call->inputs[i].size_bytes);
    return bytes;
}

int vine__job_charge_copies(struct vine_call *call)
{
    const uint64_t bytes = copies_bytes(call);

    VINE_ASSERT(call->copied_bytes == 0);
    if (bytes <= VINE__SCRATCH_OWN)
        return 0;
    if (vine__quota_take(&call->pipe->quota, bytes) != 0)
        return -VINE_EQUOTA;
    call->copied_bytes = bytes;
    return 0;
}

void vine__job_give_copies(struct vine_call *call)
{
    if (call->copied_bytes == 0)
        return;
    vine__quota_give(&call->pipe->quota, call->copied_bytes);
    call->copied_bytes = 0;
}

/* Copy each input once; from here on the application cannot change what the handler sees. */
static int copy_inputs(struct vine_call *call, struct vine__scratch *scratch)
{
    const uint64_t bytes = copies_bytes(call);
    size_t at = 0;

    if (bytes == 0)
        return 0;

    unsigned char *memory = scratch_of(scratch, bytes);

    if (memory == NULL)
        return -VINE_EQUOTA;
    for (uint32_t i = 0; i < call->input_count; i++) {
        memcpy(memory + at, call->inputs[i].memory, call->inputs[i].size_bytes);
        call->inputs[i].memory = memory + at;
        at += rounded(call->inputs[i].size_bytes);
    }
    return 0;
}

/* What one large task needed is not kept for all small ones that follow. */
static void trim(struct vine__scratch *scratch)
{
    if (scratch->size_bytes <= SCRATCH_KEPT)
        return;
    free(scratch->memory);
    *scratch = (struct vine__scratch){0};
}

static int enter_session(struct vine__session *session)
{
    const struct vine_procedure_definition *definition = session->definition;

    if (vine__load_relaxed_u32(&session->is_failed))
        return -VINE_ESESSION;
    if (session->is_begun)
        return 0;
    session->state = calloc(1, definition->state_bytes);
    if (session->state == NULL)
        return -VINE_EQUOTA;

    const int error = definition->begin != NULL ? definition->begin(session->state) : 0;

    session->is_begun = error == 0;
    return error;
}

void vine__job_run(struct vine_call *call, struct vine__scratch *scratch)
{
    const struct vine_procedure_definition *definition = call->definition;
    int error = call->status; /* there may have been no room for its copies */

    call->start_ticks = vine__clock_ticks();
    if (vine__load_relaxed_u32(&call->canceled) != 0)
        error = -VINE_ECANCELED;
    else if (vine__is_late(call, call->start_ticks))
        error = -VINE_EDEADLINE;
    else if (!error && call->session != NULL)
        error = enter_session(call->session);
    if (!error && call->input_count > 0)
        error = copy_inputs(call, scratch);
    if (!error)
        error = definition->run(call);
    if (VINE__UNLIKELY(error) && call->session != NULL)
        vine__store_relaxed_u32(&call->session->is_failed, 1); /* for those behind it */
    call->status = error;
    call->end_ticks = vine__clock_ticks();
    trim(scratch);
}

/* The next ready job, of the pipe whose turn it is; NULL if there is none. A pipe of which as many
 * run as may waits until one of them ends. One whose copies find no room in its pipe's quota waits
 * while others of the pipe run with copies of theirs, and fails if none does. jobs_lock is held. */
static struct vine_call *next_ready(struct vine__common *common)
{
    struct vine__turn *turn;

    while ((turn = vine__turns_next(&common->turns)) != NULL) {
        struct vine__served *pipe = VINE_CONTAINER_OF(turn, struct vine__served, turn);
        struct vine_call *call = CALL_OF(vine__list_first(&pipe->ready));

        if (pipe->running >= pipe->appliance->options.running_max)
            continue; /* until the next one has ended */

        const int error = vine__job_charge_copies(call);

        if (error && pipe->copying > 0)
            continue; /* until the next one that copies has ended */
        vine__list_remove(&call->link);
        call->status = error;
        call->job_state = VINE__JOB_RUNNING;
        call->turn_ticks = vine__turns_take(turn);
        pipe->running++;
        pipe->copying += call->copied_bytes > 0;
        (void)vine__jobs_show(pipe);
        return call;
    }
    return NULL;
}

/* A job that next_ready gave has run. jobs_lock is held. */
static void end_locked(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;

    vine__turns_pay(&pipe->appliance->common->turns, &pipe->turn, call->turn_ticks,
                    vine__elapsed(call->start_ticks, call->end_ticks));
    pipe->running--;
    pipe->copying -= call->copied_bytes > 0;
    vine__job_give_copies(call);
    vine__job_end_locked(call);
    if (vine__jobs_show(pipe)) /* some waited for room, and there may be room for many */
        pthread_cond_broadcast(&pipe->appliance->common->jobs_ready);
}

/* Run one, and wake the loop that completes it, of whichever part, unless `own` runs it. jobs_lock
 * is held, but not meanwhile. */
static bool run_one(struct vine__common *common, const struct vine_appliance *own,
                    struct vine__scratch *scratch)
{
    struct vine_call *call = next_ready(common);

    if (call == NULL)
        return false;

    struct vine_appliance *part = call->pipe->appliance;

    pthread_mutex_unlock(&common->jobs_lock);
    vine__job_run(call, scratch);
    pthread_mutex_lock(&common->jobs_lock);
    end_locked(call);
    if (part == own)
        return true;
    /* The call may be gone from here on; the part is there as long as somebody works. */
    pthread_mutex_unlock(&common->jobs_lock);
    vine__appliance_wake(part);
    pthread_mutex_lock(&common->jobs_lock);
    return true;
}

/* The same for an errand. */
static bool run_errand(struct vine__common *common, const struct vine_appliance *own)
{
    struct vine__list *node = vine__list_pop_front(&common->errands);

    if (node == NULL)
        return false;

    struct vine__errand *errand = VINE_CONTAINER_OF(node, struct vine__errand, link);
    struct vine_appliance *part = errand->part;

    pthread_mutex_unlock(&common->jobs_lock);
    errand->run(errand);
    pthread_mutex_lock(&common->jobs_lock);
    vine__list_push_back(&part->errands_done, &errand->link);
    vine__store_relaxed_u32(&part->done_count, vine__load_relaxed_u32(&part->done_count) + 1);
    if (part == own)
        return true;
    pthread_mutex_unlock(&common->jobs_lock);
    vine__appliance_wake(part);
    pthread_mutex_lock(&common->jobs_lock);
    return true;
}

bool vine__errand_begin(struct vine_appliance *part, struct vine__errand *errand)
{
    struct vine__common *common = part->common;

    if (part->is_over)
        return false;
    errand->part = part;
    part->errand_count++;
    vine__list_init(&errand->link);
    vine__list_init(&errand->telling);
    pthread_mutex_lock(&common->jobs_lock);
    vine__list_push_back(&common->errands, &errand->link);
    pthread_cond_signal(&common->jobs_ready);
    pthread_mutex_unlock(&common->jobs_lock);
    return true;
}

void vine__errand_tell(struct vine__errand *errand)
{
    struct vine_appliance *part = errand->part;

    pthread_mutex_lock(&part->common->jobs_lock);

    const bool is_first = !vine__list_is_linked(&errand->telling);

    if (is_first) {
        vine__list_push_back(&part->errands_telling, &errand->telling);
        vine__store_relaxed_u32(&part->done_count, vine__load_relaxed_u32(&part->done_count) + 1);
    }
    pthread_mutex_unlock(&part->common->jobs_lock);
    if (is_first)
        vine__appliance_wake(part);
}

/* Take a list over. jobs_lock is held. */
static void take_list(struct vine_appliance *appliance, struct vine__list *from,
                      struct vine__list *to)
{
    struct vine__list *node;

    vine__list_init(to);
    while ((node = vine__list_pop_front(from)) != NULL) {
        vine__list_push_back(to, node);
        vine__store_relaxed_u32(&appliance->done_count,
                                vine__load_relaxed_u32(&appliance->done_count) - 1);
    }
}

/* Whoever runs it may tell of it anew as soon as it is in no list. */
static struct vine__list *next_to_tell(struct vine_appliance *appliance, struct vine__list *telling)
{
    struct vine__list *node;

    pthread_mutex_lock(&appliance->common->jobs_lock);
    node = vine__list_pop_front(telling);
    pthread_mutex_unlock(&appliance->common->jobs_lock);
    return node;
}

/* Tell of errands: those that have ended may begin anew, and go. */
static void tell_errands(struct vine_appliance *appliance, struct vine__list *telling,
                         struct vine__list *ended)
{
    struct vine__list *node;

    while (!vine__list_is_empty(telling) && (node = next_to_tell(appliance, telling)) != NULL) {
        struct vine__errand *errand = VINE_CONTAINER_OF(node, struct vine__errand, telling);

        errand->told(errand);
    }
    while ((node = vine__list_pop_front(ended)) != NULL) {
        struct vine__errand *errand = VINE_CONTAINER_OF(node, struct vine__errand, link);

        appliance->errand_count--;
        errand->ended(errand);
    }
}

bool vine__job_run_one(struct vine_appliance *appliance, struct vine__scratch *scratch)
{
    pthread_mutex_lock(&appliance->common->jobs_lock);

    const bool has_run = run_one(appliance->common, appliance, scratch);
    const bool has_helped = run_errand(appliance->common, appliance);

    pthread_mutex_unlock(&appliance->common->jobs_lock);
    return has_run || has_helped;
}

void vine__jobs_remind(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;

    pthread_mutex_lock(&common->jobs_lock);
    if (!vine__turns_are_none(&common->turns) || !vine__list_is_empty(&common->errands) ||
        !vine__list_is_empty(&common->buried))
        pthread_cond_broadcast(&common->jobs_ready);
    pthread_mutex_unlock(&common->jobs_lock);
}

/* No sleep relies on its waker alone: a signal can be lost (glibc bug 25847, mended in 2.41). While
 * there is something to do the loop reminds us; of the end, and where no loop runs, one of the
 * workers learns by itself. Each look wakes a processor, or a machine. jobs_lock is held. */
static void wait_for_job(struct vine__common *common)
{
    const uint64_t until_ns =
        vine__clock_now_ns() + IDLE_LOOK_NS * vine__load_relaxed_u32(&common->worker_count);
    const struct timespec until = {
        .tv_sec = (time_t)(until_ns / VINE_NS_PER_SECOND),
        .tv_nsec = (long)(until_ns % VINE_NS_PER_SECOND),
    };

    (void)pthread_cond_clockwait(&common->jobs_ready, &common->jobs_lock, CLOCK_MONOTONIC, &until);
}

/* Give back the memory of a pipe that is over. jobs_lock is held, but not meanwhile. */
static bool bury_one(struct vine__common *common)
{
    struct vine__list *node = vine__list_pop_front(&common->buried);

    if (node == NULL)
        return false;
    pthread_mutex_unlock(&common->jobs_lock);
    vine__served_bury(VINE_CONTAINER_OF(node, struct vine__served, link));
    (void)vine__fetch_sub_acq_rel_u32(&common->buried_count, 1);
    pthread_mutex_lock(&common->jobs_lock);
    return true;
}

void vine__serving_expect_worker(struct vine_appliance *part, bool comes)
{
    struct vine__common *common = part->common;
    const uint32_t one = comes ? 1 : UINT32_MAX;

    pthread_mutex_lock(&common->jobs_lock);
    common->workers_expected += one;
    vine__store_relaxed_u32(&common->worker_count,
                            vine__load_relaxed_u32(&common->worker_count) + one);
    pthread_mutex_unlock(&common->jobs_lock);
}

void vine_appliance_work(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;
    struct vine__scratch scratch = {0};

    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC);
    pthread_mutex_lock(&common->jobs_lock);
    if (common->workers_expected > 0)
        common->workers_expected--;
    else
        vine__store_relaxed_u32(&common->worker_count,
                                vine__load_relaxed_u32(&common->worker_count) + 1);
    for (;;) {
        /* In turn: neither those that come and go nor those that stay keep the others waiting. */
        const bool has_worked = run_one(common, NULL, &scratch);
        const bool has_helped = run_errand(common, NULL);
        const bool has_buried = bury_one(common);

        if (has_worked || has_helped || has_buried)
            continue;
        if (common->workers_end)
            break;
        wait_for_job(common);
    }
    vine__store_relaxed_u32(&common->worker_count,
                            vine__load_relaxed_u32(&common->worker_count) - 1);
    pthread_mutex_unlock(&common->jobs_lock);
    free(scratch.memory);
}

/* The end of a session with its last task may take long: the pipe pays for it. */
static void complete(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    const bool is_long = call->session != NULL;
    const uint64_t start_ticks = is_long ? vine__clock_ticks() : 0;

    vine__served_complete(call);
    if (is_long)
        pipe->debt_ticks += vine__elapsed(start_ticks, vine__clock_ticks());
}

/* The executor's turn. What follows it in its session follows at once. */
static void begin_locked(struct vine_call *call)
{
    call->job_state = VINE__JOB_RUNNING;
    if (call->session != NULL)
        vine__job_leave_lane_locked(call);
}

bool vine__jobs_complete(struct vine_appliance *appliance)
{
    struct vine__list done;
    struct vine__list telling, ended;

    /* Relaxed: what it counts is behind the lock. */
    if (vine__load_relaxed_u32(&appliance->done_count) == 0)
        return false;
    vine__list_init(&done);
    pthread_mutex_lock(&appliance->common->jobs_lock);
    take_list(appliance, &appliance->errands_telling, &telling);
    take_list(appliance, &appliance->errands_done, &ended);
    for (uint32_t i = 0; i < DONE_AT_ONCE && !vine__list_is_empty(&appliance->done); i++) {
        struct vine__list *node = vine__list_pop_front(&appliance->done);

        vine__list_push_back(&done, node);
        if (CALL_OF(node)->job_state == VINE__JOB_READY)
            begin_locked(CALL_OF(node));
        vine__store_relaxed_u32(&appliance->done_count,
                                vine__load_relaxed_u32(&appliance->done_count) - 1);
    }
    pthread_mutex_unlock(&appliance->common->jobs_lock);

    tell_errands(appliance, &telling, &ended);
    while (!vine__list_is_empty(&done)) {
        struct vine_call *call = CALL_OF(vine__list_pop_front(&done));
        struct vine__served *pipe = call->pipe;
        struct vine__served_channel *channel = pipe->channels[call->channel];

        if (call->job_state == VINE__JOB_RUNNING) {
            vine__executor_begin(call);
            continue;
        }
        if (!call->is_executed) /* a coroutine waits for most of its time */
            vine__count(&appliance->busy_ns,
                        vine__clock_ticks_to_ns(call->end_ticks - call->start_ticks));
        complete(call);
        if (pipe->state == VINE__SERVED_OPEN) {
            vine__served_flush(channel);
            /* Something may have waited for the room that it took: the next poll of the pipe sees
             * to that. */
            if (vine__spsc_ready(&channel->submissions) != 0)
                vine__loop_activate(pipe);
        } else {
            vine__served_end_if_over(pipe);
        }
    }
    return true;
}
