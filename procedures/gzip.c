/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/gzip.c - compress with deflate by isa-l: a gzip member a task, or one a session.
 *
 * Copied: the match finder reads the input many times and trusts what it has seen before.
 *
 * Every slice is compressed by itself, with nothing of the one before it in the window: on 4 MiB
 * that costs less than a thousandth. isa-l 2.30 cannot be trusted with a stream that is flushed:
 * after a first piece of a few bytes it reads up to 32 KiB in front of its buffer. So a session
 * keeps no more than what the member's trailer needs, and each thread has one stream.
 */
#include <isa-l/crc.h>
#include <isa-l/igzip_lib.h>

#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

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

struct gzip_state {
    uint64_t bytes; /* of input, so far */
    uint32_t sum;   /* their CRC-32 */
    bool is_begun;  /* the header is written */
};

/* isa-l's working memory; no level takes a larger buffer than the last. */
struct gzip_scratch {
    struct isal_zstream stream;
    _Alignas(VINE_CACHE_LINE) uint8_t level_buffer[ISAL_DEF_LVL3_DEFAULT];
};

VINE_STATIC_ASSERT(ISAL_DEF_LVL3_DEFAULT >= ISAL_DEF_LVL2_DEFAULT &&
                       ISAL_DEF_LVL3_DEFAULT >= ISAL_DEF_LVL1_DEFAULT,
                   "one buffer does for every level");

struct gzip_output {
    uint8_t *bytes;
    size_t room, size;
};

static pthread_once_t gzip_once = PTHREAD_ONCE_INIT;
static pthread_key_t gzip_key; /* each thread's struct gzip_scratch */
static int gzip_key_error;

static void gzip_prepare(void)
{
    gzip_key_error = pthread_key_create(&gzip_key, free);
}

/* NULL: no memory, or no key. */
static struct gzip_scratch *gzip_scratch_of_thread(void)
{
    struct gzip_scratch *scratch;

    pthread_once(&gzip_once, gzip_prepare);
    if (gzip_key_error != 0)
        return NULL;
    scratch = pthread_getspecific(gzip_key);
    if (!scratch) {
        scratch = aligned_alloc(_Alignof(struct gzip_scratch), sizeof(*scratch));
        if (!scratch || pthread_setspecific(gzip_key, scratch) != 0) {
            free(scratch);
            return NULL;
        }
    }
    return scratch;
}

static int gzip_put(struct gzip_output *output, const void *bytes, size_t size)
{
    if (output->room - output->size < size)
        return -VINE_EOVERFLOW;
    memcpy(output->bytes + output->size, bytes, size);
    output->size += size;
    return 0;
}

/* Compress one slice, which is not empty, into blocks that end on a byte. */
static int gzip_slice(struct gzip_scratch *scratch, uint32_t level, const uint8_t *input,
                      size_t size, struct gzip_output *output)
{
    struct isal_zstream *stream = &scratch->stream;
    const size_t room = output->room - output->size;

    isal_deflate_init(stream);
    stream->level = level;
    stream->level_buf = scratch->level_buffer;
    stream->level_buf_size = sizeof(scratch->level_buffer);
    stream->gzip_flag = IGZIP_DEFLATE;
    stream->flush = FULL_FLUSH;
    stream->next_in = (uint8_t *)(uintptr_t)input; /* only read */
    stream->avail_in = (uint32_t)size;
    stream->next_out = output->bytes + output->size;
    stream->avail_out = (uint32_t)room;
    if (isal_deflate(stream) != COMP_OK)
        return -VINE_EFAILED;
    if (stream->avail_in > 0 || stream->avail_out == 0) /* full: not all may have come out */
        return -VINE_EOVERFLOW;
    output->size += room - stream->avail_out;
    return 0;
}

static int gzip_slices(struct vine_call *call, uint32_t level, const uint8_t *input, size_t size,
                       struct gzip_output *output)
{
    struct gzip_scratch *scratch = gzip_scratch_of_thread();
    int status = scratch ? 0 : -ENOMEM;

    for (size_t done = 0; status == 0 && done < size; done += VINE_SLICE_BYTES) {
        const size_t left = size - done;

        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
        status = gzip_slice(scratch, level, input + done,
                            left < VINE_SLICE_BYTES ? left : VINE_SLICE_BYTES, output);
    }
    return status;
}

/* The last block, which is empty, and the trailer. */
static int gzip_finish(const struct gzip_state *state, struct gzip_output *output)
{
    uint8_t end[10] = {0x03, 0x00};

    for (unsigned index = 0; index < 4; index++) {
        end[2 + index] = (uint8_t)(state->sum >> (8 * index));
        end[6 + index] = (uint8_t)(state->bytes >> (8 * index));
    }
    return gzip_put(output, end, sizeof(end));
}

static int gzip(struct vine_call *call)
{
    /* Magic, deflate, no flags, no time, no word on effort, unknown system. */
    static const uint8_t header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    struct gzip_state own = {0};
    struct gzip_state *state = vine_call_state(call);
    const bool is_last = !state || vine_call_is_last(call);
    const uint64_t level = vine_call_scalar(call, GZIP_LEVEL, VINE_GZIP_LEVEL_DEFAULT);
    size_t size;
    const uint8_t *input = vine_call_bytes(call, GZIP_INPUT, &size);
    struct gzip_output output = {0};
    int status = 0;

    output.bytes = vine__output_of(call, GZIP_OUTPUT, &output.room);
    if (!state)
        state = &own;
    if (!state->is_begun)
        status = gzip_put(&output, header, sizeof(header));
    state->is_begun = true;
    if (status == 0 && size > 0)
        status = gzip_slices(call, (uint32_t)level, input, size, &output);
    if (status == 0 && size > 0)
        state->sum = crc32_gzip_refl(state->sum, input, size);
    state->bytes += size;
    if (status == 0 && is_last)
        status = gzip_finish(state, &output);
    return status < 0 ? status : vine_call_output_size(call, GZIP_OUTPUT, output.size);
}

const struct vine_procedure_definition vine_shipped_gzip = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "gzip",
    .summary = "compress with deflate, as gzip does",
    .flags = VINE_ARGUMENTS_COPIED,
    .arguments = gzip_arguments,
    .argument_count = 3,
    .run = gzip,
    .state_bytes = sizeof(struct gzip_state),
};
