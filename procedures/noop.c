/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/noop.c - nothing, with or without bytes: what a task costs by itself.
 */
#include "shipped_internal.h"

static const struct vine_argument noop_arguments[] = {
    {.name = "bytes", .kind = VINE_BYTES, .min = 0, .max = VINE_TASK_BYTES_MAX},
};

static int noop(struct vine_call *call)
{
    (void)call;
    return 0;
}

const struct vine_procedure_definition vine_shipped_noop = {
    .size_bytes = sizeof(struct vine_procedure_definition),
    .name = "noop",
    .summary = "do nothing; takes any bytes",
    .flags = VINE_PROCEDURE_SHORT,
    .arguments = noop_arguments,
    .argument_count = 1,
    .run = noop,
};
