/* SPDX-License-Identifier: Apache-2.0 */
/* From the submission ring to the completion ring, on the loop. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "core/talk/served_internal.h"
#include "utils/assert.h"
#include "utils/hostile.h"

/* Submissions taken from one channel before the next one's turn. What ends a visit to a pipe is the
 * loop's to say. */
#define BURST 32

/* Longer than this, and completions before it are not kept waiting. */
#define SHORT_TICKS 4000

/* In units of 16 ns, as durations cross. */
static uint32_t duration(const struct vine_appliance *appliance, uint64_t from_ticks,
                         uint64_t to_ticks)
{
    const uint64_t ticks = vine__elapsed(from_ticks, to_ticks);

    return VINE__LIKELY(ticks < appliance->longest_ticks)
               ? (uint32_t)(ticks * appliance->units_a_tick >> 32)
               : UINT32_MAX;
}

static struct vine_wire_completion *next_completion(struct vine__served_channel *channel)
{
    struct vine_slot *slot = vine__spsc_slot_at(&channel->completions, channel->unpublished++);

    return (struct vine_wire_completion *)(void *)slot->payload;
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
    struct vine_wire_completion *completion = next_completion(channel);
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

static const struct vine_procedure_definition *find_definition(struct vine_appliance *appliance,
                                                               uint16_t procedure)
{
    if (procedure < VINE_WIRE_PROCEDURES_FROM)
        return vine__builtin_definition(procedure);

    const uint32_t index = procedure - VINE_WIRE_PROCEDURES_FROM;

    /* P2 pairs with P1. */
    if (VINE__HOSTILE(index >= vine__load_acquire_u32(&appliance->common->procedure_count)))
        return NULL;
    return vine__procedure_at(appliance, index);
}

/* Which tasks this one has to stay behind, and whether it is allowed at all. */
static int place(struct vine_call *call, const struct vine_wire_submission *submission)
{
    struct vine__served *pipe = call->pipe;
    const struct vine_appliance_options *options = &pipe->appliance->options;

    if (submission->accelerator >= options->accelerators_max ||
        !pipe->accelerators[submission->accelerator].is_used)
        return VINE_EACCELERATOR;
    call->lane = pipe->accelerators[submission->accelerator].is_ordered
                     ? &pipe->channels[call->channel]->lanes[submission->accelerator]
                     : NULL;
    call->session = NULL;
    if (submission->session == 0)
        return 0;
    if (call->definition->state_bytes == 0 && !vine__has_streams(pipe->appliance, call->definition))
        return VINE_ESESSION;

    struct vine__session *session = NULL;
    const int error = vine__session_find_or_make(pipe, submission->session, submission->procedure,
                                                 call->definition, &session);

    if (error)
        return error;
    session->jobs++;
    call->session = session;
    call->lane = &session->lane;
    return 0;
}

static bool is_short(const struct vine_call *call)
{
    const struct vine_procedure_definition *definition = call->definition;
    uint64_t input_bytes = 0;

    if (call->has_after || (call->lane != NULL && !vine__lane_is_idle(call->lane)) ||
        vine__is_streamed(call))
        return false;
    if (definition->flags & VINE_PROCEDURE_SHORT)
        return true;
    if (definition->short_input_max == 0)
        return false;
    for (uint32_t i = 0; i < call->input_count; i++)
        input_bytes += call->inputs[i].size_bytes;
    return input_bytes <= definition->short_input_max;
}

/* Whether the loop runs it at once: then its copies are paid for. One whose copies find no room may
 * find it later, as a job. */
static bool may_run_now(struct vine_call *call)
{
    return is_short(call) && (call->input_count == 0 || vine__job_charge_copies(call) == 0);
}

/* It held the loop for longer than it may: nobody else was served. */
static __attribute__((noinline)) void tell_long_run(const struct vine_call *call)
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

/* It has run on the loop. What is complete does not wait for whatever comes after a long one. */
VINE__ALWAYS_INLINE void complete_now(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    struct vine__served_channel *channel = pipe->channels[call->channel];
    const bool was_long = call->end_ticks - call->start_ticks > SHORT_TICKS;

    pipe->seen_ticks = call->end_ticks;
    if (VINE__UNLIKELY(call->end_ticks - call->start_ticks > pipe->appliance->dispatch_ticks))
        tell_long_run(call);
    vine__served_complete(call);
    if (was_long)
        vine__served_flush(channel);
}

/* Run it on the loop. */
static void run_now(struct vine_call *call, uint16_t procedure)
{
    struct vine__served *pipe = call->pipe;

    if (call->is_builtin) {
        call->status = vine__builtin_run(call, procedure);
        call->end_ticks = vine__clock_ticks();
    } else {
        vine__job_run(call, &pipe->appliance->scratch);
        if (VINE__UNLIKELY(call->copied_bytes > 0))
            vine__job_give_copies(call);
    }
    complete_now(call);
}

/* Whether one for the executor may begin at once: nothing stands in front of it, and should it go
 * on for longer, the table of jobs is there. */
static bool may_begin_now(const struct vine_call *call)
{
    return vine__is_streamed(call) && !call->has_after &&
           (call->lane == NULL || vine__lane_is_idle(call->lane)) &&
           call->pipe->channels[call->channel]->jobs.slots != NULL;
}

/* It has begun, before it was a job: mostly it has ended, too. Returns 0 or a negative error. */
static int take_begun(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;

    if (call->job_state != VINE__JOB_ENDED) {
        pipe->seen_ticks = vine__clock_ticks();

        const int error = vine__job_submit_begun(call);

        if (!error && VINE__UNLIKELY(call->deadline_ticks != 0))
            vine__deadline_watch(call);
        return error;
    }
    complete_now(call);
    return 0;
}

/* A record for a task, or NULL. */
static struct vine_call *take_call(struct vine__served *pipe)
{
    const uint64_t bytes = VINE__OPS_A_SLAB * sizeof(struct vine_call);
    const bool is_full = pipe->jobs_taken == pipe->jobs.count;
    struct vine__op *operation;

    if (is_full && vine__quota_take(&pipe->quota, bytes) != 0)
        return NULL;
    operation = vine__op_take(&pipe->jobs);
    if (operation == NULL && is_full)
        vine__quota_give(&pipe->quota, bytes);
    return (struct vine_call *)(void *)operation;
}

/* End a task of which there is not even a record. */
static int refuse(struct vine__served_channel *channel,
                  const struct vine_wire_submission *submission, uint16_t error)
{
    struct vine_wire_completion *completion = next_completion(channel);

    *completion = (struct vine_wire_completion){
        .operation = submission->operation, .kind = VINE_WIRE_TASK, .status = error};
    return 0;
}

/* The record of a task that has come, or NULL. */
static struct vine_call *begin(struct vine__served *pipe, uint32_t channel_index,
                               const struct vine_wire_submission *submission, uint64_t now_ticks)
{
    struct vine_call *call = take_call(pipe);

    if (call == NULL)
        return NULL;
    pipe->channels[channel_index]->in_flight++;
    vine__store_relaxed_u32(&pipe->jobs_taken, pipe->jobs_taken + 1);
    call->pipe = pipe;
    call->session = NULL;
    call->lane = NULL;
    call->is_listed = false;
    call->has_parcel = false;
    call->is_executed = false;
    call->is_charged = false;
    call->is_cancel_told = false;
    call->wire_operation = submission->operation;
    call->channel = channel_index;
    call->procedure = submission->procedure;
    call->is_last = (submission->kind & VINE_WIRE_SESSION_LAST) != 0;
    call->canceled = 0;
    call->status = 0;
    call->has_after = false;
    call->bytes = call->inline_bytes;
    call->bytes_size = 0;
    call->input_count = 0;
    call->output_count = 0;
    call->result_size = 0;
    call->reason = NULL;
    call->deadline_ticks = 0;
    call->is_late = false;
    call->seen_ticks = call->start_ticks = call->end_ticks = now_ticks;
    call->definition = find_definition(pipe->appliance, submission->procedure);
    call->is_builtin = submission->procedure < VINE_WIRE_PROCEDURES_FROM;
    return call;
}

/* Whether it may run, with all that it needs. Returns as vine__served_decode. */
static int admit(struct vine_call *call, const struct vine_wire_submission *submission)
{
    int error = 0;

    if (call->definition == NULL)
        return VINE_EPROCEDURE;
    if (call->pipe->appliance->is_draining)
        return VINE_EDRAINING;
    if (submission->session != 0)
        call->definition = vine__session_definition(call->pipe, submission->session,
                                                    submission->procedure, call->definition);
    /* There is little to decode where nothing is given and nothing is wanted. */
    if ((submission->shape | call->definition->argument_count) != 0)
        error = vine__served_decode(call, submission);
    return error ? error : place(call, submission);
}

static int take_task(struct vine__served *pipe, uint32_t channel_index,
                     const struct vine_wire_submission *submission, uint64_t now_ticks)
{
    struct vine__served_channel *channel = pipe->channels[channel_index];
    struct vine_call *call;
    int error;

    if (VINE__HOSTILE(channel->in_flight >= pipe->agreement.tasks_max)) {
        vine__why_say(&pipe->why,
                      "more tasks in flight on channel %u than the %u that were granted",
                      channel_index, pipe->agreement.tasks_max);
        return -VINE_EPROTOCOL;
    }
    call = begin(pipe, channel_index, submission, now_ticks);
    if (call == NULL)
        return refuse(channel, submission, VINE_EQUOTA);
    error = admit(call, submission);
    if (VINE__UNLIKELY(error == VINE_EQUOTA) && vine__executor_spare(pipe)) {
        pipe->changes++; /* there may be memory for it now */
        error = VINE__HELD;
    }
    if (error == VINE__HELD) {
        release_inputs(call);
        drop_outputs(call);
        give_up(call);
        return error;
    }
    if (!error && VINE__UNLIKELY(call->deadline_ticks != 0) &&
        vine__is_late(call, vine__clock_ticks()))
        error = VINE_EDEADLINE;
    if (!error && !call->is_builtin && !may_run_now(call)) {
        if (may_begin_now(call) && vine__executor_begin_now(call))
            return take_begun(call);
        error = vine__job_submit(call);
        if (!error && VINE__UNLIKELY(call->deadline_ticks != 0))
            vine__deadline_watch(call);
        if (!error)
            return 0;
    }
    if (error) {
        call->status = error < 0 ? error : -error;
        vine__served_complete(call);
        return error < 0 ? error : 0;
    }
    run_now(call, submission->procedure);
    return 0;
}

static int take_release(struct vine__served *pipe, const struct vine_wire_submission *submission)
{
    const uint32_t count = VINE_WIRE_SHAPE_TOKENS(submission->shape);

    if (VINE__HOSTILE(count == 0 || count == VINE_WIRE_DESCRIPTOR)) {
        vine__why_say(&pipe->why, "a release message of shape %u", submission->shape);
        return -VINE_EPROTOCOL;
    }
    for (uint32_t i = 0; i < count; i++) {
        struct vine_token token;

        memcpy(&token, submission->body + VINE_WIRE_BODY_BYTES - (count - i) * sizeof token,
               sizeof token);
        token.type &= VINE_WIRE_TYPE_MASK;
        if (vine_box_free(pipe->half.book, &token) != 0) {
            vine__why_say(&pipe->why,
                          "a release of what is no result: extent %u, offset %u, generation %u",
                          token.extent, token.offset_units, token.generation);
            return -VINE_ETOKEN;
        }
    }
    return 0;
}

static int take(struct vine__served *pipe, uint32_t channel_index,
                const struct vine_wire_submission *submission, uint64_t now_ticks)
{
    switch (submission->kind & VINE_WIRE_KIND_MASK) {
    case VINE_WIRE_TASK:
        return take_task(pipe, channel_index, submission, now_ticks);
    case VINE_WIRE_RELEASE:
        return take_release(pipe, submission);
    case VINE_WIRE_CANCEL: {
        uint32_t channel;

        memcpy(&channel, submission->body, sizeof channel);
        vine__job_cancel(pipe, channel, submission->operation);
        return 0;
    }
    case VINE_WIRE_SESSION_END:
        vine__session_end(pipe, submission->session);
        pipe->seen_ticks = vine__clock_ticks(); /* what procedures do at an end may take long */
        return 0;
    default:
        vine__why_say(&pipe->why, "a submission of the unknown kind %u", submission->kind);
        return -VINE_EPROTOCOL;
    }
}

/* Each has a slot for its completion, and a record. */
int vine__served_room(struct vine__served *pipe, struct vine__served_channel *channel, int wanted)
{
    const int owed = (int)(channel->in_flight + channel->unpublished);
    const int jobs = (int)(pipe->jobs.count_max - pipe->jobs_taken);
    const int room = vine__spsc_reserve(&channel->completions, (uint32_t)(owed + wanted));

    if (room < 0) {
        vine__why_say(&pipe->why, "an impossible position of the completions' consumer");
        return room;
    }
    if (room <= owed)
        return 0;
    return room - owed < jobs ? room - owed : jobs;
}

/* The next submission, as a private copy: one that was held, if it may go on, or one from the
 * ring. */
static int next_submission(struct vine__served *pipe, uint32_t index,
                           struct vine_wire_submission *ret_submission)
{
    struct vine__served_channel *channel = pipe->channels[index];

    if (VINE__UNLIKELY(channel->is_held)) {
        if (channel->held_at == pipe->changes)
            return -EAGAIN;
        *ret_submission = channel->held;
        return 0;
    }

    const int error = vine__spsc_pop(&channel->submissions, ret_submission);

    if (VINE__UNLIKELY(error == -VINE_ECORRUPT))
        vine__why_say(&pipe->why, "an impossible sequence number in the submissions of channel %u",
                      index);
    return error;
}

/* Whether the visit that began at `start_ticks` has taken its share. What ran on the loop told the
 * time; the rest is little, and counted by the submissions. */
static bool is_visit_over(const struct vine__served *pipe, uint64_t start_ticks, int taken)
{
    return taken >= pipe->visit_max ||
           vine__elapsed(start_ticks, pipe->seen_ticks) > pipe->visit_ticks;
}

/* Returns how many were taken before and now. */
static int poll_channel(struct vine__served *pipe, uint32_t index, uint64_t start_ticks, int taken)
{
    struct vine__served_channel *channel = pipe->channels[index];
    struct vine_wire_submission submission;
    int room = vine__served_room(pipe, channel, BURST);

    /* Without room, the application owes us some. */
    for (; room > 0 && !is_visit_over(pipe, start_ticks, taken); room--) {
        const uint32_t changes = pipe->changes;
        /* One that was held is as old as it is. */
        const uint64_t seen_ticks = channel->is_held ? channel->held_ticks : start_ticks;
        int error = next_submission(pipe, index, &submission);

        if (error == -EAGAIN)
            break;
        if (!error)
            error = take(pipe, index, &submission, seen_ticks);
        channel->is_held = error == VINE__HELD;
        if (VINE__UNLIKELY(channel->is_held)) {
            /* To try costs what to take costs. */
            channel->held = submission;
            channel->held_at = changes;
            channel->held_ticks = seen_ticks;
            pipe->seen_ticks = vine__clock_ticks();
            taken++;
            break;
        }
        if (error)
            return error;
        pipe->changes++; /* others come after it */
        taken++;
    }
    vine__served_flush(channel);
    return room < 0 ? room : taken;
}

/* The first of these channels from `from` on, or of all. */
VINE__ALWAYS_INLINE uint32_t next_of(uint64_t channels, uint32_t from)
{
    const uint64_t further = from < 64 ? channels >> from << from : 0;

    return (uint32_t)__builtin_ctzll(further != 0 ? further : channels);
}

int vine__served_poll(struct vine__served *pipe, uint64_t now_ticks)
{
    int taken = 0;

    VINE_ASSERT_SLOW(pipe->magic == VINE__SERVED_MAGIC);
    pipe->seen_ticks = now_ticks;
    if (VINE__UNLIKELY(pipe->is_frozen))
        return 0;
    /* Relaxed: who opens them reads it again. */
    if (VINE__UNLIKELY(vine__load_relaxed_u32(&pipe->mirror.layout->board.channels.value) !=
                       pipe->channel_count)) {
        const uint32_t before = pipe->channel_count;
        const int error = vine__served_open_channels(pipe);

        if (error)
            return error;
        taken += (int)(pipe->channel_count - before);
        pipe->changes += pipe->channel_count - before;
    }
    /* W2 pairs with W1. */
    const uint64_t ready = vine__load_acquire_u64(&pipe->mirror.layout->board.channels.ready);

    if (VINE__UNLIKELY(ready != pipe->answered))
        vine__served_hear(pipe, ready);
    for (uint64_t left = pipe->listed; left != 0;) {
        const uint32_t index = next_of(left, pipe->next_channel);
        const int before = taken;

        left &= ~(UINT64_C(1) << index);
        taken = poll_channel(pipe, index, now_ticks, taken);
        if (taken < 0)
            return taken;
        if (taken > before)
            pipe->found |= UINT64_C(1) << index;
        pipe->next_channel = index + 1;
        if (is_visit_over(pipe, now_ticks, taken))
            break;
    }
    return taken;
}
