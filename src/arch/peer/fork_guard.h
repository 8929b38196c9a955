/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/peer/fork_guard.h - notice that we are a forked child, with one comparison.
 *
 * Owns:     one page of the process, made on first use and kept until it ends.
 * Threads:  any.
 * Blocking: never.
 * Trust:    private memory only.
 * Limits:   kernels from 4.14 (MADV_WIPEONFORK).
 *
 * Each process that asks gets a generation, which lies in a page that the kernel wipes in a
 * child. What must not be used in a child remembers the generation in which it was made; a child
 * that makes things of its own gets a new generation, so that what it inherited stays recognized.
 *
 * Caveats:  a child that shares its parent's memory (vfork, clone with CLONE_VM) is not told from
 *           it.
 */
#ifndef VINE_ARCH_PEER_FORK_GUARD_H
#define VINE_ARCH_PEER_FORK_GUARD_H

#include <vine/base.h>

#include "utils/atomic.h"

#include <stdbool.h>
#include <stdint.h>

/* This process's generation; 0 in a forked child that did not ask for its own yet. NULL until the
 * first vine__fork_guard_init() of this process or of those it was forked from. */
extern void *vine__fork_guard_page;

/* Get this process's generation, which is not 0. Any thread, any number of times.
 * Returns 0; -ENOMEM; -EINVAL if the kernel has no MADV_WIPEONFORK. */
VINE_MUST_CHECK int vine__fork_guard_init(uint64_t *ret_generation);

/* Whether this process is another one than the one that got `generation` from
 * vine__fork_guard_init(). Any thread. */
VINE__ALWAYS_INLINE bool vine__forked(uint64_t generation)
{
    /* The pointer never changes once somebody has a generation; the word changes in a child
     * only. */
    const uint64_t *word = (const uint64_t *)vine__fork_guard_page;
    return vine__load_relaxed_u64(word) != generation;
}

#endif
