/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_rm.c - `vine pool rm`: machines out of a pool, as one change.
 */
#include "pools.h"
#include "verb.h"

struct rm_values {
    bool json;
};

static int run_rm(const struct arguments *arguments)
{
    const struct rm_values *const values = arguments->values;

    return pools_remove(arguments->operands[0], arguments->operands + 1,
                        arguments->operand_count - 1, values->json);
}

static const struct option rm_options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct rm_values, json),
     .help = "print names and UIDs of what was removed as JSON"},
};

static const char *const rm_description[] = {
    "Removes machines from a POOL, with all that they have: all of them, or, if something is "
    "wrong, none. One to which a machine that stays has a link is not removed.",
    NULL,
};

const struct verb verb_pool_rm = {
    .name = "pool rm",
    .synopsis = "POOL VM...",
    .description = rm_description,
    .options = rm_options,
    .option_count = sizeof(rm_options) / sizeof(rm_options[0]),
    .values_size = sizeof(struct rm_values),
    .operands_min = 2,
    .operands_max = SIZE_MAX,
    .hints = {COMPLETE_POOL, COMPLETE_VM},
    .run = run_rm,
};
