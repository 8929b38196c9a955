/* SPDX-License-Identifier: Apache-2.0 */
/* From the submission ring to a handler or a job, on the loop. */
#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/leave.h"
#include "core/talk/served_internal.h"
#include "utils/assert.h"
#include "utils/hostile.h"

/* Submissions taken from one channel before the next one's turn. What ends a visit to a pipe is the
 * loop's to say. */
#define BURST 32

/* Longer than this, and completions before it are not kept waiting. */
#define SHORT_TICKS 4000

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

    struct vine__session *session = NULL;
    const int error = vine__session_find_or_make(pipe, submission, call->definition, &session);

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

/* It has run on the loop. What is complete does not wait for whatever comes after a long one. */
VINE__ALWAYS_INLINE void complete_now(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    struct vine__served_channel *channel = pipe->channels[call->channel];
    const bool was_long = call->end_ticks - call->start_ticks > SHORT_TICKS;

    pipe->seen_ticks = call->end_ticks;
    if (VINE__UNLIKELY(call->end_ticks - call->start_ticks > pipe->appliance->dispatch_ticks))
        vine__served_tell_long_run(call);
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
    struct vine_wire_completion *completion = vine__served_next_completion(channel);

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
    call->is_given_up = false;
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
    if (VINE__UNLIKELY(call->pipe->sends_back) && !error &&
        vine__leave_is_for_next(call, submission))
        return VINE__SENT_BACK;
    return error ? error : place(call, submission);
}

/* It was not begun, and the application keeps it for the next appliance. */
static int send_back(struct vine_call *call, const struct vine_wire_submission *submission)
{
    struct vine__served *pipe = call->pipe;
    struct vine__served_channel *channel = pipe->channels[call->channel];

    vine__served_give_back(call);
    pipe->has_sent_back = true;
    *vine__served_next_completion(channel) = (struct vine_wire_completion){
        .operation = submission->operation, .kind = VINE_WIRE_SENT_BACK};
    return 0;
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
    if (call == NULL) {
        vine__session_refused(pipe, submission, VINE_EQUOTA);
        return refuse(channel, submission, VINE_EQUOTA);
    }
    error = admit(call, submission);
    if (VINE__UNLIKELY(error == VINE_EQUOTA) && vine__executor_spare(pipe)) {
        pipe->changes++; /* there may be memory for it now */
        error = VINE__HELD;
    }
    if (VINE__UNLIKELY(error == VINE__HELD) && channel->is_canceled)
        error = VINE_ECANCELED; /* it waits for nothing any more */
    if (error == VINE__HELD) {
        vine__served_give_back(call);
        return error;
    }
    if (VINE__UNLIKELY(error == VINE__SENT_BACK))
        return send_back(call, submission);
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
        if (call->session == NULL)
            vine__session_refused(pipe, submission, error);
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
    case VINE_WIRE_CANCEL:
        return vine__served_take_cancel(pipe, channel_index, submission);
    case VINE_WIRE_SESSION_END:
        vine__session_end(pipe, submission->session,
                          (submission->kind & VINE_WIRE_SESSION_CUT) != 0);
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

    const uint64_t position = channel->submissions.position;
    const int error = vine__spsc_pop(&channel->submissions, ret_submission);

    if (VINE__UNLIKELY(channel->mark_count != 0) && error == 0)
        channel->is_canceled = vine__served_take_mark(channel, position);
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
        if (VINE__UNLIKELY(channel->is_canceled)) {
            channel->is_canceled = false;
            (void)vine__job_cancel(pipe, index, submission.operation);
        }
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
        return vine__served_look_ahead(pipe);
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
