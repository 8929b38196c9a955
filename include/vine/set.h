/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/set.h - an intrusive ordered set: a balanced tree in the objects' own memory.
 *
 * Owns:     nothing: nodes are fields of the caller's objects.
 * Threads:  one at a time.
 * Blocking: never. Calls look at no more than 1.45 log2(count) + 2 nodes, whatever is in the set;
 *           walking from one to the next takes constant time on average.
 * Trust:    private memory only; whoever chooses the keys makes it no slower.
 * Limits:   2^40 nodes. No two are equal.
 *
 * An AVL tree (Adelson-Velsky and Landis, 1962; Knuth, The Art of Computer Programming, 6.2.3).
 */
#ifndef VINE_SET_H
#define VINE_SET_H

#include <vine/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

VINE_BEGIN_DECLARATIONS

/* Private fields. */
struct vine_set_node {
    struct vine_set_node *parent;
    struct vine_set_node *child[2]; /* lesser, greater */
    uint8_t height;                 /* of the tree below, itself included */
};

/* Negative, 0 or positive: `a` is less than, equal to or greater than `b`. */
typedef int (*vine_set_order_fn)(const struct vine_set_node *a, const struct vine_set_node *b);

/* The same of a key and a node. */
typedef int (*vine_set_compare_fn)(const void *key, const struct vine_set_node *node);

/* Private fields. */
struct vine_set {
    struct vine_set_node *root;
    vine_set_order_fn order;
    size_t count;
};

/* An empty set. */
VINE_API void vine_set_init(struct vine_set *set, vine_set_order_fn order);

/* Put in a node, which is in no set. Returns NULL; or the node that is equal to it and was there
 * before: then nothing has changed. */
VINE_API struct vine_set_node *vine_set_insert(struct vine_set *set, struct vine_set_node *node);

/* Take out a node that is in the set. */
VINE_API void vine_set_remove(struct vine_set *set, struct vine_set_node *node);

/* The node that is equal to the key, or NULL. */
VINE_API struct vine_set_node *vine_set_find(const struct vine_set *set, const void *key,
                                             vine_set_compare_fn compare);

/* The first node that is not less than the key, or NULL. */
VINE_API struct vine_set_node *vine_set_at_least(const struct vine_set *set, const void *key,
                                                 vine_set_compare_fn compare);

/* The least and the greatest node, and what comes after one and before one; NULL: none. */
VINE_API struct vine_set_node *vine_set_first(const struct vine_set *set);
VINE_API struct vine_set_node *vine_set_last(const struct vine_set *set);
VINE_API struct vine_set_node *vine_set_next(const struct vine_set_node *node);
VINE_API struct vine_set_node *vine_set_previous(const struct vine_set_node *node);

static inline size_t vine_set_count(const struct vine_set *set)
{
    return set->count;
}

VINE_END_DECLARATIONS

#endif
