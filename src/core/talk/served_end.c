/* SPDX-License-Identifier: Apache-2.0 */
/* The end of a task, on the loop: what it gives back, its completion, and who is woken for it. */
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "core/talk/served_internal.h"
#include "utils/assert.h"

/* In units of 16 ns, as durations cross. */
static uint32_t duration(const struct vine_appliance *appliance, uint64_t from_ticks,
                         uint64_t to_ticks)
{
    const uint64_t ticks = vine__elapsed(from_ticks, to_ticks);

    return VINE__LIKELY(ticks < appliance->longest_ticks)
               ? (uint32_t)(ticks * appliance->units_a_tick >> 32)
               : UINT32_MAX;
}

/* Wake the thread that sleeps on the channel's next completion, the first of those that were just
 * published, and the application that waits for its descriptor, once for each time that it did. */
static __attribute__((noinline)) void wake_sleepers(struct vine__served_channel *channel,
                                                    const struct vine_slot *first,
                                                    uint32_t sleeping, uint32_t epoch)
{
    struct vine__served *pipe = channel->pipe;

    if (sleeping != 0) {
        if (channel->rung == NULL)
            (void)!vine__futex_wake((const uint32_t *)(const void *)&first->sequence, 1);
        else if (sleeping != channel->rung_for)
            vine__link_wake(channel->rung);
        channel->rung_for = sleeping;
    }
    if ((epoch & 1) != 0 && epoch != pipe->woken_epoch && pipe->agreement.rings) {
        pipe->woken_epoch = epoch;
        vine__link_wake(&pipe->link_to);
    }
}

void vine__served_flush(struct vine__served_channel *channel)
{
    if (channel->unpublished == 0)
        return;

    const struct vine_slot *first = vine__spsc_slot_at(&channel->completions, 0);

    vine__spsc_publish(&channel->completions, channel->unpublished);
    channel->unpublished = 0;
    if (channel->is_stream)
        vine__compiler_barrier();
    else
        vine__fence_full();

    const uint32_t sleeping = vine__load_relaxed_u32(channel->peer_sleeping);
    const uint32_t epoch = vine__load_relaxed_u32(channel->peer_epoch);

    if (VINE__UNLIKELY((sleeping | (epoch & 1)) != 0))
        wake_sleepers(channel, first, sleeping, epoch);
}

/* Of boxes of our own half, which nobody else can name while their task has not ended: none of it
 * can fail. */

static void free_box(const struct vine_call *call, const struct vine_token *token)
{
    const int error = vine_box_free(call->pipe->half.book, token);

    VINE_ASSERT(error == 0);
}

static void shrink_box(const struct vine_call *call, struct vine_token *token, uint32_t length)
{
    const int error = vine_box_shrink(call->pipe->half.book, token, length);

    VINE_ASSERT(error == 0);
}

/* From here on the application may name it. */
static void finish_box(const struct vine_call *call, struct vine_token *token, uint32_t type)
{
    const int error =
        vine_box_retype(call->pipe->half.book, token, (struct vine_box_type){(uint16_t)type});

    VINE_ASSERT(error == 0);
}

/* Where outputs and result do not fit into the slot. */
static void write_descriptor(struct vine_call *call, const struct vine_token *tokens,
                             struct vine_token *ret_token)
{
    struct vine_wire_descriptor head = {
        .token_count = (uint16_t)call->output_count,
        .bytes_size = call->result_size,
    };
    struct vine_token *token = &call->parcel.token;
    unsigned char *at = call->parcel.memory;

    VINE_ASSERT(call->has_parcel);
    call->has_parcel = false;
    head.size_bytes =
        (uint32_t)(sizeof head + call->output_count * sizeof *tokens + call->result_size);
    memcpy(at, &head, sizeof head);
    memcpy(at + sizeof head, tokens, call->output_count * sizeof *tokens);
    memcpy(at + sizeof head + call->output_count * sizeof *tokens, call->result, call->result_size);
    if (head.size_bytes < token->length)
        shrink_box(call, token, head.size_bytes);
    finish_box(call, token, VINE_TYPE_BYTES);
    *ret_token = *token;
}

/* Free what was allocated for the outputs of a task that failed. */
static void drop_outputs(struct vine_call *call)
{
    for (uint32_t i = 0; i < call->output_count; i++)
        if (call->outputs[i].memory != NULL)
            free_box(call, &call->outputs[i].token);
    call->output_count = 0;
}

/* The outputs' tokens with their true lengths; one that stayed empty is all zero. */
static void settle_outputs(struct vine_call *call, struct vine_token *tokens)
{
    for (uint32_t i = 0; i < call->output_count; i++) {
        struct vine__call_output *output = &call->outputs[i];

        memset(&tokens[i], 0, sizeof tokens[i]);
        if (output->memory == NULL)
            continue;
        if (output->size_bytes == 0) {
            free_box(call, &output->token);
            output->memory = NULL;
            continue;
        }
        if (output->size_bytes < output->room_bytes)
            shrink_box(call, &output->token, (uint32_t)output->size_bytes);
        finish_box(call, &output->token, output->token.type & VINE_WIRE_TYPE_MASK);
        tokens[i] = output->token;
    }
}

/* The call is nobody's any more. */
VINE__ALWAYS_INLINE void give_up(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;

    if (call->has_parcel)
        free_box(call, &call->parcel.token);
    if (VINE__UNLIKELY(call->block_bytes > 0)) {
        vine__quota_give(&pipe->quota, call->block_bytes);
        call->block_bytes = 0;
        free(call->block);
    }
    if (VINE__UNLIKELY(call->deadline_ticks != 0))
        vine__list_remove(&call->timed);
    if (VINE__UNLIKELY(call->reason != NULL)) {
        vine__quota_give(&pipe->quota, sizeof *call->reason);
        free(call->reason);
    }
    VINE_ASSERT(pipe->channels[call->channel]->in_flight > 0);
    VINE_ASSERT(pipe->jobs_taken > 0);
    pipe->channels[call->channel]->in_flight--;
    vine__store_relaxed_u32(&pipe->jobs_taken, pipe->jobs_taken - 1);
    vine__op_give_own(&pipe->jobs, &call->operation); /* the loop takes them, too */
}

static void release_inputs(struct vine_call *call)
{
    for (uint32_t i = 0; i < call->input_count; i++) {
        if (!call->inputs[i].is_ours)
            continue;

        const int error = vine_box_unref(call->pipe->half.book, &call->inputs[i].token);

        VINE_ASSERT(error == 0);
    }
}

static void write_completion(struct vine_call *call, struct vine__served_channel *channel)
{
    const struct vine_appliance *appliance = call->pipe->appliance;
    struct vine_wire_completion *completion = vine__served_next_completion(channel);
    struct vine_token tokens[VINE_TASK_DATA_MAX];
    uint32_t token_count = call->output_count;
    uint32_t result_size = call->result_size;

    completion->operation = call->wire_operation;
    completion->kind = VINE_WIRE_TASK;
    completion->reserved = 0;
    completion->queued = duration(appliance, call->seen_ticks, call->start_ticks);
    completion->run = duration(appliance, call->start_ticks, call->end_ticks);
    completion->status = 0;
    completion->shape = 0;
    if (call->status == 0) {
        settle_outputs(call, tokens);
        if (token_count > 2 || result_size + token_count * sizeof *tokens > VINE_RESULT_MAX) {
            write_descriptor(call, tokens, &tokens[0]);
            token_count = VINE_WIRE_DESCRIPTOR;
            result_size = 0;
        }
    }
    if (call->status != 0) {
        const bool is_ours = call->status <= -1000 && call->status > -2000;

        drop_outputs(call);
        completion->status = (uint16_t)(is_ours ? -call->status : VINE_EFAILED);
        if (call->reason != NULL || !is_ours)
            vine__served_write_reason(call, completion);
        return;
    }
    if (token_count + result_size == 0)
        return;

    const uint32_t carried = token_count == VINE_WIRE_DESCRIPTOR ? 1 : token_count;

    completion->shape = VINE_WIRE_SHAPE(result_size, token_count);
    memcpy(completion->body, call->result, result_size);
    memcpy(completion->body + VINE_RESULT_MAX - carried * sizeof *tokens, tokens,
           carried * sizeof *tokens);
}

/* Where the tasks of its procedure are counted; NULL: nowhere. */
static struct vine__tally *tally_of(const struct vine_call *call)
{
    struct vine_appliance *appliance = call->pipe->appliance;
    const uint32_t index = call->procedure - VINE_WIRE_PROCEDURES_FROM;

    if (VINE__UNLIKELY(call->definition == NULL))
        return NULL;
    if (VINE__UNLIKELY(appliance->tallies[index] == NULL))
        /* P5 pairs with P6. */
        vine__store_release_pointer((void **)&appliance->tallies[index],
                                    calloc(1, sizeof(struct vine__tally)));
    return appliance->tallies[index];
}

static void count_bytes(const struct vine_call *call, struct vine__tally *tally)
{
    struct vine__served *pipe = call->pipe;
    uint64_t in = 0;
    uint64_t out = 0;

    for (uint32_t i = 0; i < call->input_count; i++)
        in += call->inputs[i].size_bytes;
    for (uint32_t i = 0; i < call->output_count; i++)
        out += call->outputs[i].size_bytes;
    vine__count(&pipe->appliance->bytes_in, in);
    vine__count(&pipe->appliance->bytes_out, out);
    vine__count(&pipe->bytes_in, in);
    vine__count(&pipe->bytes_out, out);
    if (VINE__LIKELY(tally != NULL)) {
        vine__count(&tally->bytes_in, in);
        vine__count(&tally->bytes_out, out);
    }
}

static void count_end(const struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    struct vine__tally *tally = tally_of(call);
    const bool is_done = call->status == 0;

    vine__count(is_done ? &pipe->appliance->tasks_done : &pipe->appliance->tasks_failed, 1);
    vine__count(is_done ? &pipe->tasks_done : &pipe->tasks_failed, 1);
    if (is_done && (call->input_count | call->output_count) != 0)
        count_bytes(call, tally);
    if (VINE__UNLIKELY(tally == NULL))
        return;
    vine__count(is_done ? &tally->tasks_done : &tally->tasks_failed, 1);
    if (VINE__UNLIKELY(call->status == -VINE_EDEADLINE))
        vine__count(&tally->tasks_late, 1);
    if (VINE__LIKELY(call->end_ticks != call->start_ticks)) { /* it has run */
        vine__tally_record(&tally->queued, vine__elapsed(call->seen_ticks, call->start_ticks));
        vine__tally_record(&tally->run, vine__elapsed(call->start_ticks, call->end_ticks));
    }
}

void vine__served_complete(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    struct vine__served_channel *channel = pipe->channels[call->channel];

    if (VINE__UNLIKELY(call->is_late) && call->status == -VINE_ECANCELED)
        call->status = -VINE_EDEADLINE;
    if (VINE__UNLIKELY(call->is_given_up) && call->status == -VINE_ECANCELED) {
        call->status = -VINE_EPEERLOST;
        vine_call_reason(call, "another appliance takes over, and it had not ended in time");
    }
    release_inputs(call);
    if (VINE__UNLIKELY(call->is_charged))
        vine__quota_give(&pipe->quota, pipe->appliance->executor->bytes);
    if (VINE__UNLIKELY(call->is_executed))
        vine__quota_give(&pipe->quota, call->executed.charged);
    if (pipe->state == VINE__SERVED_OPEN)
        write_completion(call, channel);
    else
        drop_outputs(call);
    /* What a pipe asks of the appliance is nobody's work. */
    if (!call->is_builtin)
        count_end(call);
    if (call->session != NULL)
        vine__session_job_ended(pipe, call);
    if (call->is_listed)
        vine__job_forget(call);
    give_up(call);
}

void vine__served_give_back(struct vine_call *call)
{
    release_inputs(call);
    drop_outputs(call);
    give_up(call);
}

void vine__served_tell_long_run(const struct vine_call *call)
{
    struct vine_appliance *appliance = call->pipe->appliance;
    struct vine__tally *tally = call->is_builtin ? NULL : tally_of(call);
    const uint64_t run_ns = vine__clock_ticks_to_ns(call->end_ticks - call->start_ticks);

    if (call->is_builtin || call->is_executed)
        return;
    if (tally != NULL)
        vine__count(&tally->runs_long, 1);
    /* A line a second at most. */
    if (appliance->told_ticks != 0 && vine__elapsed(appliance->told_ticks, call->end_ticks) <
                                          vine__clock_ns_to_ticks(VINE_NS_PER_SECOND))
        return;
    appliance->told_ticks = call->end_ticks;
    vine__appliance_log(appliance, VINE_LOG_WARNING,
                        "procedure %s held the loop for %llu us, in a task of pipe %llu (%s)",
                        call->definition->name, (unsigned long long)(run_ns / 1000),
                        (unsigned long long)call->pipe->number, call->pipe->agreement.peer_name);
}
