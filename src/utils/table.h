/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/table.h - hash table from 64-bit keys to pointers, bounded when it is made.
 *
 * Owns:     its slots; never what the pointers point to.
 * Threads:  one at a time.
 * Blocking: never. Calls take constant time on average.
 * Trust:    keys may be chosen by a peer if `seed` is random (vine__random_bytes): without it, it
 *           cannot make them collide on purpose.
 * Limits:   `count_max` entries, at most 2^31; no allocation after init.
 *
 * Open addressing with linear probing, at most half full. A removal moves later entries back, so
 * that a table which lives long gets no slower.
 *
 * Invariants: count <= count_max <= slot_count / 2; no slot between an entry's home (its hash) and
 * its place is empty; an empty slot has value NULL.
 */
#ifndef VINE_UTILS_TABLE_H
#define VINE_UTILS_TABLE_H

#include <stdbool.h>
#include <stdint.h>

struct vine__table_slot {
    uint64_t key;
    void *value;
};

struct vine__table {
    struct vine__table_slot *slots;
    uint64_t mask; /* slot_count - 1 */
    uint64_t seed;
    uint32_t count;
    uint32_t count_max;
};

/* Returns 0, -ENOMEM, or -EINVAL for a `count_max` of 0 or beyond the limit. */
int vine__table_init(struct vine__table *table, uint32_t count_max, uint64_t seed);

/* What it allocates. */
uint64_t vine__table_bytes(uint32_t count_max);

/* Accepts a zeroed table. */
void vine__table_fini(struct vine__table *table);

/* Returns 0; -EEXIST if the key is there, which changes nothing; -ENOSPC if the table is full.
 * `value` is not NULL. */
int vine__table_insert(struct vine__table *table, uint64_t key, void *value);

/* The value of a key, or NULL. */
void *vine__table_find(const struct vine__table *table, uint64_t key);

/* Take a key out. Returns its value, or NULL if it was not there. */
void *vine__table_remove(struct vine__table *table, uint64_t key);

/* Walk in no order: start with *position = 0; false at the end. Nothing is inserted or removed
 * meanwhile. `ret_key` may be NULL. */
bool vine__table_next(const struct vine__table *table, uint64_t *position, uint64_t *ret_key,
                      void **ret_value);

/* Whether the invariants hold; walks the table. */
bool vine__table_validate(const struct vine__table *table);

#endif
