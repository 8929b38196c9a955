/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/pool/check.h - all that can be found wrong with a pool: its file system, what its files say,
 * their sizes and hashes, and what refers to what.
 *
 * Owns:     nothing.
 * Threads:  one at a time, that of the pool.
 * Blocking: reads all of it; runs e2fsck.
 * Trust:    every file may hold anything.
 * Limits:   what e2fsck knows of ext4.
 */
#ifndef VINE_VMM_POOL_CHECK_H
#define VINE_VMM_POOL_CHECK_H

#include "vmm/pool/pool.h"
#include "vmm/pool/source.h"

/* Called with each thing that is wrong: whose it is (a machine, or "" for the pool), and what. */
typedef void (*vine__pool_finding_fn)(void *context, const char *vm, const char *text);

/*
 * Check a pool that is read in place and was loaded. Where a change waits in a journal that we may
 * not write, that is told, and e2fsck is not asked.
 *
 * Returns how many things are wrong, all of which were told, or a negative error: it could not be
 * checked, and the problem says why.
 */
VINE_MUST_CHECK int vine__pool_check(struct vine__pool *pool, vine__pool_finding_fn finding,
                                     void *context, const struct vine__progress *progress,
                                     struct vine__problem *problem);

#endif
