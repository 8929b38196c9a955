/* SPDX-License-Identifier: Apache-2.0 */
/* Between the loop and who runs coroutine procedures: tasks are handed over, read, and ended. */
#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "utils/assert.h"
#include "utils/bits.h"
#include "utils/container_of.h"

void vine__appliance_set_executor(struct vine_appliance *appliance,
                                  const struct vine__executor *executor, void *context)
{
    VINE_ASSERT(appliance->magic == VINE__APPLIANCE_MAGIC && appliance->executor == NULL);
    appliance->executor = executor;
    appliance->executor_context = context;
}

/* ---- what it brings and has room for --------------------------------------------------------- */

/* What travelled with the task behind its scalars. */
static const unsigned char *free_bytes(const struct vine_call *call, uint64_t *ret_size)
{
    uint64_t at = 0;

    for (uint32_t i = 0; i < call->definition->argument_count; i++)
        at += call->definition->arguments[i].kind == VINE_SCALAR ? sizeof(uint64_t) : 0;
    at = vine__min_u64(at, call->bytes_size);
    *ret_size = call->bytes_size - at;
    return call->bytes + at;
}

static uint64_t input_size(const struct vine_call *call)
{
    uint64_t size;

    (void)free_bytes(call, &size);
    for (uint32_t i = 0; i < call->input_count; i++)
        size += call->inputs[i].size_bytes;
    return size;
}

/* How much its result may be, where it has no output; else 0. */
static uint64_t result_room(const struct vine_call *call)
{
    uint64_t room = 0;

    for (uint32_t i = 0; i < call->definition->argument_count; i++) {
        if (call->definition->arguments[i].kind == VINE_OUTPUT)
            return 0;
        if (call->definition->arguments[i].kind == VINE_RESULT)
            room = call->definition->arguments[i].max;
    }
    return room;
}

static uint64_t room(const struct vine_call *call)
{
    uint64_t bytes = result_room(call);

    for (uint32_t i = 0; i < call->output_count; i++)
        bytes += call->outputs[i].room_bytes;
    return bytes;
}

/* ---- the loop's side ------------------------------------------------------------------------- */

static void prepare(struct vine_call *call)
{
    call->start_ticks = vine__clock_ticks();
    call->is_executed = true;
    vine__served_began(call->pipe);
    call->executed = (struct vine__executed){.input_size = input_size(call), .room = room(call)};
    /* The result of a session is that of its last task, or of one that brings nothing: whoever
     * sends the pieces of a file one after the other hears of it at the end. */
    if (call->session != NULL && call->executed.input_size > 0 && !call->is_last &&
        result_room(call) > 0)
        call->executed.room = 0;
    vine__list_init(&call->executed.in);
    vine__list_init(&call->executed.out);
}

/* Returns whether it is paid for. */
static bool charge(struct vine_call *call)
{
    struct vine__served *pipe = call->pipe;
    const uint64_t bytes = pipe->appliance->executor->bytes;

    do
        call->is_charged = vine__quota_take(&pipe->quota, bytes) == 0;
    while (!call->is_charged && vine__executor_spare(pipe));
    return call->is_charged;
}

void vine__executor_begin(struct vine_call *call)
{
    const struct vine_appliance *appliance = call->pipe->appliance;
    struct vine__session *session = call->session;

    VINE_ASSERT(appliance->executor != NULL && !call->is_executed);
    prepare(call);
    if (vine__load_relaxed_u32(&call->canceled) != 0 ||
        (session != NULL && vine__session_is_over(session)))
        vine__call_end(call, -VINE_ECANCELED);
    else if (vine__is_late(call, call->start_ticks))
        vine__call_end(call, -VINE_EDEADLINE);
    else if (call->session == NULL && !charge(call))
        vine__call_end(call, -VINE_EQUOTA);
    else
        appliance->executor->begin(appliance->executor_context, call);
    if (session != NULL)
        vine__session_begun(session);
}

bool vine__executor_begin_now(struct vine_call *call)
{
    const struct vine_appliance *appliance = call->pipe->appliance;

    VINE_ASSERT(appliance->executor != NULL && !call->is_executed);
    if (appliance->executor->begin_now == NULL)
        return false;
    prepare(call);
    call->job_state = VINE__JOB_RUNNING;
    call->is_now = true;
    if (!appliance->executor->begin_now(appliance->executor_context, call))
        call->is_executed = false;
    call->is_now = false;
    return call->is_executed;
}

void vine__executor_leave(struct vine__served *pipe)
{
    const struct vine_appliance *appliance = pipe->appliance;

    if (pipe->kept != NULL)
        appliance->executor->pipe_ended(appliance->executor_context, pipe->kept);
}

bool vine__executor_spare(struct vine__served *pipe)
{
    const struct vine_appliance *appliance = pipe->appliance;

    return pipe->kept != NULL &&
           appliance->executor->spare(appliance->executor_context, pipe->kept);
}

void vine__executor_cancel(struct vine_call *call)
{
    const struct vine_appliance *appliance = call->pipe->appliance;

    if (!call->is_executed || call->job_state == VINE__JOB_ENDED || call->is_cancel_told)
        return;
    call->is_cancel_told = true;
    appliance->executor->cancel(appliance->executor_context, call);
}

/* ---- the executor's -------------------------------------------------------------------------- */

struct vine__served *vine__call_served(const struct vine_call *call)
{
    return call->pipe;
}

uint32_t vine__call_procedure(const struct vine_call *call)
{
    return call->procedure - VINE_WIRE_PROCEDURES_FROM;
}

void *vine__served_kept(const struct vine__served *pipe)
{
    return pipe->kept;
}

void vine__served_keep(struct vine__served *pipe, void *kept)
{
    VINE_ASSERT((pipe->kept == NULL) != (kept == NULL));
    pipe->kept = kept;
    if (kept == NULL)
        vine__served_end_if_over(pipe);
}

void vine__call_leave_charge(struct vine_call *call)
{
    VINE_ASSERT(call->is_charged);
    call->is_charged = false;
}

int vine__served_charge(struct vine__served *pipe, uint64_t bytes)
{
    return vine__quota_take(&pipe->quota, bytes);
}

void vine__served_uncharge(struct vine__served *pipe, uint64_t bytes)
{
    vine__quota_give(&pipe->quota, bytes);
}

struct vine__executed *vine__call_executed(struct vine_call *call)
{
    return &call->executed;
}

struct vine_call *vine__executed_call(struct vine__executed *executed)
{
    return VINE_CONTAINER_OF(executed, struct vine_call, executed);
}

struct vine__session *vine__call_session(const struct vine_call *call)
{
    return call->session;
}

int vine__executed_charge(struct vine__executed *executed, uint64_t bytes)
{
    const int error = vine__quota_take(&vine__executed_call(executed)->pipe->quota, bytes);

    executed->charged += error == 0 ? bytes : 0;
    return error;
}

uint32_t vine__call_scalars(const struct vine_call *call, uint64_t *ret_scalars)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < call->definition->argument_count; i++)
        count += call->definition->arguments[i].kind == VINE_SCALAR;
    count = (uint32_t)vine__min_u64(count, call->bytes_size / sizeof(uint64_t));
    memcpy(ret_scalars, call->bytes, count * sizeof(uint64_t));
    return count;
}

/* One of several pieces that follow each other, of which those before `*offset` are passed over.
 * Returns how much of it comes next, from `*ret_at` on. */
static size_t overlap(uint64_t *offset, uint64_t piece_size, size_t wanted, uint64_t *ret_at)
{
    if (*offset >= piece_size) {
        *offset -= piece_size;
        return 0;
    }
    *ret_at = *offset;
    *offset = 0;
    return (size_t)vine__min_u64(piece_size - *ret_at, wanted);
}

void vine__call_input_copy(const struct vine_call *call, uint64_t offset, void *to, size_t size)
{
    unsigned char *next = to;
    uint64_t piece_size;
    uint64_t at = 0;
    const unsigned char *piece = free_bytes(call, &piece_size);
    size_t part = overlap(&offset, piece_size, size, &at);

    for (uint32_t i = 0;; i++) {
        if (part > 0)
            memcpy(next, piece + at, part);
        next += part;
        size -= part;
        if (size == 0)
            return;
        VINE_ASSERT(i < call->input_count);
        piece = call->inputs[i].memory;
        part = overlap(&offset, call->inputs[i].size_bytes, size, &at);
    }
}

void vine__call_output_copy(struct vine_call *call, uint64_t offset, const void *from, size_t size)
{
    const unsigned char *next = from;
    uint64_t at = 0;

    if (result_room(call) > 0) {
        VINE_ASSERT(offset + size <= sizeof call->result);
        memcpy(call->result + offset, from, size);
        call->result_size = (uint32_t)(offset + size);
        return;
    }
    for (uint32_t i = 0; size > 0; i++) {
        VINE_ASSERT(i < call->output_count);

        struct vine__call_output *output = &call->outputs[i];
        const size_t part = overlap(&offset, output->room_bytes, size, &at);

        if (part == 0)
            continue;
        memcpy((unsigned char *)output->memory + at, next, part);
        output->size_bytes = at + part;
        next += part;
        size -= part;
    }
}

void vine__call_end(struct vine_call *call, int status)
{
    struct vine_appliance *appliance = call->pipe->appliance;

    VINE_ASSERT(call->is_executed && status <= 0);
    call->status = status;
    call->end_ticks = vine__clock_ticks();
    if (VINE__LIKELY(call->is_now)) {
        VINE_ASSERT(call->job_state == VINE__JOB_RUNNING);
        call->job_state = VINE__JOB_ENDED; /* by who has it begin now */
        return;
    }
    pthread_mutex_lock(&appliance->common->jobs_lock);
    VINE_ASSERT(call->job_state == VINE__JOB_RUNNING);
    vine__job_end_locked(call);
    pthread_mutex_unlock(&appliance->common->jobs_lock);
}
