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
#define PLACE_BYTES(count) ((uint64_t)(count) * sizeof(struct place))

/* Of a procedure, those that rest, the last one first; and of that where its micro-process is, so
 * that all that a task touches is asked for at once. */
struct place {
    struct vine__stream *first; /* or NULL */
    struct vine__process_lines lines;
};

/* What a pipe has of them, since its first. */
struct vine__warm {
    struct vine__served *pipe;
    uint64_t executor_bytes; /* that each is paid for with */
    uint32_t stream_count;   /* and what is under way here */
    uint32_t resting_count;
    uint32_t place_count;
    struct place *places; /* by the number of their procedure */
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
    vine__closed_free(warm->places);
    vine__closed_free(warm);
    vine__served_keep(pipe, NULL);
}

/* Returns whether there is a place for this procedure. */
static bool have_place(struct vine__warm *warm, uint32_t procedure)
{
    const uint32_t count = (procedure / PLACES_AT_ONCE + 1) * PLACES_AT_ONCE;
    struct place *places, *old;

    if (procedure < warm->place_count)
        return true;
    if (vine__served_charge(warm->pipe, PLACE_BYTES(count - warm->place_count)) != 0)
        return false;
    places = vine__closed_alloc((size_t)PLACE_BYTES(count));
    if (places == NULL) {
        vine__served_uncharge(warm->pipe, PLACE_BYTES(count - warm->place_count));
        return false;
    }
    old = warm->places;
    for (uint32_t i = 0; i < warm->place_count; i++) {
        places[i] = old[i];
        if (places[i].first != NULL)
            places[i].first->link = &places[i].first;
    }
    vine__closed_free(old);
    warm->places = places;
    warm->place_count = count;
    return true;
}

/* ---- streams that rest ----------------------------------------------------------------------- */

static void put_to_rest(struct vine__stream *stream)
{
    struct place *const place = &stream->warm->places[stream->procedure];

    stream->next = place->first;
    if (stream->next != NULL)
        stream->next->link = &stream->next;
    stream->link = &place->first;
    place->first = stream;
    vine__process_lines(stream->held, &place->lines);
    stream->warm->resting_count++;
}

static void take_from_rest(struct vine__stream *stream)
{
    struct place *place;

    if (stream->link == NULL)
        return;
    place = &stream->warm->places[stream->procedure];
    *stream->link = stream->next;
    if (stream->next != NULL)
        stream->next->link = stream->link;
    if (stream->link == &place->first && place->first != NULL)
        vine__process_lines(place->first->held, &place->lines);
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

    VINE_ASSERT(stream->link == NULL);
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
    const struct place *place;
    struct vine__stream *stream;
    size_t size = 0;
    bool is_quick;

    if (warm == NULL || procedure >= warm->place_count || warm->places[procedure].first == NULL)
        return false;
    place = &warm->places[procedure];
    vine__process_fetch(&place->lines);
    stream = place->first;
    is_quick = vine__process_is_quick(stream->held);
    if (VINE__UNLIKELY(stream->definition != vine_call_definition(call) ||
                       (!is_quick && !vine__process_can_go_on(stream->held)))) {
        dismiss(stream);
        return false;
    }
    if (VINE__UNLIKELY(!vine__stream_renew(stream, call, &size)))
        return false;

    const bool is_end = size == 0 || vine__list_is_empty(&stream->inputs);

    if (VINE__LIKELY(is_quick)) {
        /* Meanwhile it stays where it is: mostly it rests there again. */
        if (vine__process_next(stream->held, stream->view, (uint32_t)size, is_end)) {
            vine__stream_rest(stream);
            return true;
        }
        take_from_rest(stream);
        vine__process_look(stream->held);
        return true;
    }
    take_from_rest(stream);
    vine__process_give(stream->held, stream->view, (uint32_t)size, is_end);
    return true;
}

void vine__warm_end(struct vine__warm *warm)
{
    warm->stream_count++; /* it stays until all are told */
    for (uint32_t i = 0; i < warm->place_count; i++)
        while (warm->places[i].first != NULL)
            dismiss(warm->places[i].first);
    warm->stream_count--;
    look_at(warm);
}

bool vine__warm_spare(struct vine__warm *warm)
{
    for (uint32_t i = 0; i < warm->place_count && warm->resting_count > 0; i++) {
        if (warm->places[i].first == NULL)
            continue;
        dismiss(warm->places[i].first);
        return true;
    }
    return false;
}
