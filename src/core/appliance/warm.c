/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/appliance/warm.c - micro-processes that take one task after another.
 *
 * One serves a single pipe and a single procedure as long as it lives, and never another
 * application. Between two tasks it rests, in its pipe's list of those of its procedure: the last
 * one that came to rest is the first one to have a task, so that those who are too many are idle
 * for long enough to be dismissed (core/process/rest.c).
 *
 *   resting_count = streams that are in one of the lists <= RESTING_MAX
 *   stream_count >= resting_count: each has the pipe's `bytes` of the executor
 */
#include <string.h>

#include <vine/appliance.h>
#include <vine/error.h>

#include "arch/guard/closed.h"
#include "core/appliance/stream_internal.h"
#include "utils/assert.h"

#define RESTING_MAX        256U /* of a pipe */
#define PLACES_AT_ONCE     16U
#define PLACE_BYTES(count) ((uint64_t)(count) * sizeof(struct vine__stream *))

/* What a pipe has of them, since its first. */
struct vine__warm {
    struct vine__served *pipe;
    uint64_t executor_bytes; /* that each is paid for with */
    uint32_t stream_count;   /* and what is under way here */
    uint32_t resting_count;
    uint32_t place_count;
    struct vine__stream **first; /* by the number of their procedure */
};

/* ---- a pipe's -------------------------------------------------------------------------------- */

/* Returns NULL: no memory. */
static struct vine__warm *warm_of(struct vine__served *pipe, uint64_t executor_bytes)
{
    struct vine__warm *warm = vine__served_kept(pipe);

    if (warm != NULL)
        return warm;
    warm = vine__closed_alloc(sizeof *warm);
    if (warm == NULL)
        return NULL;
    warm->pipe = pipe;
    warm->executor_bytes = executor_bytes;
    vine__served_keep(pipe, warm);
    return warm;
}

/* Perhaps nobody needs it any more. It may be gone then, and its pipe as well. */
static void look_at(struct vine__warm *warm)
{
    struct vine__served *const pipe = warm->pipe;

    if (warm->stream_count > 0)
        return;
    vine__served_uncharge(pipe, PLACE_BYTES(warm->place_count));
    vine__closed_free(warm->first);
    vine__closed_free(warm);
    vine__served_keep(pipe, NULL);
}

/* Returns whether there is a place for this procedure. */
static bool have_place(struct vine__warm *warm, uint32_t procedure)
{
    const uint32_t count = (procedure / PLACES_AT_ONCE + 1) * PLACES_AT_ONCE;
    struct vine__stream **first, **old;

    if (procedure < warm->place_count)
        return true;
    if (vine__served_charge(warm->pipe, PLACE_BYTES(count - warm->place_count)) != 0)
        return false;
    first = vine__closed_alloc((size_t)PLACE_BYTES(count));
    if (first == NULL) {
        vine__served_uncharge(warm->pipe, PLACE_BYTES(count - warm->place_count));
        return false;
    }
    old = warm->first;
    for (uint32_t i = 0; i < warm->place_count; i++) {
        first[i] = old[i];
        if (first[i] != NULL)
            first[i]->link = &first[i];
    }
    vine__closed_free(old);
    warm->first = first;
    warm->place_count = count;
    return true;
}

/* ---- streams that rest ----------------------------------------------------------------------- */

static void put_to_rest(struct vine__stream *stream)
{
    struct vine__stream **const link = &stream->warm->first[stream->procedure];

    stream->next = *link;
    if (stream->next != NULL)
        stream->next->link = &stream->next;
    stream->link = link;
    *link = stream;
    stream->warm->resting_count++;
}

static void take_from_rest(struct vine__stream *stream)
{
    if (stream->link == NULL)
        return;
    *stream->link = stream->next;
    if (stream->next != NULL)
        stream->next->link = stream->link;
    stream->next = NULL;
    stream->link = NULL;
    stream->warm->resting_count--;
}

/* Its first rest: what its task has paid for is its own from now on. */
static bool join(struct vine__stream *stream, struct vine_call *call)
{
    struct vine__warm *const warm =
        warm_of(vine__call_served(call), vine__coroutines_bytes(stream->core));

    if (warm == NULL)
        return false;
    warm->stream_count++;
    stream->procedure = vine__call_procedure(call);
    stream->definition = vine_call_definition(call);
    if (!have_place(warm, stream->procedure)) {
        warm->stream_count--;
        look_at(warm);
        return false;
    }
    stream->warm = warm;
    vine__call_leave_charge(call);
    return true;
}

bool vine__warm_rests(void *context)
{
    struct vine__stream *const stream = context;

    if (stream->only == NULL || stream->is_over || stream->is_cancelled || stream->has_overflown ||
        (stream->warm == NULL && !join(stream, vine__executed_call(stream->only))) ||
        stream->warm->resting_count == RESTING_MAX)
        return false;
    put_to_rest(stream);
    vine__stream_rest(stream);
    return true;
}

void vine__warm_dismissed(void *stream)
{
    take_from_rest(stream);
    vine__stream_end_soon(stream);
}

void vine__warm_leave(struct vine__stream *stream)
{
    struct vine__warm *const warm = stream->warm;

    if (warm == NULL)
        return;
    take_from_rest(stream);
    stream->warm = NULL;
    vine__served_uncharge(warm->pipe, warm->executor_bytes);
    warm->stream_count--;
    look_at(warm);
}

/* ---- tasks ----------------------------------------------------------------------------------- */

static void dismiss(struct vine__stream *stream)
{
    vine__warm_dismissed(stream);
    vine__process_dismiss(stream->held);
}

bool vine__warm_begin(struct vine_call *call)
{
    const struct vine__warm *const warm = vine__served_kept(vine__call_served(call));
    const uint32_t procedure = vine__call_procedure(call);
    struct vine__stream *stream;
    size_t size = 0;

    if (warm == NULL || procedure >= warm->place_count || warm->first[procedure] == NULL)
        return false;
    stream = warm->first[procedure];
    if (VINE__UNLIKELY(stream->definition != vine_call_definition(call) ||
                       !vine__process_can_go_on(stream->held))) {
        dismiss(stream);
        return false;
    }
    if (VINE__UNLIKELY(!vine__stream_renew(stream, call, &size)))
        return false;
    take_from_rest(stream);
    vine__process_give(stream->held, stream->view, (uint32_t)size,
                       vine__list_is_empty(&stream->inputs));
    return true;
}

void vine__warm_end(struct vine__warm *warm)
{
    warm->stream_count++; /* it stays until all are told */
    for (uint32_t i = 0; i < warm->place_count; i++)
        while (warm->first[i] != NULL)
            dismiss(warm->first[i]);
    warm->stream_count--;
    look_at(warm);
}

bool vine__warm_spare(struct vine__warm *warm)
{
    for (uint32_t i = 0; i < warm->place_count && warm->resting_count > 0; i++) {
        if (warm->first[i] == NULL)
            continue;
        dismiss(warm->first[i]);
        return true;
    }
    return false;
}
