/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/gzip.c - compress with deflate by isa-l: a gzip member a task, or one a session.
 *
 * Copied: the match finder reads the input many times and trusts what it has seen before.
 *
 * A stream with the buffer of its level is 85 to 690 KiB: a session's state, or each thread's own.
 */
#include <isa-l/igzip_lib.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>

#include <vine/error.h>

#include "shipped_internal.h"

enum {
    GZIP_LEVEL,
    GZIP_INPUT,
    GZIP_OUTPUT,
};

static const struct vine_argument gzip_arguments[] = {
    [GZIP_LEVEL] = {"level", VINE_SCALAR, 0, VINE_GZIP_LEVEL_MIN, VINE_GZIP_LEVEL_MAX},
    [GZIP_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [GZIP_OUTPUT] = {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0,
                     VINE_GZIP_ROOM(VINE_SHIPPED_DATA_MAX)},
};

VINE_STATIC_ASSERT(VINE_GZIP_ROOM(VINE_SHIPPED_DATA_MAX) <= UINT32_MAX, "isa-l counts in 32 bits");

/* The stream points into its own struct, which therefore never moves. */
struct gzip_state {
    struct isal_zstream stream;
    bool is_begun;
    uint8_t level_buffer[ISAL_DEF_LVL3_DEFAULT];
};

VINE_STATIC_ASSERT(ISAL_DEF_LVL3_DEFAULT >= ISAL_DEF_LVL2_DEFAULT &&
                       ISAL_DEF_LVL3_DEFAULT >= ISAL_DEF_LVL1_DEFAULT,
                   "one buffer does for every level");

static pthread_once_t gzip_once = PTHREAD_ONCE_INIT;
static pthread_key_t gzip_key; /* each thread's struct gzip_state */
static int gzip_key_error;

static void gzip_prepare(void)
{
    gzip_key_error = pthread_key_create(&gzip_key, free);
}

static int gzip_state_of_thread(struct gzip_state **ret_state)
{
    struct gzip_state *state;

    pthread_once(&gzip_once, gzip_prepare);
    if (gzip_key_error != 0)
        return -gzip_key_error;
    state = pthread_getspecific(gzip_key);
    if (!state) {
        state = malloc(sizeof(*state));
        if (!state || pthread_setspecific(gzip_key, state) != 0) {
            free(state);
            return -ENOMEM;
        }
    }
    *ret_state = state;
    return 0;
}

static void gzip_begin(struct gzip_state *state, uint64_t level)
{
    isal_deflate_init(&state->stream);
    state->stream.level = (uint32_t)level;
    state->stream.level_buf = state->level_buffer;
    state->stream.level_buf_size = sizeof(state->level_buffer);
    state->stream.gzip_flag = IGZIP_GZIP;
    state->is_begun = true;
}

/* Compress all of `input`, in slices, and end the output with an empty block or the member's trailer
 * so that nothing of it stays inside. Returns 0 and how much was written; a negative code. */
static int gzip_stream(struct vine_call *call, struct isal_zstream *stream, const uint8_t *input,
                       size_t size, bool is_last)
{
    size_t left = size;

    stream->next_in = (uint8_t *)(uintptr_t)input; /* only read */
    stream->avail_in = 0;
    do {
        const size_t slice = left > VINE_SLICE_BYTES ? VINE_SLICE_BYTES : left;
        int result;

        stream->avail_in += (uint32_t)slice;
        left -= slice;
        stream->end_of_stream = is_last && left == 0;
        stream->flush = !is_last && left == 0 ? SYNC_FLUSH : NO_FLUSH;
        result = isal_deflate(stream);
        if (result != COMP_OK)
            return -VINE_EFAILED;
        if (stream->avail_out == 0 &&
            !(stream->end_of_stream && stream->internal_state.state == ZSTATE_END))
            return -VINE_EOVERFLOW;
        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
    } while (left > 0 || stream->avail_in > 0);
    return 0;
}

static int gzip(struct vine_call *call)
{
    struct gzip_state *state = vine_call_state(call);
    const bool is_alone = !state;
    const uint64_t level = vine_call_scalar(call, GZIP_LEVEL, VINE_GZIP_LEVEL_DEFAULT);
    size_t size, room;
    const uint8_t *input = vine_call_bytes(call, GZIP_INPUT, &size);
    uint8_t *output = vine_call_output(call, GZIP_OUTPUT, &room);
    int status = 0;

    if (is_alone) {
        status = gzip_state_of_thread(&state);
        if (status < 0)
            return status;
    } else {
        state = VINE_STATE(struct gzip_state, state);
    }
    if (is_alone || !state->is_begun)
        gzip_begin(state, level);
    if (size == 0 && !is_alone && !vine_call_is_last(call))
        return 0; /* nothing to flush */
    state->stream.next_out = output;
    state->stream.avail_out = (uint32_t)room;
    status = gzip_stream(call, &state->stream, input, size, is_alone || vine_call_is_last(call));
    if (status < 0)
        return status;
    return vine_call_output_size(call, GZIP_OUTPUT, room - state->stream.avail_out);
}

const struct vine_procedure_definition vine_shipped_gzip = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "gzip",
    .summary = "compress with deflate, as gzip does",
    .flags = VINE_ARGUMENTS_COPIED,
    .arguments = gzip_arguments,
    .argument_count = 3,
    .run = gzip,
    .state_bytes = VINE_STATE_BYTES(struct gzip_state),
};
