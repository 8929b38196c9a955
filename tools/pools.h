/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pools.h - what the verbs on pools share: a pool by its name, files that go into it, and how far
 * they are.
 */
#ifndef VINE_TOOLS_POOLS_H
#define VINE_TOOLS_POOLS_H

#include <jansson.h>

#include "vmm/pool/change.h"
#include "vmm/pool/pool.h"

#include "verb.h"

/* Say what is wrong. Returns the status that the error means. */
int pools_fail(int error, const struct vine__problem *problem);

/* FOLDER/NAME, or NAME of a pool that is here; also by the name of its image. Its parts are for
 * free(). Returns a status. */
int pools_name(const char *operand, char **ret_folder, char **ret_name);

/* Open it, mount it at `point` (NULL: it is read in place) and load it. Returns a status, which was
 * told. */
int pools_open(const char *operand, enum vine__pool_use use, const char *point,
               struct vine__pool **ret_pool, const struct vine__pool_contents **ret_contents);

/* Who is told how far a copy is: people. */
struct vine__progress pools_progress(void);
void pools_progress_end(void);

/* A file that goes into a pool. Returns a status; the descriptor is the caller's to close. */
int pools_source(const char *path, struct vine__source *ret_source);

/* One change of a pool: what `work` says by its result, 0 or an error with a problem. Returns a
 * status, which was told. */
typedef int (*pools_change_fn)(struct vine__pool_change *change, void *context,
                               struct vine__problem *problem);
int pools_change(struct vine__pool *pool, pools_change_fn work, void *context);
/* The same, whose problem is the caller's to tell. Returns 0 or an error. */
int pools_try(struct vine__pool *pool, pools_change_fn work, void *context,
              struct vine__problem *problem);

/* Whether a disk can be called so. Returns a status, which was told. */
int pools_check_disk(const char *name);

/* Its name and its UID. NULL: no memory. */
json_t *pools_vm_json(const struct vine__pool_vm *vm);

/* Remove machines, as one change. Returns a status, which was told. */
int pools_remove(const char *pool_name, char **names, size_t count, bool json);

#endif
