/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_rm.c - `vine vm rm`: machines out of a pool that no server serves.
 */
#include <jansson.h>

#include "json.h"
#include "message.h"
#include "pools.h"
#include "status.h"
#include "verb.h"
#include "vm_files.h"

struct rm_values {
    const char *pool;
    bool json;
};

static int run_rm(const struct arguments *arguments)
{
    const struct rm_values *const values = arguments->values;

    if (values->pool == NULL) {
        message_error("say with --pool which pool the machines are in");
        return STATUS_USAGE;
    }
    return pools_remove(values->pool, arguments->operands, arguments->operand_count, values->json);
}

#define VALUE(field) .offset = offsetof(struct rm_values, field)

static const struct option rm_options[] = {
    {.name = "pool",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(pool),
     .value = "POOL",
     .help = VM_POOL_HELP},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print the names of what was removed as JSON"},
};

#undef VALUE

static const char *const rm_description[] = {
    "Removes machines from a pool, with all that they have, as `vine pool rm` does: all of them, "
    "or, if something is wrong, none. A pool that a server serves is refused: that is the one to "
    "ask.",
    NULL,
};

const struct verb verb_vm_rm = {
    .name = "vm rm",
    .synopsis = "--pool POOL VM...",
    .description = rm_description,
    .options = rm_options,
    .option_count = sizeof(rm_options) / sizeof(rm_options[0]),
    .values_size = sizeof(struct rm_values),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .run = run_rm,
};
