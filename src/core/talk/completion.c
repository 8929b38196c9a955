/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the completion ring to ended tasks. The caller drains the channel: it is the ring's only
 * reader, and the only one that ends tasks of it.
 *
 * A completion is copied once into private memory. Its id finds a pending task or is counted as
 * refused; what it says of results is checked against what the task asked for, and anything that a
 * correct appliance cannot have written breaks the pipe.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/message.h"
#include "core/talk/pipe_internal.h"
#include "utils/hostile.h"

#define TOKEN_BYTES sizeof(struct vine_token)
#define DESCRIPTOR_MAX                                                                             \
    (sizeof(struct vine_wire_descriptor) + VINE_TASK_DATA_MAX * TOKEN_BYTES + VINE_REASON_MAX)

VINE_STATIC_ASSERT(sizeof(struct vine_token) == 16, "as the slots have them");
VINE_STATIC_ASSERT(VINE_REASON_MAX >= VINE_RESULT_MAX, "a block has room for either");

/* A result as its completion tells of it. */
struct parcel {
    const unsigned char *bytes;
    uint32_t bytes_size;
    const unsigned char *tokens;
    uint32_t token_count;
    unsigned char block[DESCRIPTOR_MAX];
};

static void count(uint64_t *counter)
{
    vine__store_relaxed_u64(counter, vine__load_relaxed_u64(counter) + 1);
}

/* Copy a descriptor of the appliance's half, and give it back. Its type is checked by nobody: it is
 * no data. */
static int read_descriptor(struct vine_pipe *pipe, const unsigned char *at, uint32_t bytes_max,
                           struct parcel *parcel)
{
    struct vine_wire_descriptor head;
    struct vine_token token;
    const void *shared = NULL;

    memcpy(&token, at, sizeof token);
    if (VINE__HOSTILE(token.length < sizeof head || token.length > DESCRIPTOR_MAX))
        return -VINE_ECORRUPT;
    if (vine__pipe_resolve(pipe, &token, &shared) != 0)
        return -VINE_ECORRUPT;
    memcpy(parcel->block, shared, token.length);
    memcpy(&head, parcel->block, sizeof head);
    if (VINE__HOSTILE(head.size_bytes != token.length || head.token_count > VINE_TASK_DATA_MAX ||
                      head.bytes_size > bytes_max ||
                      head.size_bytes !=
                          sizeof head + head.token_count * TOKEN_BYTES + head.bytes_size))
        return -VINE_ECORRUPT;
    parcel->tokens = parcel->block + sizeof head;
    parcel->token_count = head.token_count;
    parcel->bytes = parcel->tokens + head.token_count * TOKEN_BYTES;
    parcel->bytes_size = head.bytes_size;
    vine__data_give_back(pipe, &token, vine__pipe_renewals(pipe));
    return 0;
}

/* At most `bytes_max` bytes come in a descriptor. */
static int open_parcel(struct vine_pipe *pipe, const struct vine_wire_completion *completion,
                       uint32_t bytes_max, struct parcel *parcel)
{
    const uint32_t bytes = VINE_WIRE_SHAPE_BYTES(completion->shape);
    const uint32_t tokens = VINE_WIRE_SHAPE_TOKENS(completion->shape);

    if (tokens == VINE_WIRE_DESCRIPTOR)
        return bytes != 0 ? -VINE_ECORRUPT
                          : read_descriptor(pipe, completion->body + VINE_RESULT_MAX - TOKEN_BYTES,
                                            bytes_max, parcel);
    if (VINE__HOSTILE(bytes + tokens * TOKEN_BYTES > VINE_RESULT_MAX))
        return -VINE_ECORRUPT;
    parcel->bytes = completion->body;
    parcel->bytes_size = bytes;
    parcel->tokens = completion->body + VINE_RESULT_MAX - tokens * TOKEN_BYTES;
    parcel->token_count = tokens;
    return 0;
}

/* An output's result: within the appliance's half, of the type and within the room that the task
 * stated. */
static int take_output(struct vine_pipe *pipe, struct vine_data *data, const unsigned char *at)
{
    static const struct vine_token empty;
    const void *memory = NULL;
    struct vine_token token;

    memcpy(&token, at, sizeof token);
    if (memcmp(&token, &empty, sizeof token) == 0)
        memory = pipe->mirror.layout;
    else if (token.type != data->type || token.length == 0 || token.length > data->size_max_bytes ||
             token.length % vine__type_bytes(data->type) != 0 ||
             vine__pipe_resolve(pipe, &token, &memory) != 0)
        return -VINE_ECORRUPT;
    data->token = token;
    data->memory = memory;
    data->renewal = vine__pipe_renewals(pipe);
    if (token.length > 0) /* relaxed: who renews has waited for whoever drains */
        (void)vine__fetch_add_relaxed_u64(&pipe->renewal.results, 1);
    vine__store_relaxed_u64(&data->size_bytes, token.length);
    /* R1 pairs with R2: what it is before that it is. */
    vine__store_release_u32(&data->has_result, 1);
    return 0;
}

static int take_results(struct vine_task *task, const struct vine_wire_completion *completion)
{
    struct vine_pipe *pipe = task->channel->pipe;
    struct parcel parcel;
    int error = open_parcel(pipe, completion, VINE_RESULT_MAX, &parcel);

    if (error)
        return error;
    if (VINE__HOSTILE(parcel.token_count != task->output_count))
        return -VINE_ECORRUPT;
    for (uint32_t i = 0; i < task->output_count && !error; i++)
        error =
            take_output(pipe, task->data[task->input_count + i], parcel.tokens + i * TOKEN_BYTES);
    memcpy(task->result, parcel.bytes, parcel.bytes_size);
    task->result_size = (uint8_t)parcel.bytes_size;
    return error;
}

/* What makes no sense here is no reason, and nothing worse: the task has failed anyway. */
static __attribute__((noinline)) void take_reason(struct vine_task *task,
                                                  const struct vine_wire_completion *completion)
{
    struct parcel parcel;

    if (open_parcel(task->channel->pipe, completion, VINE_REASON_MAX, &parcel) != 0 ||
        parcel.bytes_size == 0 || parcel.token_count != 0 || task->has_reason)
        return;
    task->reason = malloc(parcel.bytes_size + 1);
    if (task->reason == NULL)
        return;
    memcpy(task->reason, parcel.bytes, parcel.bytes_size);
    task->reason[parcel.bytes_size] = 0;
    vine__talk_tame(task->reason, parcel.bytes_size + 1);
    task->has_reason = true;
}

static __attribute__((noinline)) void let_go(struct vine_task *task)
{
    struct vine_pipe *pipe = task->channel->pipe;

    for (uint32_t i = 0; i < task->output_count; i++) /* A1 pairs with A2 */
        vine__store_release_u32(&task->data[task->input_count + i]->is_awaited, 0);
    for (uint32_t i = 0; i < (uint32_t)task->input_count + task->output_count; i++)
        vine__data_unref(task->data[i]);
    if (task->has_descriptor)
        vine__pipe_free(pipe, &task->descriptor);
    if (task->session != NULL)
        vine__session_task_ended(task->session, task);
    if (task->accelerator != NULL) {
        struct vine_accelerator *accelerator = task->accelerator;

        (void)vine__fetch_add_relaxed_u64(&accelerator->queued_units, task->queued);
        (void)vine__fetch_add_relaxed_u64(&accelerator->run_units, task->run);
        /* Release pairs with the acquire in vine_accelerator_get_stats. */
        (void)vine__fetch_add_acq_rel_u64(&accelerator->tasks_ended, 1);
        vine__accelerator_unref(accelerator);
    }
}

static __attribute__((noinline)) void call_back(struct vine_task *task)
{
    const struct vine_task *outer = vine__this_thread.called;
    uint32_t life = VINE__TASK_PENDING;

    /* An abandoned task is not told. Pairs with nothing: its callback runs on this thread. */
    if (!vine__compare_exchange_acq_rel_u32(&task->life, &life, VINE__TASK_CALLING))
        return;
    vine__this_thread.called = task;
    task->callback(task, task->status, task->context);
    vine__this_thread.called = outer;
}

VINE__ALWAYS_INLINE void end_task(struct vine__channel *channel, struct vine_task *task, int status,
                                  uint64_t now_ticks)
{
    task->status = status;
    task->ended_ticks = now_ticks;
    if (status == 0)
        count(&channel->done);
    else
        count(status == -VINE_EPEERLOST ? &channel->lost : &channel->failed);
    count(&channel->ended);
    if (task->has_uses)
        let_go(task);
    if (task->callback != NULL)
        call_back(task);
    /* L1 pairs with L2: its results before its end. */
    const uint32_t life = vine__fetch_or_acq_rel_u32(&task->life, VINE__TASK_ENDED);

    VINE_ASSERT((life & VINE__TASK_ENDED) == 0);
    if (life & VINE__TASK_FREED)
        vine__task_recycle(task);
}

/* Whether a task that was sent back waits for the next appliance. It was not begun: so says one
 * that leaves the pipe to another, which does so soon, and one that drains. */
static bool keeps(struct vine__channel *channel, const struct vine_wire_completion *completion)
{
    struct vine__op *operation = vine__op_find(&channel->tasks, completion->operation);
    struct vine_task *task = (struct vine_task *)(void *)operation;
    const uint64_t pending =
        vine__op_word((uint32_t)(completion->operation >> 32), VINE_WIRE_TASK, VINE__OP_PENDING);
    const bool is_left = completion->kind == VINE_WIRE_SENT_BACK;

    /* O2 pairs with O1, of the op cache. */
    if (!channel->pipe->renewal.is_possible || operation == NULL ||
        vine__load_acquire_u64(&operation->word) != pending ||
        (task->again & VINE__AGAIN_KEPT) == 0)
        return false;
    if (!is_left && (completion->kind != VINE_WIRE_TASK || !channel->pipe->renewal.is_wanted ||
                     (task->session != NULL && task->has_uses && task->session->has_ended)))
        return false;
    task->again |= VINE__AGAIN_WAITING;
    return true;
}

static int complete(struct vine__channel *channel, const struct vine_wire_completion *completion,
                    uint64_t now_ticks)
{
    if (VINE__UNLIKELY(completion->status == VINE_EDRAINING ||
                       completion->kind == VINE_WIRE_SENT_BACK) &&
        keeps(channel, completion))
        return 0;
    /* The drainer alone ends tasks; that its user freed one early stands in its life. */
    struct vine__op *operation =
        vine__op_complete_alone(&channel->tasks, completion->operation, completion->kind);
    struct vine_task *task = (struct vine_task *)(void *)operation;
    int status = 0;
    int error = 0;

    if (VINE__HOSTILE(operation == NULL))
        return 0; /* counted */
    task->queued = completion->queued;
    task->run = completion->run;
    if (VINE__UNLIKELY(completion->status != 0)) {
        status = completion->status > 1000 && completion->status < VINE_ERROR_END
                     ? -(int)completion->status
                     : -VINE_EFAILED;
        if (completion->shape != 0)
            take_reason(task, completion);
    } else if ((completion->shape | task->output_count) != 0) {
        error = take_results(task, completion);
    }
    if (VINE__UNLIKELY(!vine__link_held(&channel->pipe->link))) {
        error = -VINE_EPEERLOST;
        vine__pipe_break(channel->pipe, error, false, "its link was unplugged");
        status = error;
    } else if (VINE__UNLIKELY(error)) {
        vine__pipe_break(channel->pipe, error, true, "a completion with impossible results");
        status = error;
    }
    end_task(channel, task, status, now_ticks);
    return error;
}

int vine__channel_drain(struct vine__channel *channel)
{
    struct vine_spsc_consumer *ring = &channel->completions;
    struct vine_wire_completion completion;
    uint64_t now_ticks = 0;
    int taken = 0;
    int error = 0;

    if (VINE__UNLIKELY(!channel->has_completions)) {
        error = vine__channel_meet(channel);
        if (error <= 0)
            return error;
    }
    /* At most a ring's worth: a callback may issue as fast as the appliance completes. */
    while ((uint64_t)taken < ring->slot_count) {
        error = vine__spsc_pop(ring, &completion);
        if (error)
            break;
        if (taken++ == 0)
            now_ticks = vine__clock_ticks();
        error = complete(channel, &completion, now_ticks);
        if (VINE__UNLIKELY(error))
            return error;
    }
    if (VINE__HOSTILE(error == -VINE_ECORRUPT)) {
        vine__pipe_break(channel->pipe, error, true,
                         "an impossible sequence number in a completion ring");
        return error;
    }
    return taken;
}

void vine__task_lose(struct vine__channel *channel, struct vine_task *task, int status)
{
    /* O2 pairs with O1, of the op cache. */
    const uint64_t word = vine__load_acquire_u64(&task->operation.word);

    if (!vine__op_end(&task->operation, word))
        return;
    task->queued = 0;
    task->run = 0;
    end_task(channel, task, status, vine__clock_ticks());
}

void vine__channel_end_all(struct vine__channel *channel)
{
    const int status = vine__pipe_check(channel->pipe);
    const uint64_t now_ticks = vine__clock_ticks();

    /* What the appliance completed before it went away counts. */
    if (status != -VINE_ECORRUPT)
        (void)vine__channel_drain(channel);

    const uint32_t total = vine__load_acquire_u32(&channel->tasks.count); /* O6 pairs with O5 */

    for (uint32_t i = 0; i < total; i++) {
        struct vine__op *operation = vine__op_at(&channel->tasks, i);
        struct vine_task *task = (struct vine_task *)(void *)operation;

        /* O2 pairs with O1, of the op cache. */
        if (!vine__op_end(operation, vine__load_acquire_u64(&operation->word)))
            continue;
        task->queued = 0;
        task->run = 0;
        end_task(channel, task, status, now_ticks);
    }
}
