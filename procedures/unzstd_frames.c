/* SPDX-License-Identifier: Apache-2.0 */
#include "unzstd_frames.h"

#include <zstd_errors.h>

#include <errno.h>
#include <stdio.h>

#include <vine/error.h>

#include "shipped_internal.h"

#define MAGIC_BYTES    4
#define WINDOW_LOG_MAX 27

VINE_STATIC_ASSERT(1ULL << WINDOW_LOG_MAX == VINE__UNZSTD_WINDOW_MAX, "they say the same");

static uint32_t magic_of(const uint8_t *bytes)
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

bool vine__unzstd_is_skippable(const uint8_t *bytes)
{
    return (magic_of(bytes) & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

bool vine__unzstd_begins(const uint8_t *bytes)
{
    return magic_of(bytes) == ZSTD_MAGICNUMBER || vine__unzstd_is_skippable(bytes);
}

int vine__unzstd_take_context(struct vine__unzstd *frames, ZSTD_DCtx *context)
{
    frames->context = context;
    return context == NULL || ZSTD_isError(ZSTD_DCtx_setParameter(context, ZSTD_d_windowLogMax,
                                                                  WINDOW_LOG_MAX))
               ? -ENOMEM
               : 0;
}

/* ---- what is wrong --------------------------------------------------------------------------- */

static int no_frame(struct vine__unzstd *frames)
{
    (void)snprintf(frames->reason, sizeof frames->reason, "no frame begins at byte %llu",
                   (unsigned long long)frames->begun);
    return -VINE_EDATA;
}

static int wrong(struct vine__unzstd *frames, size_t result)
{
    (void)snprintf(frames->reason, sizeof frames->reason,
                   "in the frame that begins at byte %llu: %s", (unsigned long long)frames->begun,
                   ZSTD_getErrorName(result));
    return ZSTD_getErrorCode(result) == ZSTD_error_memory_allocation ? -ENOMEM : -VINE_EDATA;
}

/* ---- a header -------------------------------------------------------------------------------- */

/* Returns 0 or an error. */
static int see_window(struct vine__unzstd *frames, const ZSTD_frameHeader *header)
{
    uint64_t memory;

    if (header->frameType == ZSTD_skippableFrame)
        return 0;
    if (header->windowSize > VINE__UNZSTD_WINDOW_MAX) {
        (void)snprintf(
            frames->reason, sizeof frames->reason,
            "the frame that begins at byte %llu has a window of %llu bytes, of at most %llu",
            (unsigned long long)frames->begun, header->windowSize, VINE__UNZSTD_WINDOW_MAX);
        return -VINE_EDATA;
    }
    memory = ZSTD_estimateDStreamSize((size_t)header->windowSize);
    if (memory > frames->memory)
        frames->memory = memory;
    return 0;
}

static void collect(struct vine__unzstd *frames, struct vine__expand_input *input)
{
    if (frames->header_wanted == 0)
        frames->header_wanted = MAGIC_BYTES;
    while (frames->header_count < frames->header_wanted && input->position < input->size) {
        frames->header[frames->header_count++] = input->bytes[input->position++];
        frames->position++;
    }
}

/* Take bytes of the next frame's header. Returns 1: all of it is there; 0: not yet; or an error. */
static int take_header(struct vine__unzstd *frames, struct vine__expand_input *input)
{
    ZSTD_frameHeader header;

    if (frames->header_count == 0)
        frames->begun = frames->position;
    for (;;) {
        size_t wanted;

        collect(frames, input);
        if (frames->header_count < frames->header_wanted)
            return 0;
        if (!vine__unzstd_begins(frames->header))
            return no_frame(frames);
        wanted = ZSTD_getFrameHeader(&header, frames->header, frames->header_count);
        if (ZSTD_isError(wanted))
            return wrong(frames, wanted);
        if (wanted == 0)
            break;
        VINE_ASSERT(wanted > frames->header_count && wanted <= sizeof frames->header);
        frames->header_wanted = (uint8_t)wanted;
    }

    const int error = see_window(frames, &header);

    return error < 0 ? error : 1;
}

/* ---- going on -------------------------------------------------------------------------------- */

static int decode(struct vine__unzstd *frames, ZSTD_inBuffer *input, ZSTD_outBuffer *output)
{
    const size_t hint = ZSTD_decompressStream(frames->context, output, input);

    if (ZSTD_isError(hint))
        return wrong(frames, hint);
    frames->is_in_frame = hint > 0;
    frames->frames += hint == 0;
    return 0;
}

static int begin_frame(struct vine__unzstd *frames)
{
    ZSTD_inBuffer header = {frames->header, frames->header_count, 0};
    ZSTD_outBuffer nothing = {NULL, 0, 0};
    const int error = decode(frames, &header, &nothing);

    if (error == 0 && header.pos != header.size)
        return no_frame(frames);
    frames->header_count = 0;
    frames->header_wanted = 0;
    return error;
}

static int go_on(struct vine__unzstd *frames, struct vine__expand_input *input,
                 struct vine__expand_output *output)
{
    ZSTD_inBuffer from = {input->bytes, input->size, input->position};
    ZSTD_outBuffer to = {output->bytes, output->room, output->made};
    const int error = decode(frames, &from, &to);

    frames->position += from.pos - input->position;
    input->position = from.pos;
    output->made = to.pos;
    return error;
}

int vine__unzstd_go(struct vine__unzstd *frames, struct vine__expand_input *input,
                    struct vine__expand_output *output, uint64_t memory_max)
{
    for (;;) {
        int error;

        if (!frames->is_in_frame) {
            error = take_header(frames, input);
            if (error <= 0)
                return error;
            if (frames->memory > memory_max)
                return VINE__EXPAND_NEEDS;
            error = begin_frame(frames);
        } else {
            error = go_on(frames, input, output);
        }
        if (error < 0)
            return error;
        /* The decoder takes and gives all it can. */
        if (frames->is_in_frame && output->made == output->room)
            return VINE__EXPAND_FULL;
        if (frames->is_in_frame && input->position == input->size)
            return VINE__EXPAND_ENOUGH;
    }
}

bool vine__unzstd_is_whole(const struct vine__unzstd *frames)
{
    return !frames->is_in_frame && frames->header_count == 0 && frames->frames > 0;
}

int vine__unzstd_finish(struct vine__unzstd *frames)
{
    if (vine__unzstd_is_whole(frames))
        return 0;
    if (frames->position == 0)
        return no_frame(frames);
    (void)snprintf(frames->reason, sizeof frames->reason,
                   "the frame that begins at byte %llu has no end",
                   (unsigned long long)frames->begun);
    return -VINE_EDATA;
}
