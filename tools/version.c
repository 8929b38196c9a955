/* SPDX-License-Identifier: Apache-2.0 */
#include <stdio.h>

#include <jansson.h>

#include "json.h"
#include "status.h"
#include "verb.h"

struct version_values {
    bool json;
};

static int run_version(const struct arguments *arguments)
{
    const struct version_values *values = arguments->values;

    if (values->json)
        return json_print(json_pack("{s:s}", "version", VINE_VERSION));
    puts("vine " VINE_VERSION);
    return STATUS_DONE;
}

static const char *const version_description[] = {"Prints the version of the command.", NULL};

static const struct option version_options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct version_values, json),
     .help = "print JSON"},
};

const struct verb verb_version = {
    .name = "version",
    .synopsis = "",
    .description = version_description,
    .options = version_options,
    .option_count = sizeof(version_options) / sizeof(version_options[0]),
    .values_size = sizeof(struct version_values),
    .run = run_version,
};
