/* SPDX-License-Identifier: Apache-2.0 */
/* A `sha256` that goes on until nobody wants its result any more. It says when it has begun by
 * making the file $VINE_TEST_HANGS. */
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/procedure.h>

static int go_on(struct vine_call *call)
{
    const char *path = getenv("VINE_TEST_HANGS");

    if (path != NULL)
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    while (!vine_call_is_canceled(call))
        (void)poll(NULL, 0, 10);
    return -VINE_ECANCELED;
}

static const struct vine_argument arguments[] = {
    {.name = "input", .kind = VINE_INPUT, .data_type = VINE_TYPE_BYTES, .max = 1u << 30},
    {.name = "digest", .kind = VINE_RESULT, .min = 32, .max = 32},
};

VINE_PROCEDURE(sha256, .summary = "ends when it is canceled", .run = go_on, .arguments = arguments,
               .argument_count = 2, .flags = VINE_ARGUMENTS_SHARED);

VINE_PROCEDURE_LIBRARY();
