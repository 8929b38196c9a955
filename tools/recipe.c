/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../procedures/procedures.h"

#include "utils/tables.h"

/* A result of an expanding task: what fits into a pipe's memory some dozens of times. */
#define EXPAND_ROOM (1ULL << 20)

static const struct {
    const char *procedure;
    enum recipe_shape shape;
    const char *suffix;
    bool takes_suffix_off;
    uint64_t level_min, level_max; /* 0, 0: no level */
} shipped[] = {
    {"zstd", RECIPE_CHUNKS, ".zst", false, VINE_ZSTD_LEVEL_MIN, VINE_ZSTD_LEVEL_MAX},
    {"gzip", RECIPE_CHUNKS, ".gz", false, VINE_GZIP_LEVEL_MIN, VINE_GZIP_LEVEL_MAX},
    {"unzstd", RECIPE_EXPAND, ".zst", true, 0, 0},
    {"gunzip", RECIPE_EXPAND, ".gz", true, 0, 0},
    {"copy", RECIPE_CHUNKS, "", false, 0, 0},
    {"sha256", RECIPE_SUM, "", false, 0, 0},
    {"blake2b", RECIPE_SUM, "", false, 0, 0},
    {"crc32", RECIPE_SUM, "", false, 0, 0},
    {"xxh3", RECIPE_SUM, "", false, 0, 0},
};

bool recipe_of_shipped(const char *procedure, struct recipe *ret_recipe)
{
    for (size_t i = 0; i < VINE_ARRAY_COUNT(shipped); i++) {
        if (strcmp(shipped[i].procedure, procedure) != 0)
            continue;
        *ret_recipe = (struct recipe){
            .shape = shipped[i].shape,
            .makes_files = shipped[i].shape != RECIPE_SUM,
            .takes_suffix_off = shipped[i].takes_suffix_off,
            .needs_sessions = shipped[i].shape != RECIPE_CHUNKS,
            .level_argument = shipped[i].level_max > 0 ? 0 : -1,
            .scalar_count = shipped[i].level_max > 0,
            .level_min = shipped[i].level_min,
            .level_max = shipped[i].level_max,
            .input_max = VINE_SHIPPED_DATA_MAX,
            .room_max = UINT64_MAX,
        };
        snprintf(ret_recipe->procedure, sizeof(ret_recipe->procedure), "%s", procedure);
        snprintf(ret_recipe->suffix, sizeof(ret_recipe->suffix), "%s", shipped[i].suffix);
        return true;
    }
    return false;
}

const char *recipe_of_info(const struct vine_procedure_info *info, struct recipe *ret_recipe)
{
    struct recipe recipe = {.level_argument = -1, .makes_files = true};
    unsigned inputs = 0, outputs = 0, results = 0;

    for (uint32_t i = 0; i < info->argument_count; i++) {
        const struct vine_argument *argument = &info->arguments[i];

        switch (argument->kind) {
        case VINE_SCALAR:
            if (strcmp(argument->name, "level") == 0) {
                recipe.level_argument = (int)recipe.scalar_count;
                recipe.level_min = argument->min;
                recipe.level_max = argument->max;
            }
            recipe.scalar_count++;
            break;
        case VINE_INPUT:
            inputs++;
            recipe.input_max = argument->max;
            break;
        case VINE_OUTPUT:
            outputs++;
            recipe.room_max = argument->max;
            break;
        case VINE_RESULT:
            results++;
            break;
        default: /* bytes are optional: none are sent */
            break;
        }
    }
    snprintf(recipe.procedure, sizeof(recipe.procedure), "%s", info->name);
    if (recipe_of_shipped(info->name, ret_recipe)) {
        if (inputs != 1 || outputs != (unsigned)ret_recipe->makes_files)
            return "it has another signature than the one that ships";
        ret_recipe->input_max = recipe.input_max;
        ret_recipe->room_max = outputs > 0 ? recipe.room_max : 0;
        return NULL;
    }
    if (inputs != 1)
        return "it does not take one input";
    if (outputs > 1 || (outputs == 0 && results == 0))
        return "it makes neither one output nor a result";
    recipe.makes_files = outputs == 1;
    recipe.needs_sessions = info->has_sessions;
    recipe.shape = !info->has_sessions  ? RECIPE_WHOLE
                   : recipe.makes_files ? RECIPE_STREAM
                                        : RECIPE_SUM;
    if (recipe.makes_files)
        snprintf(recipe.suffix, sizeof(recipe.suffix), ".%s", info->name);
    *ret_recipe = recipe;
    return NULL;
}

uint64_t recipe_room(const struct recipe *recipe, uint64_t input_size)
{
    uint64_t room;

    if (!recipe->makes_files)
        return 0;
    if (recipe->shape == RECIPE_EXPAND)
        room = EXPAND_ROOM;
    else if (strcmp(recipe->procedure, "zstd") == 0)
        room = VINE_ZSTD_ROOM(input_size);
    else if (strcmp(recipe->procedure, "gzip") == 0)
        room = VINE_GZIP_ROOM(input_size);
    else if (strcmp(recipe->procedure, "copy") == 0)
        room = input_size;
    else
        room = 2 * input_size + 4096; /* nothing is known of it */
    return room < recipe->room_max ? room : recipe->room_max;
}

bool recipe_fits(const struct recipe *recipe, const char *path)
{
    const size_t length = strlen(path), suffix = strlen(recipe->suffix);

    if (!recipe->takes_suffix_off)
        return true;
    /* `dir/.zst` would leave no name. */
    return length > suffix && path[length - suffix - 1] != '/' &&
           strcmp(path + length - suffix, recipe->suffix) == 0;
}

char *recipe_result_path(const struct recipe *recipe, const char *path)
{
    char *result;

    if (!recipe_fits(recipe, path))
        return NULL;
    if (recipe->takes_suffix_off)
        return strndup(path, strlen(path) - strlen(recipe->suffix));
    return asprintf(&result, "%s%s", path, recipe->suffix) < 0 ? NULL : result;
}
