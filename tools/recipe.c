/* SPDX-License-Identifier: Apache-2.0 */
#include "recipe.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../keys/procedures.h"
#include "../procedures/procedures.h"

#include "utils/assert.h"
#include "utils/tables.h"

#include "human.h"

/* A result of an expanding task: what fits into a pipe's memory some dozens of times. */
#define EXPAND_ROOM (1ULL << 20)

static const struct {
    const char *procedure;
    enum recipe_shape shape;
    const char *suffix;
    bool takes_suffix_off;
    uint64_t level_min, level_max; /* 0, 0: no level */
    uint64_t key_min, key_max;     /* 0, 0: no key */
} shipped[] = {
    {"zstd", RECIPE_CHUNKS, ".zst", false, VINE_ZSTD_LEVEL_MIN, VINE_ZSTD_LEVEL_MAX, 0, 0},
    {"gzip", RECIPE_CHUNKS, ".gz", false, VINE_GZIP_LEVEL_MIN, VINE_GZIP_LEVEL_MAX, 0, 0},
    {"unzstd", RECIPE_EXPAND, ".zst", true, 0, 0, 0, 0},
    {"gunzip", RECIPE_EXPAND, ".gz", true, 0, 0, 0, 0},
    {"seal", RECIPE_STREAM, ".sealed", false, 0, 0, 1, VINE_KEY_NAME_MAX},
    {"open", RECIPE_STREAM, ".sealed", true, 0, 0, 0, VINE_KEY_NAME_MAX},
    {"copy", RECIPE_CHUNKS, "", false, 0, 0, 0, 0},
    {"sha256", RECIPE_SUM, "", false, 0, 0, 0, 0},
    {"blake2b", RECIPE_SUM, "", false, 0, 0, 0, 0},
    {"crc32", RECIPE_SUM, "", false, 0, 0, 0, 0},
    {"xxh3", RECIPE_SUM, "", false, 0, 0, 0, 0},
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
            .has_levels = shipped[i].level_max > 0,
            .level_min = shipped[i].level_min,
            .level_max = shipped[i].level_max,
            .has_key = shipped[i].key_max > 0,
            .key_min = shipped[i].key_min,
            .key_max = shipped[i].key_max,
            .input_max = VINE_SHIPPED_DATA_MAX,
            .room_max = UINT64_MAX,
        };
        snprintf(ret_recipe->procedure, sizeof(ret_recipe->procedure), "%s", procedure);
        snprintf(ret_recipe->suffix, sizeof(ret_recipe->suffix), "%s", shipped[i].suffix);
        return true;
    }
    return false;
}

/* What a signature has for `vine run`. */
struct signature {
    const struct vine_argument *input, *output;
    const struct vine_argument *key; /* of kind VINE_BYTES; NULL: none that can be given */
    bool has_result;
};

VINE_PRINTF(2, 3)
static bool refuse(char *ret_reason, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(ret_reason, RECIPE_REASON_MAX, format, arguments);
    va_end(arguments);
    return false;
}

static bool refuse_data(char *ret_reason, const struct vine_argument *argument)
{
    return refuse(ret_reason, "its %s '%s' is of type %s, and files are of type bytes",
                  argument->kind == VINE_INPUT ? "input" : "output", argument->name,
                  human_data_type(argument->data_type));
}

static bool read_signature(const struct vine_procedure_info *info, struct signature *signature,
                           char *ret_reason)
{
    bool has_scalar = false; /* it travels before the bytes, and not without a value */

    for (uint32_t i = 0; i < info->argument_count; i++) {
        const struct vine_argument *argument = &info->arguments[i];
        const struct vine_argument **place =
            argument->kind == VINE_INPUT ? &signature->input : &signature->output;

        if (argument->kind == VINE_BYTES && !has_scalar && strcmp(argument->name, "key") == 0)
            signature->key = argument;
        else if (argument->kind == VINE_BYTES && argument->min > 0)
            return refuse(ret_reason, "it requires the argument '%s', which cannot be given here",
                          argument->name);
        has_scalar = has_scalar || argument->kind == VINE_SCALAR;
        if (argument->kind == VINE_RESULT)
            signature->has_result = true;
        if (argument->kind != VINE_INPUT && argument->kind != VINE_OUTPUT)
            continue; /* scalars, and bytes that it can do without: none are sent */
        if (*place != NULL)
            return refuse(ret_reason, "it has a second %s, '%s'",
                          argument->kind == VINE_INPUT ? "input" : "output", argument->name);
        if (argument->data_type != VINE_TYPE_BYTES)
            return refuse_data(ret_reason, argument);
        *place = argument;
    }
    if (signature->input == NULL)
        return refuse(ret_reason, "it takes no input");
    if (signature->output == NULL && !signature->has_result)
        return refuse(ret_reason, "it makes neither an output nor a result");
    return true;
}

/* Scalars travel in order, and nothing is known of the others: a level is the first one, or it
 * cannot be given. */
static void take_level(const struct vine_procedure_info *info, struct recipe *recipe)
{
    for (uint32_t i = 0; i < info->argument_count; i++) {
        const struct vine_argument *argument = &info->arguments[i];

        if (argument->kind != VINE_SCALAR)
            continue;
        recipe->has_levels = strcmp(argument->name, "level") == 0;
        recipe->level_min = argument->min;
        recipe->level_max = argument->max;
        return;
    }
}

bool recipe_of_info(const struct vine_procedure_info *info, struct recipe *ret_recipe,
                    char ret_reason[RECIPE_REASON_MAX])
{
    struct signature signature = {0};
    struct recipe recipe;

    if (!read_signature(info, &signature, ret_reason))
        return false;
    VINE_ASSERT(signature.input != NULL);
    if (recipe_of_shipped(info->name, &recipe)) {
        if (recipe.makes_files != (signature.output != NULL))
            return refuse(ret_reason, "it has another signature than the one that ships");
    } else {
        recipe = (struct recipe){.makes_files = signature.output != NULL,
                                 .needs_sessions = info->has_sessions};
        recipe.shape = !info->has_sessions  ? RECIPE_WHOLE
                       : recipe.makes_files ? RECIPE_STREAM
                                            : RECIPE_SUM;
        snprintf(recipe.procedure, sizeof(recipe.procedure), "%s", info->name);
        if (recipe.makes_files)
            snprintf(recipe.suffix, sizeof(recipe.suffix), ".%s", info->name);
        take_level(info, &recipe);
    }
    recipe.has_key = signature.key != NULL;
    recipe.key_min = signature.key != NULL ? signature.key->min : 0;
    recipe.key_max = signature.key != NULL ? signature.key->max : 0;
    recipe.input_min = signature.input->min;
    recipe.input_max = signature.input->max;
    recipe.room_min = signature.output != NULL ? signature.output->min : 0;
    recipe.room_max = signature.output != NULL ? signature.output->max : 0;
    *ret_recipe = recipe;
    return true;
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
    else if (strcmp(recipe->procedure, "seal") == 0)
        room = SEAL_ROOM(input_size);
    else if (strcmp(recipe->procedure, "open") == 0)
        room = OPEN_ROOM(input_size);
    else if (strcmp(recipe->procedure, "copy") == 0)
        room = input_size;
    else
        room = 2 * input_size + 4096; /* nothing is known of it */
    if (room < recipe->room_min)
        return recipe->room_min;
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
