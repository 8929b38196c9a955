/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/unzstd.c - decompress Zstandard: frames one after the other, skippable ones too.
 *
 * Copied: the decoder checks what it reads and reads it again.
 *
 * Bounds: a frame's output never exceeds the room of its task, so a bomb only fills what its sender
 * paid for. A session's window is allocated when a frame asks for it, from the pipe's quota.
 */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_createDCtx_advanced */
#include <zstd.h>
#include <zstd_errors.h>

#include <errno.h>
#include <pthread.h>

#include <vine/error.h>

#include "charged.h"
#include "shipped_internal.h"
#include "unzstd_frames.h"

#include "utils/bits.h"

#define UNZSTD_MAGIC_BYTES 4

enum {
    UNZSTD_INPUT,
    UNZSTD_OUTPUT,
    UNZSTD_PROGRESS,
};

static const struct vine_argument unzstd_arguments[] = {
    [UNZSTD_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [UNZSTD_OUTPUT] = {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [UNZSTD_PROGRESS] = {"progress", VINE_RESULT, 0, sizeof(struct vine_expand_result),
                         sizeof(struct vine_expand_result)},
};

struct unzstd_state {
    struct vine__charged memory;
    struct vine__unzstd frames; /* without a context before the first task */
};

static pthread_once_t unzstd_once = PTHREAD_ONCE_INIT;
static pthread_key_t unzstd_key; /* each thread's ZSTD_DCtx, which holds no window */
static int unzstd_key_error;

static void unzstd_free(void *context)
{
    (void)ZSTD_freeDCtx(context);
}

static void unzstd_prepare(void)
{
    unzstd_key_error = pthread_key_create(&unzstd_key, unzstd_free);
}

/* ---- a whole file in one task ---------------------------------------------------------------- */

static int unzstd_frames(struct vine_call *call, ZSTD_DCtx *context,
                         struct vine__expand_input *input, struct vine__expand_output *output)
{
    do {
        const uint8_t *frame = input->bytes + input->position;
        const size_t left = input->size - input->position;
        size_t frame_size, made;

        if (left < UNZSTD_MAGIC_BYTES || !vine__unzstd_begins(frame)) {
            vine_call_reason(call, "no frame begins at byte %zu", input->position);
            return -VINE_EDATA;
        }
        frame_size = ZSTD_findFrameCompressedSize(frame, left);
        if (ZSTD_isError(frame_size) || frame_size > left) {
            vine_call_reason(call, "the frame that begins at byte %zu has no end", input->position);
            return -VINE_EDATA;
        }
        input->position += frame_size;
        if (vine__unzstd_is_skippable(frame))
            continue;
        made = ZSTD_decompressDCtx(context, output->bytes + output->made,
                                   output->room - output->made, frame, frame_size);
        if (ZSTD_isError(made)) {
            vine_call_reason(call, "in the frame that ends at byte %zu: %s", input->position,
                             ZSTD_getErrorName(made));
            return ZSTD_getErrorCode(made) == ZSTD_error_dstSize_tooSmall ? -VINE_EOVERFLOW
                                                                          : -VINE_EDATA;
        }
        output->made += made;
        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
    } while (input->position < input->size);
    return 0;
}

static int unzstd_alone(struct vine_call *call, struct vine__expand_input *input,
                        struct vine__expand_output *output, uint64_t *ret_flags)
{
    ZSTD_DCtx *context;
    int status;

    pthread_once(&unzstd_once, unzstd_prepare);
    if (unzstd_key_error != 0)
        return -unzstd_key_error;
    context = pthread_getspecific(unzstd_key);
    if (!context) {
        context = ZSTD_createDCtx();
        if (!context || pthread_setspecific(unzstd_key, context) != 0) {
            unzstd_free(context);
            return -ENOMEM;
        }
    }
    status = unzstd_frames(call, context, input, output);
    if (status == 0)
        *ret_flags = VINE_EXPAND_ENDED;
    return status;
}

/* ---- a file in chunks ------------------------------------------------------------------------ */

/* Go on until the input is used up and nothing more comes, or the room is full. */
static int unzstd_stream(struct vine_call *call, struct vine__unzstd *frames,
                         struct vine__expand_input *input, struct vine__expand_output *output)
{
    const size_t size = input->size, room = output->room;
    int status;

    do {
        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
        input->size = vine__min_u64(size, input->position + VINE_SLICE_BYTES);
        output->room = vine__min_u64(room, output->made + VINE_SLICE_BYTES);
        status = vine__unzstd_go(frames, input, output, UINT64_MAX);
    } while (status >= 0 &&
             (status == VINE__EXPAND_FULL ? output->made < room : input->position < size));
    input->size = size;
    output->room = room;
    if (status < 0)
        vine_call_reason(call, "%s", frames->reason);
    return status < 0 ? status : 0;
}

static int unzstd_in_session(struct vine_call *call, struct unzstd_state *state,
                             struct vine__expand_input *input, struct vine__expand_output *output,
                             uint64_t *ret_flags)
{
    const ZSTD_customMem memory = {vine__charged_allocate, vine__charged_free, &state->memory};
    struct vine__unzstd *const frames = &state->frames;
    int status = 0;

    state->memory.call = call;
    state->memory.refused = false;
    if (!frames->context)
        status = vine__unzstd_take_context(frames, ZSTD_createDCtx_advanced(memory));
    if (status == 0)
        status = unzstd_stream(call, frames, input, output);
    if (state->memory.refused)
        status = -VINE_EQUOTA;
    state->memory.call = NULL;
    if (status < 0)
        return status;

    if (frames->is_in_frame && output->made == output->room)
        *ret_flags |= VINE_EXPAND_MORE;
    if (vine__unzstd_is_whole(frames))
        *ret_flags |= VINE_EXPAND_ENDED;
    if (!vine_call_is_last(call))
        return 0;
    if (input->position < input->size)
        return -VINE_EOVERFLOW;
    status = vine__unzstd_finish(frames);
    if (status < 0)
        vine_call_reason(call, "%s", frames->reason);
    return status;
}

static int unzstd(struct vine_call *call)
{
    struct unzstd_state *state = vine_call_state(call);
    struct vine__expand_input input = {0};
    struct vine__expand_output output = {0};
    uint64_t flags = 0;
    int status;

    input.bytes = vine_call_bytes(call, UNZSTD_INPUT, &input.size);
    output.bytes = vine__output_of(call, UNZSTD_OUTPUT, &output.room);
    status = state ? unzstd_in_session(call, state, &input, &output, &flags)
                   : unzstd_alone(call, &input, &output, &flags);
    if (status == 0)
        status = vine_call_output_size(call, UNZSTD_OUTPUT, output.made);
    if (status == 0)
        status = vine__expand_result(call, input.position, flags);
    return status;
}

static void unzstd_end(void *call_state)
{
    struct unzstd_state *state = call_state;

    (void)ZSTD_freeDCtx(state->frames.context);
}

const struct vine_procedure_definition vine_shipped_unzstd = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "unzstd",
    .summary = "decompress Zstandard",
    .flags = VINE_ARGUMENTS_COPIED,
    .arguments = unzstd_arguments,
    .argument_count = 3,
    .run = unzstd,
    .state_bytes = sizeof(struct unzstd_state),
    .end = unzstd_end,
};
