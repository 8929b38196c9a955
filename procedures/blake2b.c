/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/blake2b.c - BLAKE2b with a digest of 256 bits, as `b2sum -l 256` prints it.
 *
 * Shared: the hash goes the same way whatever it reads. By libb2, since the length of the digest
 * goes into the hash, and OpenSSL's cannot be told another length than 512 bits.
 */
#include <blake2.h>

#include <vine/error.h>

#include "shipped_internal.h"

#define BLAKE2B_BYTES 32

enum {
    BLAKE2B_INPUT,
    BLAKE2B_DIGEST,
};

static const struct vine_argument blake2b_arguments[] = {
    [BLAKE2B_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [BLAKE2B_DIGEST] = {"digest", VINE_RESULT, 0, BLAKE2B_BYTES, BLAKE2B_BYTES},
};

static int blake2b_begin(void *call_state)
{
    return blake2b_init(VINE_STATE(blake2b_state, call_state), BLAKE2B_BYTES) < 0 ? -VINE_EFAILED
                                                                                  : 0;
}

static int blake2b_add(void *context, const void *bytes, size_t size)
{
    return blake2b_update(context, bytes, size) < 0 ? -VINE_EFAILED : 0;
}

static int blake2b_256(struct vine_call *call)
{
    void *call_state = vine_call_state(call);
    blake2b_state own;
    blake2b_state *context = &own;
    uint8_t digest[BLAKE2B_BYTES];
    size_t size;
    const void *input = vine_call_bytes(call, BLAKE2B_INPUT, &size);
    int status = 0;

    if (call_state)
        context = VINE_STATE(blake2b_state, call_state);
    else
        status = blake2b_begin(context);
    if (status == 0)
        status = vine__update_in_slices(call, blake2b_add, context, input, size);
    if (status < 0 || (call_state && !vine_call_is_last(call)))
        return status;
    if (blake2b_final(context, digest, sizeof(digest)) < 0)
        return -VINE_EFAILED;
    return vine_call_result(call, digest, sizeof(digest));
}

const struct vine_procedure_definition vine_shipped_blake2b = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "blake2b",
    .summary = "BLAKE2b of the input, 256 bits",
    .flags = VINE_ARGUMENTS_SHARED,
    .arguments = blake2b_arguments,
    .argument_count = 2,
    .run = blake2b_256,
    .short_input_max = 4096, /* 4 us */
    .state_bytes = VINE_STATE_BYTES(blake2b_state),
    .begin = blake2b_begin,
};
