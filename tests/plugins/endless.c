/* SPDX-License-Identifier: Apache-2.0 */
/* `endless` ends when nobody wants its result any more, and says so; `running` is how many have not
 * ended. */
#include <poll.h>
#include <stdint.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/procedure.h>

static uint64_t running;

static int run_endless(struct vine_call *call)
{
    static const char said[] = "endless: nobody wants it\n";

    __atomic_fetch_add(&running, 1, __ATOMIC_RELAXED);
    while (!vine_call_is_canceled(call))
        (void)poll(NULL, 0, 10);
    (void)!write(STDOUT_FILENO, said, sizeof said - 1);
    __atomic_fetch_sub(&running, 1, __ATOMIC_RELAXED);
    return -VINE_ECANCELED;
}

static int run_running(struct vine_call *call)
{
    const uint64_t count = __atomic_load_n(&running, __ATOMIC_RELAXED);

    return vine_call_result(call, &count, sizeof count);
}

static const struct vine_argument running_arguments[] = {
    {"count", VINE_RESULT, 0, 8, 8},
};

VINE_PROCEDURE(endless, .run = run_endless);
VINE_PROCEDURE(running, .run = run_running, .arguments = running_arguments, .argument_count = 1,
               .flags = VINE_PROCEDURE_SHORT);

VINE_PROCEDURE_LIBRARY();
