/* SPDX-License-Identifier: Apache-2.0 */
/* One frame of a stream, by Zstandard. */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_estimateCStreamSize_usingCParams */
#include <zstd.h>
#include <zstd_errors.h>

#include <errno.h>

#include <vine/error.h>

#include "../procedures.h"
#include "streams_internal.h"

struct zstd_stream {
    ZSTD_CCtx *context;
};

static int zstd_level(const void *argument)
{
    return (int)*(const uint64_t *)argument;
}

static uint64_t zstd_charge(const void *argument)
{
    return ZSTD_estimateCStreamSize_usingCParams(
        ZSTD_getCParams(zstd_level(argument), ZSTD_CONTENTSIZE_UNKNOWN, 0));
}

static int zstd_begin(void *state, const void *argument)
{
    struct zstd_stream *const stream = state;
    ZSTD_CCtx *const context = ZSTD_createCCtx();

    if (context == NULL)
        return -ENOMEM;
    if (ZSTD_isError(
            ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, zstd_level(argument))) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1))) {
        (void)ZSTD_freeCCtx(context);
        return -VINE_EFAILED;
    }
    stream->context = context;
    return 0;
}

static int zstd_step(void *state, struct vine_filter_step *step)
{
    const struct zstd_stream *const stream = state;
    ZSTD_inBuffer input = {step->input, step->input_bytes, 0};
    ZSTD_outBuffer output = {step->output, step->room, 0};
    const size_t left = ZSTD_compressStream2(stream->context, &output, &input,
                                             step->is_last ? ZSTD_e_end : ZSTD_e_continue);

    if (ZSTD_isError(left))
        return ZSTD_getErrorCode(left) == ZSTD_error_memory_allocation ? -ENOMEM : -VINE_EFAILED;
    step->taken = input.pos;
    step->written = output.pos;
    if (step->is_last)
        return left > 0 ? VINE_FILTER_MORE : VINE_FILTER_ENOUGH;
    return input.pos < input.size || output.pos == output.size ? VINE_FILTER_MORE
                                                               : VINE_FILTER_ENOUGH;
}

static void zstd_end(void *state)
{
    (void)ZSTD_freeCCtx(((struct zstd_stream *)state)->context);
}

static const struct vine_filter_type zstd_filter = {
    .size_bytes = sizeof zstd_filter,
    .state_bytes = sizeof(struct zstd_stream),
    .charge = zstd_charge,
    .begin = zstd_begin,
    .step = zstd_step,
    .end = zstd_end,
};

VINE_COROUTINE(vine__stream_zstd)
{
    struct {
        struct vine_handled handled;
        struct vine__through through;
    } *self;

    vine_begin();
    vine_handled(&self->handled);
    self->through.type = &zstd_filter;
    self->through.level = vine__through_level(&self->handled, VINE_ZSTD_LEVEL_DEFAULT);
    vine_call(vine__through, &self->through);
    vine_end();
}
