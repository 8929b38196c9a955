/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/pools_file.h - which pools a server was told to open while it ran, so that they come
 * back: pools.json in its folder of state.
 *
 * Owns:     its paths.
 * Threads:  one at a time on one list.
 * Blocking: _load reads a file (state_file.h); others never.
 * Trust:    a file may hold anything: what is wrong is told, and nothing of it is taken.
 * Limits:   VINE__POOL_PATHS_MAX.
 */
#ifndef VINE_VMM_SERVER_POOLS_FILE_H
#define VINE_VMM_SERVER_POOLS_FILE_H

#include <vine/base.h>

#include <stdint.h>

#define VINE__POOL_PATHS_MAX       64
#define VINE__POOL_PATHS_WHY_BYTES 256

/* FOLDER/NAME of each, absolute, in the order in which they were opened. All zero: none. */
struct vine__pool_paths {
    char *all[VINE__POOL_PATHS_MAX];
    uint32_t count;
};

void vine__pool_paths_fini(struct vine__pool_paths *paths);

/* One more, unless it is there; or less, if it is. Returns 0, -ENOSPC or -ENOMEM. */
VINE_MUST_CHECK int vine__pool_paths_add(struct vine__pool_paths *paths, const char *path);
void vine__pool_paths_remove(struct vine__pool_paths *paths, const char *path);

/* From the file, which may be missing: then there are none. Returns 0, or an error and what is
 * wrong in `why`. */
VINE_MUST_CHECK int vine__pool_paths_load(const char *file, struct vine__pool_paths *ret_paths,
                                          char why[VINE__POOL_PATHS_WHY_BYTES]);

/* The text of the file, for free(). NULL: no memory. */
char *vine__pool_paths_print(const struct vine__pool_paths *paths);

#endif
