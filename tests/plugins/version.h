/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/plugins/version.h - a library with one procedure, `version`, which takes a text and says
 * VERSION in one byte.
 */
#include <stdint.h>

#include <vine/procedure.h>

static int version_run(struct vine_call *call)
{
    const uint8_t value = VERSION;

    return vine_call_result(call, &value, 1);
}

static const struct vine_argument version_arguments[] = {
    {.name = "text", .kind = VINE_INPUT, .data_type = VINE_TYPE_BYTES, .max = 1 << 20},
    {.name = "version", .kind = VINE_RESULT, .max = 1},
};

VINE_PROCEDURE(version, .summary = "which version runs", .run = version_run,
               .arguments = version_arguments, .argument_count = 2);
