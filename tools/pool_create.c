/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_create.c - `vine pool create`: an empty pool.
 */
#include <stdlib.h>

#include <jansson.h>

#include "json.h"
#include "message.h"
#include "pools.h"
#include "status.h"
#include "verb.h"

#define SIZE_BYTES (UINT64_C(1) << 30)

struct create_values {
    const char *settings;
    uint64_t size_bytes;
    bool json;
};

static int create(const struct create_values *values, const char *folder, const char *name)
{
    struct vine__problem problem = {.text = ""};
    char *settings = NULL;

    if (values->settings != NULL) {
        json_t *const json = json_read_object(values->settings);

        if (json == NULL)
            return STATUS_USAGE;
        settings = json_dumps(json, JSON_INDENT(1));
        json_decref(json);
    }
    const int error =
        vine__pool_create(folder, name, values->size_bytes != 0 ? values->size_bytes : SIZE_BYTES,
                          settings, &problem);

    free(settings);
    if (error != 0)
        return pools_fail(error, &problem);
    if (values->json)
        return json_print(json_pack("{s:s, s:s}", "pool", name, "folder", folder));
    return STATUS_DONE;
}

static int run_create(const struct arguments *arguments)
{
    const struct create_values *const values = arguments->values;
    char *folder, *name;
    int status = pools_name(arguments->operands[0], &folder, &name);

    if (status != STATUS_DONE)
        return status;
    if ((arguments->given & 1) != 0 && values->size_bytes < VINE__POOL_BYTES_MIN) {
        message_error("--size: a pool has at least 16 MiB");
        status = STATUS_USAGE;
    }
    if (status == STATUS_DONE)
        status = create(values, folder, name);
    free(folder);
    free(name);
    return status;
}

#define VALUE(field) .offset = offsetof(struct create_values, field)

static const struct option create_options[] = {
    {.name = "size",
     .kind = OPTION_SIZE,
     VALUE(size_bytes),
     .value = "SIZE",
     .fallback = "1G",
     .help = "how large the image may become, at least 16M; what is not used of it takes no place "
             "on the disk"},
    {.name = "settings",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(settings),
     .value = "FILE",
     .fallback = "(no limits, no links)",
     .help = "what NAME.json shall say: limits, links, a mount point"},
    {.name = "json", .kind = OPTION_FLAG, VALUE(json), .help = "print JSON"},
};

#undef VALUE

static const char *const create_description[] = {
    "Makes an empty pool of virtual machines: NAME.img, an ext4 in a file, and NAME.json beside "
    "it. "
    "POOL is a folder and NAME; without a folder it is made here. A NAME is up to 64 printable "
    "ASCII characters without `/` and `..`. A pool that is there is not touched.",
    "Wants mkfs.ext4 (e2fsprogs), and no rights but to write in that folder.",
    NULL,
};

static const char *const create_examples[] = {
    "vine pool create --size 4G farm",
    "make farm.img and farm.json",
    NULL,
};

const struct verb verb_pool_create = {
    .name = "pool create",
    .synopsis = "POOL",
    .description = create_description,
    .examples = create_examples,
    .options = create_options,
    .option_count = sizeof(create_options) / sizeof(create_options[0]),
    .values_size = sizeof(struct create_values),
    .operands_min = 1,
    .operands_max = 1,
    .hints = {COMPLETE_POOL},
    .run = run_create,
};
