/* SPDX-License-Identifier: Apache-2.0 */
/*
 * overlay_internal.h - units of an image as they will be, in memory, by their index.
 *
 * Threads: one at a time.
 */
#ifndef VINE_VMM_POOL_OVERLAY_INTERNAL_H
#define VINE_VMM_POOL_OVERLAY_INTERNAL_H

#include "vmm/pool/journal_layout.h"

#include <vine/base.h>
#include <vine/hash_table.h>

struct vine__overlay_unit {
    struct vine_hash_node node; /* by index */
    uint64_t index;
    unsigned char bytes[VINE_JOURNAL_UNIT_BYTES];
};

struct vine__overlay {
    struct vine_hash_table table;
    struct vine__overlay_unit **units; /* all of them, in the order in which they came */
    size_t count;
    size_t capacity;
};

void vine__overlay_init(struct vine__overlay *overlay);
void vine__overlay_fini(struct vine__overlay *overlay);

/* The unit, or NULL. */
struct vine__overlay_unit *vine__overlay_find(const struct vine__overlay *overlay, uint64_t index);

/* Put a unit in, or change it. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__overlay_put(struct vine__overlay *overlay, uint64_t index,
                                      const void *bytes);

/* By their indices, from here on. */
void vine__overlay_sort(struct vine__overlay *overlay);

#endif
