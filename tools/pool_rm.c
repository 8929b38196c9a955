/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_rm.c - `vine pool rm`: machines out of a pool, as one change.
 */
#include <jansson.h>

#include "json.h"
#include "pools.h"
#include "status.h"
#include "verb.h"

struct rm_values {
    bool json;
};

static int change(struct vine__pool_change *change, void *context, struct vine__problem *problem)
{
    const struct arguments *const arguments = context;
    int error = 0;

    for (size_t i = 1; error == 0 && i < arguments->operand_count; i++)
        error = vine__pool_change_remove(change, arguments->operands[i], problem);
    return error;
}

static int run_rm(const struct arguments *arguments)
{
    const struct rm_values *const values = arguments->values;
    const struct vine__pool_contents *contents;
    struct arguments copy = *arguments;
    struct vine__pool *pool = NULL;
    int status = pools_open(arguments->operands[0], VINE__POOL_OWN, NULL, &pool, &contents);

    if (status == STATUS_DONE)
        status = pools_change(pool, change, &copy);
    vine__pool_close(pool);
    if (status != STATUS_DONE || !values->json)
        return status;
    json_t *const removed = json_array();

    for (size_t i = 1; i < arguments->operand_count; i++)
        (void)json_array_append_new(removed, json_string(arguments->operands[i]));
    return json_print(json_pack("{s:o}", "removed", removed));
}

static const struct option rm_options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct rm_values, json),
     .help = "print the names of what was removed as JSON"},
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
    .hint = COMPLETE_FILE,
    .run = run_rm,
};
