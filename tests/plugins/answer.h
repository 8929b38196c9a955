/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/plugins/answer.h - a library with one procedure, `answer`, whose result is ANSWER in one
 * byte.
 */
#include <stdint.h>

#include <vine/procedure.h>

static int answer_run(struct vine_call *call)
{
    const uint8_t value = ANSWER;

    return vine_call_result(call, &value, 1);
}

static const struct vine_argument answer_arguments[] = {
    {.name = "answer", .kind = VINE_RESULT, .max = 1},
};

VINE_PROCEDURE(answer, .summary = "one byte", .run = answer_run, .arguments = answer_arguments,
               .argument_count = 1);
