/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/zstd.c - compress with Zstandard: a frame a task, or one frame a session.
 *
 * Copied: the match finder reads the input many times and trusts what it has seen before.
 *
 * A session's context is made when its first task runs, in memory that the pipe's quota pays: 1.4
 * MB at level 1, 3.7 at 3, 94 at 19. Without a session each thread keeps a context, as long as it
 * is not a large one.
 */
#define ZSTD_STATIC_LINKING_ONLY /* ZSTD_createCCtx_advanced */
#include <zstd.h>
#include <zstd_errors.h>

#include <errno.h>
#include <pthread.h>

#include <vine/error.h>

#include "charged.h"
#include "shipped_internal.h"

/* Threads give back a context that is larger than this. */
#define ZSTD_KEPT_BYTES (16u << 20)

/* From here on a slice of the usual size would take tenths of seconds. */
#define ZSTD_SLOW_LEVEL 13

enum {
    ZSTD_LEVEL,
    ZSTD_INPUT,
    ZSTD_OUTPUT,
};

static const struct vine_argument zstd_arguments[] = {
    [ZSTD_LEVEL] = {"level", VINE_SCALAR, 0, VINE_ZSTD_LEVEL_MIN, VINE_ZSTD_LEVEL_MAX},
    [ZSTD_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [ZSTD_OUTPUT] = {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0,
                     VINE_ZSTD_ROOM(VINE_SHIPPED_DATA_MAX)},
};

VINE_STATIC_ASSERT(VINE_ZSTD_ROOM(0) >= ZSTD_COMPRESSBOUND(0) + 32, "room of an empty frame");
VINE_STATIC_ASSERT(VINE_ZSTD_ROOM(VINE_SHIPPED_DATA_MAX) >=
                       ZSTD_COMPRESSBOUND(VINE_SHIPPED_DATA_MAX) + 32,
                   "room of the largest frame: header 18, checksum 4, last block 3");

struct zstd_state {
    struct vine__charged memory;
    ZSTD_CCtx *context; /* NULL before the first task */
};

static pthread_once_t zstd_once = PTHREAD_ONCE_INIT;
static pthread_key_t zstd_key; /* each thread's ZSTD_CCtx */
static int zstd_key_error;

static void zstd_free(void *context)
{
    (void)ZSTD_freeCCtx(context);
}

static void zstd_prepare(void)
{
    zstd_key_error = pthread_key_create(&zstd_key, zstd_free);
}

/* What a result of the library means for a task. `memory` may be NULL. */
static int zstd_status(size_t result, const struct vine__charged *memory)
{
    if (!ZSTD_isError(result))
        return 0;
    switch (ZSTD_getErrorCode(result)) {
    case ZSTD_error_memory_allocation:
        return memory && memory->refused ? -VINE_EQUOTA : -ENOMEM;
    case ZSTD_error_dstSize_tooSmall:
        return -VINE_EOVERFLOW;
    default:
        return -VINE_EFAILED;
    }
}

static int zstd_configure(ZSTD_CCtx *context, uint64_t level)
{
    if (ZSTD_isError(ZSTD_CCtx_reset(context, ZSTD_reset_session_and_parameters)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_compressionLevel, (int)level)) ||
        ZSTD_isError(ZSTD_CCtx_setParameter(context, ZSTD_c_checksumFlag, 1)))
        return -VINE_EFAILED;
    return 0;
}

/* What is compressed between two looks for a cancel: some tens of ms. */
static size_t zstd_slice(uint64_t level)
{
    return level < ZSTD_SLOW_LEVEL ? VINE_SLICE_BYTES : ZSTD_BLOCKSIZE_MAX;
}

/* Compress all of `input`, in slices, and end each task's output (`mode`: a flush or the frame's
 * end) so that nothing of it stays inside. */
static int zstd_stream(struct vine_call *call, ZSTD_CCtx *context, size_t slice,
                       ZSTD_inBuffer *input, ZSTD_outBuffer *output, ZSTD_EndDirective mode)
{
    const size_t size = input->size;
    size_t left;

    do {
        const size_t slice_end = size - input->pos > slice ? input->pos + slice : size;

        input->size = slice_end;
        left = ZSTD_compressStream2(context, output, input,
                                    slice_end == size ? mode : ZSTD_e_continue);
        if (ZSTD_isError(left))
            return zstd_status(left, NULL);
        if (output->pos == output->size && (left > 0 || input->pos < size))
            return -VINE_EOVERFLOW;
        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
    } while (input->pos < size || left > 0);
    return 0;
}

static int zstd_in_session(struct vine_call *call, struct zstd_state *state, uint64_t level,
                           ZSTD_inBuffer *input, ZSTD_outBuffer *output)
{
    const ZSTD_customMem memory = {vine__charged_allocate, vine__charged_free, &state->memory};
    const bool is_last = vine_call_is_last(call);
    int status;

    state->memory.call = call;
    state->memory.refused = false;
    if (!state->context) {
        state->context = ZSTD_createCCtx_advanced(memory);
        status = state->context          ? zstd_configure(state->context, level)
                 : state->memory.refused ? -VINE_EQUOTA
                                         : -ENOMEM;
    } else {
        status = 0;
    }
    if (status == 0)
        status = zstd_stream(call, state->context, zstd_slice(level), input, output,
                             is_last ? ZSTD_e_end : ZSTD_e_flush);
    if (state->memory.refused)
        status = -VINE_EQUOTA;
    state->memory.call = NULL;
    return status;
}

static int zstd_alone(struct vine_call *call, uint64_t level, ZSTD_inBuffer *input,
                      ZSTD_outBuffer *output)
{
    ZSTD_CCtx *context;
    size_t result;
    int status;

    pthread_once(&zstd_once, zstd_prepare);
    if (zstd_key_error != 0)
        return -zstd_key_error;
    context = pthread_getspecific(zstd_key);
    if (!context) {
        context = ZSTD_createCCtx();
        if (!context || pthread_setspecific(zstd_key, context) != 0) {
            zstd_free(context);
            return -ENOMEM;
        }
    }
    status = zstd_configure(context, level);
    if (status == 0 && input->size <= zstd_slice(level)) {
        /* In one piece there is nothing to buffer inside. */
        result = ZSTD_compress2(context, output->dst, output->size, input->src, input->size);
        status = zstd_status(result, NULL);
        if (status == 0)
            output->pos = result;
    } else if (status == 0) {
        result = ZSTD_CCtx_setPledgedSrcSize(context, input->size);
        status = zstd_status(result, NULL);
        if (status == 0)
            status = zstd_stream(call, context, zstd_slice(level), input, output, ZSTD_e_end);
    }
    if (ZSTD_sizeof_CCtx(context) > ZSTD_KEPT_BYTES && pthread_setspecific(zstd_key, NULL) == 0)
        zstd_free(context);
    return status;
}

static int zstd(struct vine_call *call)
{
    struct zstd_state *state = vine_call_state(call);
    const uint64_t level = vine_call_scalar(call, ZSTD_LEVEL, VINE_ZSTD_LEVEL_DEFAULT);
    ZSTD_inBuffer input = {0};
    ZSTD_outBuffer output = {0};
    int status;

    input.src = vine_call_bytes(call, ZSTD_INPUT, &input.size);
    output.dst = vine__output_of(call, ZSTD_OUTPUT, &output.size);
    status = state ? zstd_in_session(call, state, level, &input, &output)
                   : zstd_alone(call, level, &input, &output);
    return status < 0 ? status : vine_call_output_size(call, ZSTD_OUTPUT, output.pos);
}

static void zstd_end(void *call_state)
{
    struct zstd_state *state = call_state;

    (void)ZSTD_freeCCtx(state->context);
}

const struct vine_procedure_definition vine_shipped_zstd = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "zstd",
    .summary = "compress with Zstandard",
    .flags = VINE_ARGUMENTS_COPIED,
    .arguments = zstd_arguments,
    .argument_count = 3,
    .run = zstd,
    .state_bytes = sizeof(struct zstd_state),
    .end = zstd_end,
};
