/* SPDX-License-Identifier: Apache-2.0 */
/* A `sha256` that never returns, and does not ask whether anybody still wants it: on the loop for
 * up to 16 bytes, on a worker for more. It says when it has begun by making the file
 * $VINE_TEST_HANGS. */
#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#include <vine/procedure.h>

static int hang(struct vine_call *call)
{
    const char *path = getenv("VINE_TEST_HANGS");

    (void)call;
    if (path != NULL)
        close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
    while (pause() == -1)
        continue;
    return 0;
}

static const struct vine_argument hang_arguments[] = {
    {.name = "input", .kind = VINE_INPUT, .data_type = VINE_TYPE_BYTES, .max = 1u << 30},
    {.name = "digest", .kind = VINE_RESULT, .min = 32, .max = 32},
};

VINE_PROCEDURE(sha256, .summary = "never ends", .run = hang, .arguments = hang_arguments,
               .argument_count = 2, .flags = VINE_ARGUMENTS_SHARED, .short_input_max = 16);

VINE_PROCEDURE_LIBRARY();
