/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_check.c - `vine pool check`: whether all of a pool is as it should be.
 */
#include <stdio.h>

#include <jansson.h>

#include "vmm/pool/check.h"

#include "json.h"
#include "message.h"
#include "pools.h"
#include "status.h"
#include "verb.h"

struct check_values {
    bool json;
};

static void add_finding(void *context, const char *vm, const char *text)
{
    json_t *const finding = json_object();

    json_set_name(finding, "vm", vm);
    json_set_name(finding, "text", text);
    (void)json_array_append_new(context, finding);
    pools_progress_end();
    message_error("%s%s%s", vm, vm[0] != '\0' ? ": " : "", message_escape(text));
}

static int check(const char *operand, json_t *findings)
{
    const struct vine__progress progress = pools_progress();
    const struct vine__pool_contents *contents;
    struct vine__problem problem = {.text = ""};
    struct vine__pool *pool;
    int status = pools_open(operand, VINE__POOL_READ, NULL, &pool, &contents);

    if (status != STATUS_DONE)
        return status;
    const int found = vine__pool_check(pool, add_finding, findings, &progress, &problem);

    pools_progress_end();
    if (found != 0)
        status = found < 0 ? pools_fail(found, &problem) : STATUS_FAILED;
    vine__pool_close(pool);
    return status;
}

static int run_check(const struct arguments *arguments)
{
    const struct check_values *const values = arguments->values;
    json_t *const pools = json_array();
    int status = STATUS_DONE;

    for (size_t i = 0; i < arguments->operand_count; i++) {
        json_t *const findings = json_array();
        const int checked = check(arguments->operands[i], findings);
        json_t *const entry = json_object();

        json_set_name(entry, "pool", arguments->operands[i]);
        (void)json_object_set_new(entry, "well", json_boolean(checked == STATUS_DONE));
        if (checked != STATUS_DONE && json_array_size(findings) == 0)
            json_set_name(entry, "error", message_last_error());
        (void)json_object_set_new(entry, "findings", findings);
        (void)json_array_append_new(pools, entry);
        if (checked == STATUS_DONE && !values->json)
            printf("%s: well\n", message_escape(arguments->operands[i]));
        if (checked != STATUS_DONE)
            status = checked;
    }
    if (values->json) {
        const int printed = json_print(pools);

        return status != STATUS_DONE ? status : printed;
    }
    json_decref(pools);
    return status;
}

static const struct option check_options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct check_values, json),
     .help = "print what is wrong as JSON"},
};

static const char *const check_description[] = {
    "Reads all of each POOL and names what is wrong with it: the file system (by e2fsck, which "
    "changes nothing), NAME.json, vms.json and each machine's configuration, sizes and hashes of "
    "kernels and disks, links to machines that are not there, files that belong to none. A "
    "hash is not known of a disk that its guest has written.",
    "Where a crash has left a change half-way, this finishes it first, as does each verb of "
    "whoever "
    "may write the pool. Ends with 1 if something is wrong.",
    NULL,
};

const struct verb verb_pool_check = {
    .name = "pool check",
    .synopsis = "POOL...",
    .description = check_description,
    .options = check_options,
    .option_count = sizeof(check_options) / sizeof(check_options[0]),
    .values_size = sizeof(struct check_values),
    .operands_min = 1,
    .operands_max = SIZE_MAX,
    .hints = {COMPLETE_POOL},
    .run = run_check,
};
