/* SPDX-License-Identifier: Apache-2.0 */
#include "shipped_internal.h"

#include <vine/error.h>

const struct vine_procedure_definition *const vine_shipped_procedures[] = {
    &vine_shipped_noop,   &vine_shipped_copy,   &vine_shipped_sha256, &vine_shipped_blake2b,
    &vine_shipped_crc32,  &vine_shipped_xxh3,   &vine_shipped_zstd,   &vine_shipped_gzip,
    &vine_shipped_unzstd, &vine_shipped_gunzip,
};

const size_t vine_shipped_procedure_count =
    sizeof(vine_shipped_procedures) / sizeof(vine_shipped_procedures[0]);

int vine__update_in_slices(struct vine_call *call, vine__update_fn update, void *context,
                           const void *bytes, size_t size)
{
    const uint8_t *next = bytes;

    while (size > VINE_SLICE_BYTES) {
        const int status = update(context, next, VINE_SLICE_BYTES);

        if (status < 0)
            return status;
        if (vine_call_is_canceled(call))
            return -VINE_ECANCELED;
        next += VINE_SLICE_BYTES;
        size -= VINE_SLICE_BYTES;
    }
    return size > 0 ? update(context, next, size) : 0;
}

uint8_t *vine__output_of(struct vine_call *call, uint32_t argument, size_t *ret_room)
{
    static uint8_t nothing[1]; /* nobody writes it: the room is 0 */
    void *output = vine_call_output(call, argument, ret_room);

    VINE_ASSERT(output || *ret_room == 0);
    return output ? output : nothing;
}

void vine__put_be32(uint8_t bytes[4], uint32_t word)
{
    for (unsigned index = 0; index < 4; index++)
        bytes[index] = (uint8_t)(word >> (24 - 8 * index));
}

void vine__put_be64(uint8_t bytes[8], uint64_t word)
{
    for (unsigned index = 0; index < 8; index++)
        bytes[index] = (uint8_t)(word >> (56 - 8 * index));
}

void vine__put_le64(uint8_t bytes[8], uint64_t word)
{
    for (unsigned index = 0; index < 8; index++)
        bytes[index] = (uint8_t)(word >> (8 * index));
}

int vine__expand_result(struct vine_call *call, uint64_t consumed, uint64_t flags)
{
    uint8_t bytes[sizeof(struct vine_expand_result)];

    vine__put_le64(bytes, consumed);
    vine__put_le64(bytes + 8, flags);
    return vine_call_result(call, bytes, sizeof(bytes));
}
