/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/crc32.c - the CRC of gzip and zlib (polynomial 0xEDB88320, reflected) by isa-l.
 *
 * Shared: the sum goes the same way whatever it reads.
 */
#include <isa-l/crc.h>

#include "shipped_internal.h"

enum {
    CRC32_INPUT,
    CRC32_SUM,
};

static const struct vine_argument crc32_arguments[] = {
    [CRC32_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [CRC32_SUM] = {"sum", VINE_RESULT, 0, 4, 4},
};

static int crc32_update(void *context, const void *bytes, size_t size)
{
    uint32_t *sum = context;

    *sum = crc32_gzip_refl(*sum, bytes, size);
    return 0;
}

static int crc32_of_input(struct vine_call *call)
{
    uint32_t *state = vine_call_state(call);
    uint32_t own = 0;
    uint32_t *sum = state ? state : &own;
    uint8_t bytes[4];
    size_t size;
    const void *input = vine_call_bytes(call, CRC32_INPUT, &size);
    const int status = vine__update_in_slices(call, crc32_update, sum, input, size);

    if (status < 0 || (state && !vine_call_is_last(call)))
        return status;
    vine__put_be32(bytes, *sum);
    return vine_call_result(call, bytes, sizeof(bytes));
}

const struct vine_procedure_definition vine_shipped_crc32 = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "crc32",
    .summary = "CRC-32 of the input, as in gzip",
    .flags = VINE_ARGUMENTS_SHARED,
    .arguments = crc32_arguments,
    .argument_count = 2,
    .run = crc32_of_input,
    .short_input_max = 65536, /* 2 us */
    .state_bytes = sizeof(uint32_t),
};
