/* SPDX-License-Identifier: Apache-2.0 */
/*
 * collide.h - find, before anything is done, two arguments whose results would have one name.
 *
 * Only what lies in several arguments at the same relative path is looked at, one directory at a
 * time, so a tree that is alone in its corner costs nothing.
 */
#ifndef VINE_TOOLS_COLLIDE_H
#define VINE_TOOLS_COLLIDE_H

#include <stddef.h>

#include "recipe.h"

struct collision {
    char *result; /* the path that both would have, for the caller to free */
    size_t first; /* arguments */
    size_t second;
};

/* Returns 0: none; 1: *ret_collision tells one; -ENOMEM; another negated errno where directories
 * cannot be compared. What cannot be read is left to the run itself. */
int collide_find(const struct recipe *recipe, char *const *arguments, size_t count,
                 struct collision *ret_collision);

#endif
