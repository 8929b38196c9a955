/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/hash_table.h - an intrusive hash table that grows by and by.
 *
 * Owns:     its buckets; nodes are fields of the caller's objects.
 * Threads:  one at a time.
 * Blocking: never. Calls take constant time on average, and so does growing: buckets move to the
 *           larger array a few with each insertion. That array is allocated, and zeroed, at once.
 * Trust:    private memory only. Where a stranger chooses keys, the hash has to be one with a
 *           secret, else he chooses keys that meet in one bucket.
 * Limits:   none. It does not shrink. A table stays where it was initialised.
 *
 * What a key is, and when two are equal, the caller says: a node keeps its hash alone. Several
 * nodes may have the same key.
 *
 *     struct user { struct vine_hash_node node; char name[32]; };
 *
 *     static bool has_name(const struct vine_hash_node *node, const void *name)
 *     {
 *         return strcmp(((const struct user *)node)->name, name) == 0;
 *     }
 *
 *     vine_hash_table_insert(&users, &user->node, hash_of(user->name));
 *     found = vine_hash_table_find(&users, hash_of(name), has_name, name);
 */
#ifndef VINE_HASH_TABLE_H
#define VINE_HASH_TABLE_H

#include <vine/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

VINE_BEGIN_DECLARATIONS

struct vine_hash_node {
    struct vine_hash_node *next;
    uint64_t hash;
};

/* Where buckets come from: `size_bytes` of memory, zeroed, or NULL; and back. */
struct vine_hash_memory {
    void *(*get)(void *context, size_t size_bytes);
    void (*put)(void *context, void *memory, size_t size_bytes);
    void *context;
};

#define VINE_HASH_BUCKETS_FIRST 4

/* Private fields. */
struct vine_hash_table {
    struct vine_hash_node **buckets;
    struct vine_hash_node **former; /* the smaller array, while buckets move; else NULL */
    size_t moved;                   /* of its buckets */
    size_t count;
    uint8_t bits; /* there are 2^bits buckets, and half as many in `former` */
    struct vine_hash_memory memory;
    struct vine_hash_node *first[VINE_HASH_BUCKETS_FIRST];
};

/* An empty table. `memory` NULL: malloc's. */
VINE_API void vine_hash_table_init(struct vine_hash_table *table,
                                   const struct vine_hash_memory *memory);

/* Gives the buckets back. Nodes that are still in it are not touched. */
VINE_API void vine_hash_table_fini(struct vine_hash_table *table);

/* Put in a node, which is in no table. This never fails: where there is no memory for more buckets,
 * those that there are hold more. */
VINE_API void vine_hash_table_insert(struct vine_hash_table *table, struct vine_hash_node *node,
                                     uint64_t hash);

/* Take out a node that is in the table. */
VINE_API void vine_hash_table_remove(struct vine_hash_table *table, struct vine_hash_node *node);

/* Whether a node, whose hash is that of `key`, has that key. */
typedef bool (*vine_hash_match_fn)(const struct vine_hash_node *node, const void *key);

/* A node with that key, or NULL. */
VINE_API struct vine_hash_node *vine_hash_table_find(const struct vine_hash_table *table,
                                                     uint64_t hash, vine_hash_match_fn match,
                                                     const void *key);

static inline size_t vine_hash_table_count(const struct vine_hash_table *table)
{
    return table->count;
}

/* Walk over all nodes in no order: from a zeroed cursor on until NULL. Meanwhile none is put in;
 * the one that was returned last may be taken out. */
struct vine_hash_cursor {
    size_t bucket; /* private */
    struct vine_hash_node *next;
};

VINE_API struct vine_hash_node *vine_hash_table_next(const struct vine_hash_table *table,
                                                     struct vine_hash_cursor *cursor);

VINE_END_DECLARATIONS

#endif
