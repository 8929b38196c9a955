/* SPDX-License-Identifier: Apache-2.0 */
/* Procedures through which files cannot go, or not every file. */
#include <vine/procedure.h>

static int run(struct vine_call *call)
{
    return vine_call_result(call, "odd!", 4);
}

#define RESULT                                                                                     \
    {                                                                                              \
        .name = "sum", .kind = VINE_RESULT, .max = 4                                               \
    }
#define TEXT(least, most)                                                                          \
    {                                                                                              \
        .name = "text", .kind = VINE_INPUT, .data_type = VINE_TYPE_BYTES, .min = (least),          \
        .max = (most)                                                                              \
    }

static const struct vine_argument floats_arguments[] = {
    {.name = "numbers", .kind = VINE_INPUT, .data_type = VINE_TYPE_F32, .max = 1 << 20},
    RESULT,
};
VINE_PROCEDURE(floats, .run = run, .arguments = floats_arguments, .argument_count = 2);

static const struct vine_argument keyed_arguments[] = {
    TEXT(0, 1 << 20),
    RESULT,
    {.name = "key", .kind = VINE_BYTES, .min = 16, .max = 32},
};
VINE_PROCEDURE(keyed, .run = run, .arguments = keyed_arguments, .argument_count = 3);

static const struct vine_argument bounded_arguments[] = {
    {.name = "level", .kind = VINE_SCALAR, .min = 1, .max = UINT64_MAX},
    TEXT(2, 10),
    RESULT,
};
VINE_PROCEDURE(bounded, .run = run, .arguments = bounded_arguments, .argument_count = 3);

VINE_PROCEDURE_LIBRARY();
