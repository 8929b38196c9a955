/* SPDX-License-Identifier: Apache-2.0 */
/* What becomes of rings and tasks while a pipe goes from one appliance to the next. All channels
 * are the caller's, as issuer and as drainer: see renew.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/pipe_internal.h"

#define TOKEN_BYTES sizeof(struct vine_token)

/* ---- settle ---------------------------------------------------------------------------------- */

/* A session lives in its appliance, unless that has begun no task of it. */
static void lose_sessions(struct vine_pipe *pipe, enum vine__loss loss)
{
    pthread_mutex_lock(&pipe->lock);
    for (uint32_t i = 0; i < VINE_WIRE_SESSION_PLACES; i++) {
        struct vine_session *session = pipe->session_at[i];

        if (session != NULL && session->is_begun &&
            (loss != VINE__LOSS_OF_NOTHING || session->has_ended))
            session->is_lost = true;
    }
    pthread_mutex_unlock(&pipe->lock);
}

/* What was sent, if it is known still: a slot is its submission's until the appliance has begun
 * it. */
static bool recover(const struct vine__channel *channel, struct vine_task *task)
{
    const struct vine_slot *slot = &channel->slots[task->position & (channel->slot_count - 1)];
    struct vine_wire_submission submission;

    if ((task->again & VINE__AGAIN_KEPT) != 0)
        return true;
    memcpy(&submission, slot->payload, sizeof submission);
    if (submission.operation != vine__op_id(&task->operation) ||
        (submission.kind & VINE_WIRE_KIND_MASK) != VINE_WIRE_TASK)
        return false;
    task->submission = submission;
    task->again |= VINE__AGAIN_KEPT;
    return true;
}

static bool goes_on(const struct vine__channel *channel, struct vine_task *task,
                    enum vine__loss loss)
{
    const struct vine_session *session = task->has_uses ? task->session : NULL;

    if (session != NULL) {
        if (session->is_lost)
            return false;
    } else if (loss != VINE__LOSS_OF_NOTHING &&
               (task->again & (VINE__AGAIN_TWICE | VINE__AGAIN_WAITING)) == 0) {
        return false;
    }
    return recover(channel, task);
}

typedef void (*task_fn)(struct vine__channel *channel, struct vine_task *task, void *context);

static void for_each_pending(struct vine__channel *channel, task_fn fn, void *context)
{
    const uint32_t total = vine__load_acquire_u32(&channel->tasks.count); /* O6 pairs with O5 */

    for (uint32_t i = 0; i < total; i++) {
        struct vine__op *operation = vine__op_at(&channel->tasks, i);

        /* O2 pairs with O1, of the op cache. */
        if (vine__op_word_state(vine__load_acquire_u64(&operation->word)) == VINE__OP_PENDING)
            fn(channel, (struct vine_task *)(void *)operation, context);
    }
}

static void sort_out(struct vine__channel *channel, struct vine_task *task, void *context)
{
    const enum vine__loss *loss = context;

    if (goes_on(channel, task, *loss))
        task->again |= VINE__AGAIN_WAITING;
    else
        vine__task_lose(channel, task, -VINE_EPEERLOST);
}

void vine__renew_settle(struct vine_pipe *pipe, enum vine__loss loss)
{
    for (uint32_t i = 0; i < pipe->channel_count; i++)
        (void)vine__channel_drain(pipe->channels[i]);
    lose_sessions(pipe, loss);
    for (uint32_t i = 0; i < pipe->channel_count; i++)
        for_each_pending(pipe->channels[i], sort_out, &loss);
}

/* Whether nobody is to begin it any more. What its session is without it the next appliance is to
 * know: of one that goes on it is told. */
static bool is_unwanted(const struct vine_task *task)
{
    const struct vine_session *session = task->has_uses ? task->session : NULL;
    struct vine_pipe *pipe = task->channel->pipe;

    pthread_mutex_lock(&pipe->lock);
    const bool is_canceled = task->canceled == vine__op_id(&task->operation);
    const bool is_over = session != NULL ? session->is_cut : is_canceled;
    pthread_mutex_unlock(&pipe->lock);
    return is_over;
}

static void drop(struct vine__channel *channel, struct vine_task *task, void *context)
{
    (void)context;
    if ((task->again & VINE__AGAIN_WAITING) != 0 && is_unwanted(task))
        vine__task_lose(channel, task, -VINE_ECANCELED);
}

void vine__renew_drop(struct vine_pipe *pipe)
{
    for (uint32_t i = 0; i < pipe->channel_count; i++)
        for_each_pending(pipe->channels[i], drop, NULL);
}

/* ---- leave and join -------------------------------------------------------------------------- */

void vine__renew_leave(struct vine_pipe *pipe)
{
    /* At a link: who is there still finds that we have left before it finds empty rings. */
    vine__store_relaxed_u64(&pipe->half.layout->board.meeting, 0);
    vine__fence_full();
    for (uint32_t i = 0; i < pipe->channel_count; i++) {
        struct vine__channel *channel = pipe->channels[i];

        channel->has_completions = false;
        channel->is_left = true;
        memset(channel->slots, 0, (size_t)channel->slot_count * sizeof(struct vine_slot));
        vine__store_relaxed_u64(&channel->ours->consumed.value, 0);
        vine__store_relaxed_u32(&channel->ours->sleeping.value, 0);
    }
    vine__store_relaxed_u64(&pipe->half.layout->board.channels.ready, 0);
    vine__fence_full();
}

void vine__renew_join(struct vine_pipe *pipe)
{
    for (uint32_t i = 0; i < pipe->channel_count; i++) {
        struct vine__channel *channel = pipe->channels[i];
        const int error =
            vine_spsc_producer_init(&channel->producer, channel->slots, channel->slot_count,
                                    &pipe->mirror.layout->channels[i].consumed.value);

        VINE_ASSERT(error == 0);
        vine__ready_init(&channel->ready, pipe->agreement.ready, i, pipe->half.layout,
                         pipe->mirror.layout);
        channel->is_stream = pipe->is_stream;
        channel->is_left = false;
        vine__store_relaxed_u32(&channel->ours->wait_mode,
                                channel->is_stream ? VINE_WAIT_STREAM : VINE_WAIT_SLEEPY);
    }
}

/* ---- issue ----------------------------------------------------------------------------------- */

struct waiting {
    struct vine_task **tasks;
    uint32_t count;
};

static void count_waiting(struct vine__channel *channel, struct vine_task *task, void *context)
{
    struct waiting *waiting = context;

    (void)channel;
    if ((task->again & VINE__AGAIN_WAITING) == 0)
        return;
    if (waiting->tasks != NULL)
        waiting->tasks[waiting->count] = task;
    waiting->count++;
}

static int compare_positions(const void *left, const void *right)
{
    const struct vine_task *const *first = left;
    const struct vine_task *const *second = right;

    return (*first)->position < (*second)->position ? -1 : (*first)->position > (*second)->position;
}

/* In the order in which they were issued first. Free `tasks`. */
static int gather(struct vine__channel *channel, struct waiting *waiting)
{
    *waiting = (struct waiting){0};
    for_each_pending(channel, count_waiting, waiting);
    if (waiting->count == 0)
        return 0;
    waiting->tasks = calloc(waiting->count, sizeof(struct vine_task *));
    if (waiting->tasks == NULL)
        return -ENOMEM;
    waiting->count = 0;
    for_each_pending(channel, count_waiting, waiting);
    qsort(waiting->tasks, waiting->count, sizeof(struct vine_task *), compare_positions);
    return 0;
}

/* Results of a former appliance are no memory of the next one's. */
static int name_inputs(struct vine_task *task, unsigned char *tokens)
{
    int error = 0;

    for (uint32_t i = 0; i < task->input_count && !error; i++) {
        struct vine_token token;

        if (!task->data[i]->is_result)
            continue;
        error = vine__data_bring_home(task->data[i]);
        if (error)
            return error;
        memcpy(&token, tokens + i * TOKEN_BYTES, TOKEN_BYTES);

        const uint32_t length = token.length;

        vine__data_name(task->data[i], &token);
        token.length = length;
        memcpy(tokens + i * TOKEN_BYTES, &token, TOKEN_BYTES);
    }
    return error;
}

/* Where the one that it comes after stands now; it may have ended, or end without being issued. */
static void renew_order(struct vine_pipe *pipe, struct vine_task *task)
{
    unsigned char *block = task->descriptor.memory;
    struct vine_wire_descriptor head;

    memcpy(&head, block, sizeof head);
    if (head.has_after == 0)
        return;

    struct vine__op *operation =
        vine__op_find(&pipe->channels[head.after_channel]->tasks, head.after_operation);
    const struct vine_task *after = (const struct vine_task *)(void *)operation;
    /* O2 pairs with O1, of the op cache. */
    const uint64_t word = operation != NULL ? vine__load_acquire_u64(&operation->word) : 0;

    if (vine__op_word_state(word) == VINE__OP_PENDING &&
        vine__op_id(operation) == head.after_operation)
        head.after_position = after->position;
    else
        head.has_after = 0;
    memcpy(block, &head, sizeof head);
}

/* With numbers that the next appliance understands. Returns 0, or the error that ends the task. */
static int recompose(struct vine_task *task)
{
    struct vine_wire_submission *submission = &task->submission;
    const uint32_t tokens = VINE_WIRE_SHAPE_TOKENS(submission->shape);
    const uint32_t error = vine__load_relaxed_u32(&task->procedure->error);

    if (error != 0)
        return -(int)error;
    submission->procedure = task->procedure->id;
    if (!task->has_uses || task->input_count == 0)
        return 0;
    if (tokens == VINE_WIRE_DESCRIPTOR)
        return name_inputs(task, (unsigned char *)task->descriptor.memory +
                                     sizeof(struct vine_wire_descriptor));
    return name_inputs(task, submission->body + VINE_WIRE_BODY_BYTES - tokens * TOKEN_BYTES);
}

/* Find room for all of them before any is seen. */
static void place(struct vine__channel *channel, struct waiting *waiting)
{
    uint32_t kept = 0;

    for (uint32_t i = 0; i < waiting->count; i++) {
        struct vine_task *task = waiting->tasks[i];
        const int error = recompose(task);

        if (error) {
            vine__task_lose(channel, task,
                            error == -ENOMEM || error == -VINE_ETOOBIG ? -VINE_EQUOTA : error);
            continue;
        }
        task->position = channel->producer.position + kept;
        waiting->tasks[kept++] = task;
    }
    waiting->count = kept;
}

static void send(struct vine__channel *channel, const struct waiting *waiting)
{
    struct vine_pipe *pipe = channel->pipe;

    for (uint32_t i = 0; i < waiting->count; i++) {
        struct vine_task *task = waiting->tasks[i];
        const int reserved = vine__spsc_reserve(&channel->producer, 1);

        VINE_ASSERT(task->position == channel->producer.position);
        if (reserved <= 0) /* an impossible position: the next look at the ring ends the pipe */
            return;
        if (task->has_descriptor)
            renew_order(pipe, task);
        task->again &= (uint8_t)~VINE__AGAIN_WAITING;
        memcpy(vine__spsc_slot_at(&channel->producer, 0)->payload, &task->submission,
               sizeof task->submission);
        vine__spsc_publish(&channel->producer, 1);
    }
    (void)vine__fetch_add_relaxed_u64(&pipe->renewal.reissued, waiting->count);
    if (waiting->count > 0)
        vine__channel_tell(pipe, channel);
}

static void cancel_again(struct vine__channel *channel, struct vine_task *task, void *context)
{
    (void)channel, (void)context;
    vine__task_cancel_again(task);
}

/* What their users have asked for, of which the former appliance alone may have heard. */
static void tell_again(struct vine_pipe *pipe)
{
    for (uint32_t i = 0; i < pipe->channel_count; i++)
        for_each_pending(pipe->channels[i], cancel_again, NULL);
    vine__sessions_cut_again(pipe);
}

/* Positions of all come before any is sent: tasks tell those that they come after. */
int vine__renew_issue(struct vine_pipe *pipe)
{
    struct waiting waiting[VINE_TALK_CHANNELS_MAX];
    uint32_t count = 0;
    int error = 0;

    for (; count < pipe->channel_count && !error; count++)
        error = gather(pipe->channels[count], &waiting[count]);
    for (uint32_t i = 0; i < count && !error; i++)
        place(pipe->channels[i], &waiting[i]);
    for (uint32_t i = 0; i < count && !error; i++)
        send(pipe->channels[i], &waiting[i]);
    if (!error)
        tell_again(pipe);
    for (uint32_t i = 0; i < count; i++)
        free(waiting[i].tasks);
    return error;
}
