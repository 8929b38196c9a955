/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/gzip.c - compress with deflate by isa-l: a gzip member a task, or one a session.
 *
 * Copied: the match finder reads the input many times and trusts what it has seen before.
 *
 * Every slice is compressed by itself (gzip_member.c), so a session keeps no more than what the
 * member's trailer needs, and each thread has one stream.
 */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "gzip_member.h"

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

static pthread_once_t gzip_once = PTHREAD_ONCE_INIT;
static pthread_key_t gzip_key; /* each thread's struct vine__gzip_scratch */
static int gzip_key_error;

static void gzip_prepare(void)
{
    gzip_key_error = pthread_key_create(&gzip_key, free);
}

/* NULL: no memory, or no key. */
static struct vine__gzip_scratch *gzip_scratch_of_thread(void)
{
    struct vine__gzip_scratch *scratch;

    pthread_once(&gzip_once, gzip_prepare);
    if (gzip_key_error != 0)
        return NULL;
    scratch = pthread_getspecific(gzip_key);
    if (!scratch) {
        scratch = aligned_alloc(_Alignof(struct vine__gzip_scratch), sizeof(*scratch));
        if (!scratch || pthread_setspecific(gzip_key, scratch) != 0) {
            free(scratch);
            return NULL;
        }
    }
    return scratch;
}

static int gzip_slices(struct vine_call *call, uint32_t level, const uint8_t *input, size_t size,
                       struct vine__gzip_output *output)
{
    struct vine__gzip_scratch *scratch = gzip_scratch_of_thread();
    int status = scratch ? 0 : -ENOMEM;

    for (size_t done = 0; status == 0 && done < size; done += VINE_SLICE_BYTES) {
        const size_t left = size - done;

        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
        status = vine__gzip_slice(scratch, level, input + done,
                                  left < VINE_SLICE_BYTES ? left : VINE_SLICE_BYTES, output);
    }
    return status;
}

static int gzip(struct vine_call *call)
{
    struct vine__gzip_member own = {0};
    struct vine__gzip_member *state = vine_call_state(call);
    const bool is_last = !state || vine_call_is_last(call);
    const uint64_t level = vine_call_scalar(call, GZIP_LEVEL, VINE_GZIP_LEVEL_DEFAULT);
    size_t size;
    const uint8_t *input = vine_call_bytes(call, GZIP_INPUT, &size);
    struct vine__gzip_output output = {0};
    int status;

    output.bytes = vine__output_of(call, GZIP_OUTPUT, &output.room);
    if (!state)
        state = &own;
    status = vine__gzip_begin(state, &output);
    if (status == 0 && size > 0)
        status = gzip_slices(call, (uint32_t)level, input, size, &output);
    if (status == 0)
        vine__gzip_count(state, input, size);
    if (status == 0 && is_last)
        status = vine__gzip_finish(state, &output);
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
    .state_bytes = sizeof(struct vine__gzip_member),
};
