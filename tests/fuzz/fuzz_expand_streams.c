/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=procedures links=streams links=runtime */
/*
 * Any bytes as a stream for unzstd and gunzip: however they are cut, the same comes of them, and
 * what is wrong has a reason.
 *
 * The first three bytes choose one of the two, the size of chunks and the room of a step; the rest
 * is the stream.
 */
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>

#include "../procedures/streams/streams_internal.h"
#include "utils/assert.h"

#define OUTPUT_MAX (256U << 10)
#define MEMORY_MAX (16U << 20)

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size);

/* Expand a file as an appliance has a filter's functions called, in chunks of at most `chunk_max`
 * with `room` for each step. Returns how it ended and what came of it in `output`, which has
 * OUTPUT_MAX. */
static int expand(const struct vine_filter_type *filter, const uint8_t *file, size_t size,
                  size_t chunk_max, size_t room, uint8_t *output, size_t *ret_size)
{
    const uint64_t argument = 0;
    void *const state = calloc(1, filter->state_bytes);
    uint64_t charged = filter->charge != NULL ? filter->charge(&argument) : 0;
    size_t at = 0, made = 0;
    bool is_over = false;
    int result;

    VINE_ASSERT(state != NULL);
    result = filter->begin(state, &argument);
    VINE_ASSERT(result == 0);
    while (result >= 0 && !is_over) {
        struct vine_filter_step step = {.input = file + at, .output = output + made};

        step.input_bytes = size - at < chunk_max ? size - at : chunk_max;
        step.room = OUTPUT_MAX - made < room ? OUTPUT_MAX - made : room;
        step.is_last = at + step.input_bytes == size;
        if (step.room == 0) {
            result = -VINE_EOVERFLOW;
            break;
        }
        result = filter->step(state, &step);
        VINE_ASSERT(step.taken <= step.input_bytes && step.written <= step.room);
        VINE_ASSERT(result < 0 || step.reason == NULL);
        VINE_ASSERT(result >= 0 || (step.reason != NULL && step.reason[0] != 0));
        VINE_ASSERT(result != VINE_FILTER_ENOUGH || step.taken == step.input_bytes);
        VINE_ASSERT(result != VINE_FILTER_MORE || step.taken + step.written + step.more_memory > 0);
        at += step.taken;
        made += step.written;
        charged += step.more_memory;
        if (charged > MEMORY_MAX)
            result = -VINE_EQUOTA;
        is_over = result == VINE_FILTER_ENOUGH && step.is_last;
    }
    if (filter->end != NULL)
        filter->end(state);
    free(state);
    *ret_size = made;
    return result;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size)
{
    static uint8_t output[2][OUTPUT_MAX];
    size_t made[2] = {0, 0};
    int status[2];

    if (size < 3)
        return 0;

    const struct vine_filter_type *const filter =
        bytes[0] % 2 == 0 ? &vine__filter_unzstd : &vine__filter_gunzip;

    status[0] = expand(filter, bytes + 3, size - 3, 65536, 65536, output[0], &made[0]);
    status[1] = expand(filter, bytes + 3, size - 3, 1 + bytes[1], 1 + 16 * (size_t)bytes[2],
                       output[1], &made[1]);
    if (status[0] == -VINE_EOVERFLOW || status[1] == -VINE_EOVERFLOW)
        return 0; /* one finds the room full before it finds the end */
    VINE_ASSERT(status[0] == status[1]);
    VINE_ASSERT(status[0] != 0 ||
                (made[0] == made[1] && memcmp(output[0], output[1], made[0]) == 0));
    return 0;
}
