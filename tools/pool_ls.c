/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_ls.c - `vine pool ls`: the pools of a folder.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <jansson.h>

#include "human.h"
#include "json.h"
#include "message.h"
#include "pools.h"
#include "status.h"
#include "verb.h"

struct ls_values {
    bool json;
};

static void print_line(const char *path, const struct vine__pool_contents *contents)
{
    char size[HUMAN_MAX], free_room[HUMAN_MAX];

    printf("%-24s %5u machines, %u usable, %s of %s free\n", message_escape(path),
           contents->vm_count, contents->usable_count,
           human_binary(contents->free_bytes, free_room), human_binary(contents->size_bytes, size));
}

static json_t *line_json(const char *path, const struct vine__pool_contents *contents)
{
    json_t *const object = json_object();

    json_set_name(object, "pool", path);
    (void)json_object_set_new(object, "machines", json_integer(contents->vm_count));
    (void)json_object_set_new(object, "usable", json_integer(contents->usable_count));
    (void)json_object_set_new(object, "size_bytes", json_unsigned(contents->size_bytes));
    (void)json_object_set_new(object, "free_bytes", json_unsigned(contents->free_bytes));
    return object;
}

static int list_one(const char *path, json_t *array)
{
    const struct vine__pool_contents *contents;
    struct vine__pool *pool;
    const int status = pools_open(path, VINE__POOL_READ, NULL, &pool, &contents);

    if (status != STATUS_DONE)
        return status;
    if (array != NULL)
        (void)json_array_append_new(array, line_json(path, contents));
    else
        print_line(path, contents);
    vine__pool_close(pool);
    return STATUS_DONE;
}

/* NAME.img with a NAME.json beside it is one. */
static int is_image(const struct dirent *entry)
{
    const size_t length = strlen(entry->d_name);

    return length > 4 && strcmp(entry->d_name + length - 4, ".img") == 0;
}

static int list_folder(const char *folder, json_t *array)
{
    struct dirent **entries = NULL;
    const int count = scandir(folder, &entries, is_image, alphasort);
    int status = STATUS_DONE;

    if (count < 0) {
        message_error("%s: %m", message_escape(folder));
        return status_of_error(-errno);
    }
    for (int i = 0; i < count; i++) {
        const char *const name = entries[i]->d_name;
        char *path = NULL, *settings = NULL;

        if (asprintf(&path, "%s/%.*s", folder, (int)(strlen(name) - 4), name) < 0)
            path = NULL;
        if (path == NULL || asprintf(&settings, "%s.json", path) < 0)
            settings = NULL;
        if (settings != NULL && access(settings, F_OK) == 0) {
            const int listed = list_one(path, array);
            status = listed != STATUS_DONE ? listed : status;
        }
        free(settings);
        free(path);
        free(entries[i]);
    }
    free(entries);
    return status;
}

static int run_ls(const struct arguments *arguments)
{
    const struct ls_values *const values = arguments->values;
    json_t *const array = values->json ? json_array() : NULL;
    const int status =
        list_folder(arguments->operand_count > 0 ? arguments->operands[0] : ".", array);

    if (!values->json)
        return status;
    const int printed = json_print(array);
    return status != STATUS_DONE ? status : printed;
}

static const struct option ls_options[] = {
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct ls_values, json),
     .help = "print JSON"},
};

static const char *const ls_description[] = {
    "Lists the pools of FOLDER, or those that are here: how many machines each has, how many of "
    "them are usable, and how much room is left. What is wrong with the others `vine pool show` "
    "tells.",
    NULL,
};

const struct verb verb_pool_ls = {
    .name = "pool ls",
    .synopsis = "[FOLDER]",
    .description = ls_description,
    .options = ls_options,
    .option_count = sizeof(ls_options) / sizeof(ls_options[0]),
    .values_size = sizeof(struct ls_values),
    .operands_max = 1,
    .hints = {COMPLETE_DIRECTORY},
    .run = run_ls,
};
