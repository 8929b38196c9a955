/* SPDX-License-Identifier: Apache-2.0 */
/*
 * recipe.h - how a file goes through a procedure: in which pieces, and what its result is called.
 *
 * The procedures that ship are known by name. One from a library is taken by its signature: one
 * input, and one output or a result.
 */
#ifndef VINE_TOOLS_RECIPE_H
#define VINE_TOOLS_RECIPE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/talk.h>

enum recipe_shape {
    RECIPE_CHUNKS, /* each chunk by itself, side by side; results one behind the other */
    RECIPE_STREAM, /* chunks in a session; outputs one behind the other */
    RECIPE_EXPAND, /* a session whose results say how much they took (vine_expand_result) */
    RECIPE_WHOLE,  /* one task for the file */
    RECIPE_SUM,    /* chunks in a session; the last one's result bytes are printed */
};

struct recipe {
    char procedure[VINE_NAME_MAX + 1];
    enum recipe_shape shape;
    bool makes_files;
    bool takes_suffix_off;
    bool needs_sessions; /* for files of more than one chunk */
    char suffix[VINE_NAME_MAX + 2];
    bool has_levels; /* the first scalar */
    uint64_t level_min, level_max;
    bool has_key;                  /* bytes of this name, and no scalar before them */
    uint64_t key_min, key_max;     /* bytes; key_min 0: it can do without */
    uint64_t input_min, input_max; /* bytes of one task */
    uint64_t room_min, room_max;   /* of its output */
};

/* The recipe of a procedure that ships, without asking an appliance. Returns false for another. */
bool recipe_of_shipped(const char *procedure, struct recipe *ret_recipe);

#define RECIPE_REASON_MAX 128

/* The recipe of what an appliance says it has. Returns false, and why in `ret_reason`, where `vine
 * run` cannot use it. */
bool recipe_of_info(const struct vine_procedure_info *info, struct recipe *ret_recipe,
                    char ret_reason[RECIPE_REASON_MAX]);

/* The room that a task's output needs at most. */
uint64_t recipe_room(const struct recipe *recipe, uint64_t input_size);

/* The path of the result of a source's path, for the caller to free. NULL: without memory, or the
 * suffix to be taken off is not there (recipe_fits tells). */
char *recipe_result_path(const struct recipe *recipe, const char *path);
bool recipe_fits(const struct recipe *recipe, const char *path);

#endif
