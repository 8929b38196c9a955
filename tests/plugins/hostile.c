/* SPDX-License-Identifier: Apache-2.0 */
/* What hostile applications ask for beside `noop`: linked into the appliance of
 * hostile/application_fixture.h, and brought to the one of a virtual machine. */
#include <vine/procedure.h>

#include "../harness/procedures.h"

static int run_count(struct vine_call *call)
{
    uint64_t *count = vine_call_state(call);

    /* None without a session. */
    if (count == NULL)
        return -VINE_ESESSION;
    ++*count;
    return vine_call_result(call, count, sizeof *count);
}

static const struct vine_argument ends_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, UINT64_MAX},
    {"ends", VINE_RESULT, 0, 2, 2},
};

static const struct vine_argument count_arguments[] = {
    {"count", VINE_RESULT, 0, 8, 8},
};

static const struct vine_argument echo_arguments[] = {
    {"input", VINE_INPUT, VINE_TYPE_BYTES, 0, 65536},
    {"output", VINE_OUTPUT, VINE_TYPE_BYTES, 0, 65536},
};

VINE_PROCEDURE(echo, .run = run_echo, .arguments = echo_arguments, .argument_count = 2);
VINE_PROCEDURE(count, .run = run_count, .arguments = count_arguments, .argument_count = 1,
               .state_bytes = sizeof(uint64_t));
VINE_PROCEDURE(ends, .run = run_ends, .flags = VINE_ARGUMENTS_SHARED, .arguments = ends_arguments,
               .argument_count = 2);

VINE_PROCEDURE_LIBRARY();
