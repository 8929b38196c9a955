/* SPDX-License-Identifier: Apache-2.0 */
/*
 * One member of a stream, by isa-l. Input is gathered into slices of 1 MiB, of which each is
 * compressed by itself; what that gives waits until it was taken.
 */
#include <string.h>

#include <vine/error.h>

#include "../gzip_member.h"
#include "../procedures.h"
#include "streams_internal.h"

#include "utils/bits.h"

#define SLICE_BYTES (1U << 20)
#define MADE_BYTES  (VINE_GZIP_ROOM(SLICE_BYTES) + 32) /* with header and trailer */

struct gzip_stream {
    struct vine__gzip_scratch scratch;
    struct vine__gzip_member member;
    uint32_t level;
    bool is_finished;
    size_t gathered;
    size_t given; /* of what was made: */
    struct vine__gzip_output made;
    uint8_t slice[SLICE_BYTES];
    uint8_t bytes[MADE_BYTES];
};

static struct gzip_stream *gzip_of(void *state)
{
    return VINE_STATE(struct gzip_stream, state);
}

static int gzip_begin(void *state, const void *argument)
{
    struct gzip_stream *const stream = gzip_of(state);

    stream->level = (uint32_t) * (const uint64_t *)argument;
    stream->made = (struct vine__gzip_output){.bytes = stream->bytes, .room = sizeof stream->bytes};
    return vine__gzip_begin(&stream->member, &stream->made);
}

static void gather(struct gzip_stream *stream, struct vine_filter_step *step)
{
    const size_t part =
        (size_t)vine__min_u64(step->input_bytes - step->taken, SLICE_BYTES - stream->gathered);

    memcpy(stream->slice + stream->gathered, step->input + step->taken, part);
    stream->gathered += part;
    step->taken += part;
}

/* All that was made before is taken. */
static int make(struct gzip_stream *stream, bool is_end)
{
    int error = 0;

    stream->made.size = 0;
    stream->given = 0;
    if (stream->gathered > 0)
        error = vine__gzip_slice(&stream->scratch, stream->level, stream->slice, stream->gathered,
                                 &stream->made);
    vine__gzip_count(&stream->member, stream->slice, stream->gathered);
    stream->gathered = 0;
    if (error == 0 && is_end)
        error = vine__gzip_finish(&stream->member, &stream->made);
    stream->is_finished = is_end;
    return error;
}

static void give(struct gzip_stream *stream, struct vine_filter_step *step)
{
    const size_t part =
        (size_t)vine__min_u64(stream->made.size - stream->given, step->room - step->written);

    memcpy(step->output + step->written, stream->bytes + stream->given, part);
    stream->given += part;
    step->written += part;
}

static int gzip_step(void *state, struct vine_filter_step *step)
{
    struct gzip_stream *const stream = gzip_of(state);

    gather(stream, step);
    give(stream, step);
    if (stream->given < stream->made.size)
        return VINE_FILTER_MORE;

    const bool is_end = step->is_last && step->taken == step->input_bytes;

    if (!stream->is_finished && (stream->gathered == SLICE_BYTES || is_end)) {
        const int error = make(stream, is_end && stream->gathered < SLICE_BYTES);

        if (error != 0)
            return error;
        give(stream, step);
    }
    return stream->given < stream->made.size || step->taken < step->input_bytes ||
                   (is_end && !stream->is_finished)
               ? VINE_FILTER_MORE
               : VINE_FILTER_ENOUGH;
}

static const struct vine_filter_type gzip_filter = {
    .size_bytes = sizeof gzip_filter,
    .state_bytes = VINE_STATE_BYTES(struct gzip_stream),
    .begin = gzip_begin,
    .step = gzip_step,
};

VINE_COROUTINE(vine__stream_gzip)
{
    struct {
        struct vine_handled handled;
        struct vine__through through;
    } *self;

    vine_begin();
    vine_handled(&self->handled);
    self->through.type = &gzip_filter;
    self->through.level = vine__through_level(&self->handled, VINE_GZIP_LEVEL_DEFAULT);
    vine_call(vine__through, &self->through);
    vine_end();
}
