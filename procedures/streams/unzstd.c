/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of frames, decompressed by Zstandard. */
#include <errno.h>

#include <vine/error.h>

#include "../unzstd_frames.h"
#include "streams_internal.h"

struct unzstd_stream {
    struct vine__unzstd frames;
    uint64_t charged; /* of their memory */
};

static uint64_t unzstd_charge(const void *argument)
{
    (void)argument;
    return ZSTD_estimateDCtxSize();
}

static int unzstd_begin(void *state, const void *argument)
{
    struct unzstd_stream *const stream = state;
    const int error = vine__unzstd_take_context(&stream->frames, ZSTD_createDCtx());

    (void)argument;
    stream->charged = unzstd_charge(NULL);
    if (error < 0)
        (void)ZSTD_freeDCtx(stream->frames.context);
    return error;
}

static int unzstd_step(void *state, struct vine_filter_step *step)
{
    struct unzstd_stream *const stream = state;
    struct vine__expand_input input = {step->input, step->input_bytes, 0};
    struct vine__expand_output output = {step->output, step->room, 0};
    int result = vine__unzstd_go(&stream->frames, &input, &output, stream->charged);

    step->taken = input.position;
    step->written = output.made;
    if (result == VINE__EXPAND_NEEDS) {
        step->more_memory = stream->frames.memory - stream->charged;
        stream->charged = stream->frames.memory;
    }
    if (result == VINE__EXPAND_ENOUGH && step->is_last)
        result = vine__unzstd_finish(&stream->frames);
    if (result < 0)
        step->reason = stream->frames.reason;
    return result <= 0 ? result : VINE_FILTER_MORE;
}

static void unzstd_end(void *state)
{
    (void)ZSTD_freeDCtx(((struct unzstd_stream *)state)->frames.context);
}

const struct vine_filter_type vine__filter_unzstd = {
    .size_bytes = sizeof vine__filter_unzstd,
    .state_bytes = sizeof(struct unzstd_stream),
    .charge = unzstd_charge,
    .begin = unzstd_begin,
    .step = unzstd_step,
    .end = unzstd_end,
};

VINE_COROUTINE(vine__stream_unzstd)
{
    struct {
        struct vine__through through;
    } *self;

    vine_begin();
    self->through.type = &vine__filter_unzstd;
    self->through.level = 0;
    vine_call(vine__through, &self->through);
    vine_end();
}
