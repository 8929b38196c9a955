/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/copy.c - the input, once more, in the appliance's memory.
 *
 * Shared: memcpy goes the same way whatever it reads.
 */
#include <string.h>

#include <vine/error.h>

#include "shipped_internal.h"

enum {
    COPY_INPUT,
    COPY_OUTPUT,
};

static const struct vine_argument copy_arguments[] = {
    [COPY_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [COPY_OUTPUT] = {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
};

static int copy(struct vine_call *call)
{
    size_t size, room;
    const uint8_t *input = vine_call_bytes(call, COPY_INPUT, &size);
    uint8_t *output = vine__output_of(call, COPY_OUTPUT, &room);

    if (size > room)
        return -VINE_EOVERFLOW;
    for (size_t done = 0; done < size; done += VINE_SLICE_BYTES) {
        const size_t left = size - done;

        if (done > 0 && vine_call_is_canceled(call))
            return -VINE_ECANCELED;
        memcpy(output + done, input + done, left < VINE_SLICE_BYTES ? left : VINE_SLICE_BYTES);
    }
    return vine_call_output_size(call, COPY_OUTPUT, size);
}

const struct vine_procedure_definition vine_shipped_copy = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "copy",
    .summary = "copy the input to the output",
    .flags = VINE_ARGUMENTS_SHARED,
    .arguments = copy_arguments,
    .argument_count = 2,
    .run = copy,
    .short_input_max = 32768,
};
