/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/unzstd.c - decompress Zstandard: frames one after the other, skippable ones too.
 *
 * Copied: the decoder checks what it reads and reads it again.
 *
 * Bounds: a frame's output never exceeds the room of its task, so a bomb only fills what its sender
 * paid for. A session's window is at most 128 MiB, as in `zstd -d`, allocated when a frame asks for
 * it, from the pipe's quota. The formats from before 2016 are refused: their decoders are old,
 * and take memory that nobody counts.
 */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_createDCtx_advanced */
#include <zstd.h>
#include <zstd_errors.h>

#include <errno.h>
#include <pthread.h>

#include <vine/error.h>

#include "charged.h"
#include "shipped_internal.h"

#define UNZSTD_WINDOW_LOG_MAX 27
#define UNZSTD_MAGIC_BYTES    4

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

/* magic_count is below UNZSTD_MAGIC_BYTES between frames, where it counts what has been seen of the
 * next one's magic, and UNZSTD_MAGIC_BYTES within one. */
struct unzstd_state {
    struct vine__charged memory;
    ZSTD_DCtx *context; /* NULL before the first frame */
    uint64_t frames;    /* that have ended */
    uint32_t magic_count;
    uint8_t magic[UNZSTD_MAGIC_BYTES];
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

static uint32_t unzstd_magic(const uint8_t bytes[UNZSTD_MAGIC_BYTES])
{
    return (uint32_t)bytes[0] | (uint32_t)bytes[1] << 8 | (uint32_t)bytes[2] << 16 |
           (uint32_t)bytes[3] << 24;
}

static bool unzstd_is_skippable(uint32_t magic)
{
    return (magic & ZSTD_MAGIC_SKIPPABLE_MASK) == ZSTD_MAGIC_SKIPPABLE_START;
}

static bool unzstd_is_known(uint32_t magic)
{
    return magic == ZSTD_MAGICNUMBER || unzstd_is_skippable(magic);
}

/* ---- a whole file in one task ---------------------------------------------------------------- */

static int unzstd_frames(struct vine_call *call, ZSTD_DCtx *context, ZSTD_inBuffer *input,
                         ZSTD_outBuffer *output)
{
    do {
        const uint8_t *frame = (const uint8_t *)input->src + input->pos;
        const size_t left = input->size - input->pos;
        size_t frame_size, made;

        if (left < UNZSTD_MAGIC_BYTES || !unzstd_is_known(unzstd_magic(frame))) {
            vine_call_reason(call, "no frame begins at byte %zu", input->pos);
            return -VINE_EDATA;
        }
        frame_size = ZSTD_findFrameCompressedSize(frame, left);
        if (ZSTD_isError(frame_size) || frame_size > left) {
            vine_call_reason(call, "the frame that begins at byte %zu has no end", input->pos);
            return -VINE_EDATA;
        }
        input->pos += frame_size;
        if (unzstd_is_skippable(unzstd_magic(frame)))
            continue;
        made = ZSTD_decompressDCtx(context, (uint8_t *)output->dst + output->pos,
                                   output->size - output->pos, frame, frame_size);
        if (ZSTD_isError(made)) {
            vine_call_reason(call, "in the frame that ends at byte %zu: %s", input->pos,
                             ZSTD_getErrorName(made));
            return ZSTD_getErrorCode(made) == ZSTD_error_dstSize_tooSmall ? -VINE_EOVERFLOW
                                                                          : -VINE_EDATA;
        }
        output->pos += made;
        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
    } while (input->pos < input->size);
    return 0;
}

static int unzstd_alone(struct vine_call *call, ZSTD_inBuffer *input, ZSTD_outBuffer *output,
                        uint64_t *ret_flags)
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

/* Take bytes of the next frame's magic. Returns 0 when it is not complete yet, or it is and the
 * decoder has it; -VINE_EDATA  no frame begins so. */
static int unzstd_take_magic(struct unzstd_state *state, ZSTD_inBuffer *input)
{
    while (state->magic_count < UNZSTD_MAGIC_BYTES && input->pos < input->size)
        state->magic[state->magic_count++] = ((const uint8_t *)input->src)[input->pos++];
    if (state->magic_count == UNZSTD_MAGIC_BYTES) {
        ZSTD_inBuffer magic = {state->magic, UNZSTD_MAGIC_BYTES, 0};
        ZSTD_outBuffer nothing = {NULL, 0, 0};
        size_t hint;

        if (!unzstd_is_known(unzstd_magic(state->magic)))
            return -VINE_EDATA;
        hint = ZSTD_decompressStream(state->context, &nothing, &magic);
        if (ZSTD_isError(hint) || magic.pos != UNZSTD_MAGIC_BYTES)
            return -VINE_EDATA;
    }
    return 0;
}

/* Go on until the input is used up and nothing more comes, or the room is full. */
static int unzstd_stream(struct vine_call *call, struct unzstd_state *state, ZSTD_inBuffer *input,
                         ZSTD_outBuffer *output)
{
    const size_t room = output->size;

    for (;;) {
        size_t hint, slice_end;

        if (state->magic_count < UNZSTD_MAGIC_BYTES) {
            const int status = unzstd_take_magic(state, input);

            if (status == -VINE_EDATA)
                vine_call_reason(call, "no frame begins before byte %zu of this part", input->pos);
            if (status < 0 || state->magic_count < UNZSTD_MAGIC_BYTES)
                return status;
        }
        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
        slice_end = room - output->pos > VINE_SLICE_BYTES ? output->pos + VINE_SLICE_BYTES : room;
        output->size = slice_end;
        hint = ZSTD_decompressStream(state->context, output, input);
        output->size = room;
        if (ZSTD_isError(hint)) {
            vine_call_reason(call, "zstd: %s", ZSTD_getErrorName(hint));
            return ZSTD_getErrorCode(hint) == ZSTD_error_memory_allocation ? -ENOMEM : -VINE_EDATA;
        }
        if (hint == 0) {
            state->frames++;
            state->magic_count = 0;
        } else if (output->pos == room || input->pos == input->size) {
            /* The decoder takes and gives all it can, but stops at a slice's end. */
            if (output->pos == room || output->pos < slice_end)
                return 0;
        }
    }
}

static int unzstd_in_session(struct vine_call *call, struct unzstd_state *state,
                             ZSTD_inBuffer *input, ZSTD_outBuffer *output, uint64_t *ret_flags)
{
    const ZSTD_customMem memory = {vine__charged_allocate, vine__charged_free, &state->memory};
    int status = 0;
    bool is_between;

    state->memory.call = call;
    state->memory.refused = false;
    if (!state->context) {
        state->context = ZSTD_createDCtx_advanced(memory);
        if (!state->context || ZSTD_isError(ZSTD_DCtx_setParameter(
                                   state->context, ZSTD_d_windowLogMax, UNZSTD_WINDOW_LOG_MAX)))
            status = -ENOMEM;
    }
    if (status == 0)
        status = unzstd_stream(call, state, input, output);
    if (state->memory.refused)
        status = -VINE_EQUOTA;
    state->memory.call = NULL;
    if (status < 0)
        return status;

    is_between = state->magic_count == 0 && state->frames > 0;
    if (!is_between && state->magic_count == UNZSTD_MAGIC_BYTES && output->pos == output->size)
        *ret_flags |= VINE_EXPAND_MORE;
    if (is_between)
        *ret_flags |= VINE_EXPAND_ENDED;
    if (!vine_call_is_last(call))
        return 0;
    if (input->pos < input->size)
        return -VINE_EOVERFLOW;
    return is_between ? 0 : -VINE_EDATA;
}

static int unzstd(struct vine_call *call)
{
    struct unzstd_state *state = vine_call_state(call);
    ZSTD_inBuffer input = {0};
    ZSTD_outBuffer output = {0};
    uint64_t flags = 0;
    int status;

    input.src = vine_call_bytes(call, UNZSTD_INPUT, &input.size);
    output.dst = vine__output_of(call, UNZSTD_OUTPUT, &output.size);
    status = state ? unzstd_in_session(call, state, &input, &output, &flags)
                   : unzstd_alone(call, &input, &output, &flags);
    if (status == 0)
        status = vine_call_output_size(call, UNZSTD_OUTPUT, output.pos);
    if (status == 0)
        status = vine__expand_result(call, input.pos, flags);
    return status;
}

static void unzstd_end(void *call_state)
{
    struct unzstd_state *state = call_state;

    (void)ZSTD_freeDCtx(state->context);
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
