/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/xxh3.c - XXH3 of 64 bits in its canonical byte order, as `xxhsum -H3` prints it.
 *
 * Shared: the sum goes the same way whatever it reads.
 */
#include <errno.h>

#include <xxhash.h>
/* On x86 the library has a way for each generation of vectors; by this header it takes the best. */
#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#include <vine/error.h>

#include "shipped_internal.h"

enum {
    XXH3_INPUT,
    XXH3_SUM,
};

static const struct vine_argument xxh3_arguments[] = {
    [XXH3_INPUT] = {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, VINE_SHIPPED_DATA_MAX},
    [XXH3_SUM] = {"sum", VINE_RESULT, 0, 8, 8},
};

/* XXH3_state_t is for allocation by its library alone, unless the whole library is compiled in. */
struct xxh3_state {
    XXH3_state_t *context;
};

static void xxh3_end(void *call_state)
{
    struct xxh3_state *state = call_state;

    (void)XXH3_freeState(state->context);
    state->context = NULL;
}

static int xxh3_begin(void *call_state)
{
    struct xxh3_state *state = call_state;

    state->context = XXH3_createState();
    if (state->context && XXH3_64bits_reset(state->context) == XXH_OK)
        return 0;
    xxh3_end(state);
    return -ENOMEM;
}

static int xxh3_update(void *context, const void *bytes, size_t size)
{
    return XXH3_64bits_update(context, bytes, size) == XXH_OK ? 0 : -VINE_EFAILED;
}

static int xxh3(struct vine_call *call)
{
    const struct xxh3_state *state = vine_call_state(call);
    uint8_t bytes[8];
    size_t size;
    const void *input = vine_call_bytes(call, XXH3_INPUT, &size);
    uint64_t sum;

    if (state) {
        const int status = vine__update_in_slices(call, xxh3_update, state->context, input, size);

        if (status < 0 || !vine_call_is_last(call))
            return status;
        sum = XXH3_64bits_digest(state->context);
    } else {
        sum = XXH3_64bits(input, size);
    }
    vine__put_be64(bytes, sum);
    return vine_call_result(call, bytes, sizeof(bytes));
}

const struct vine_procedure_definition vine_shipped_xxh3 = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "xxh3",
    .summary = "XXH3 of the input, 64 bits",
    .flags = VINE_ARGUMENTS_SHARED,
    .arguments = xxh3_arguments,
    .argument_count = 2,
    .run = xxh3,
    .short_input_max = 65536, /* 3 us */
    .state_bytes = sizeof(struct xxh3_state),
    .begin = xxh3_begin,
    .end = xxh3_end,
};
