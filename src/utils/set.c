/* SPDX-License-Identifier: Apache-2.0 */
/*
 *     height(node) = 1 + the larger of its children's, which differ by one at most
 *     all below child[0] are less than the node, all below child[1] are greater
 */
#include <vine/set.h>

#include "utils/assert.h"

static int height_of(const struct vine_set_node *node)
{
    return node == NULL ? 0 : node->height;
}

/* On which side of its parent a node is. */
static int side_of(const struct vine_set_node *node)
{
    return node->parent->child[1] == node;
}

/* Have `node`, or nothing, take the place of `former` below its parent. */
static void replace(struct vine_set *set, struct vine_set_node *former, struct vine_set_node *node)
{
    struct vine_set_node *const parent = former->parent;

    if (parent == NULL)
        set->root = node;
    else
        parent->child[side_of(former)] = node;
    if (node != NULL)
        node->parent = parent;
}

static void measure(struct vine_set_node *node)
{
    const int lesser = height_of(node->child[0]);
    const int greater = height_of(node->child[1]);

    node->height = (uint8_t)(1 + (lesser > greater ? lesser : greater));
}

static void adopt(struct vine_set_node *parent, int side, struct vine_set_node *child)
{
    parent->child[side] = child;
    if (child != NULL)
        child->parent = parent;
}

/* The child on that side comes up, and the node goes down on the other. Returns who came up. */
static struct vine_set_node *raise(struct vine_set *set, struct vine_set_node *node, int side)
{
    struct vine_set_node *const child = node->child[side];

    replace(set, node, child);
    adopt(node, side, child->child[!side]);
    adopt(child, !side, node);
    measure(node);
    measure(child);
    return child;
}

/* From a node whose children have changed up to the first whose height has not. */
static void balance(struct vine_set *set, struct vine_set_node *node)
{
    while (node != NULL) {
        const int former = node->height;
        const int lean = height_of(node->child[1]) - height_of(node->child[0]);
        const int side = lean > 0;

        measure(node);
        if (lean > 1 || lean < -1) {
            struct vine_set_node *const child = node->child[side];

            if (height_of(child->child[side]) < height_of(child->child[!side]))
                (void)raise(set, child, !side);
            node = raise(set, node, side);
        }
        if (node->height == former)
            return;
        node = node->parent;
    }
}

void vine_set_init(struct vine_set *set, vine_set_order_fn order)
{
    *set = (struct vine_set){.order = order};
}

struct vine_set_node *vine_set_insert(struct vine_set *set, struct vine_set_node *node)
{
    struct vine_set_node *parent = NULL;
    int side = 0;

    for (struct vine_set_node *at = set->root; at != NULL; at = at->child[side]) {
        const int order = set->order(node, at);

        if (order == 0)
            return at;
        parent = at;
        side = order > 0;
    }
    *node = (struct vine_set_node){.parent = parent, .height = 1};
    if (parent == NULL)
        set->root = node;
    else
        parent->child[side] = node;
    set->count++;
    balance(set, parent);
    return NULL;
}

/* Have the next greater node, which has no lesser child, take its place. Returns from where on the
 * tree is to be balanced. */
static struct vine_set_node *give_place_to_next(struct vine_set *set, struct vine_set_node *node)
{
    struct vine_set_node *const next = vine_set_next(node);
    struct vine_set_node *const from = next->parent == node ? next : next->parent;

    replace(set, next, next->child[1]);
    adopt(next, 0, node->child[0]);
    adopt(next, 1, node->child[1]);
    next->height = node->height;
    replace(set, node, next);
    return from;
}

void vine_set_remove(struct vine_set *set, struct vine_set_node *node)
{
    struct vine_set_node *from;

    VINE_ASSERT(node->height != 0); /* it is in no set */
    if (node->child[0] != NULL && node->child[1] != NULL) {
        from = give_place_to_next(set, node);
    } else {
        from = node->parent;
        replace(set, node, node->child[node->child[0] == NULL]);
    }
    *node = (struct vine_set_node){0};
    set->count--;
    balance(set, from);
}

struct vine_set_node *vine_set_at_least(const struct vine_set *set, const void *key,
                                        vine_set_compare_fn compare)
{
    struct vine_set_node *found = NULL;

    for (struct vine_set_node *at = set->root; at != NULL;) {
        const int order = compare(key, at);

        if (order == 0)
            return at;
        if (order < 0)
            found = at;
        at = at->child[order > 0];
    }
    return found;
}

struct vine_set_node *vine_set_find(const struct vine_set *set, const void *key,
                                    vine_set_compare_fn compare)
{
    struct vine_set_node *const node = vine_set_at_least(set, key, compare);

    return node != NULL && compare(key, node) == 0 ? node : NULL;
}

/* The outermost node on that side. */
static struct vine_set_node *outermost(struct vine_set_node *node, int side)
{
    while (node != NULL && node->child[side] != NULL)
        node = node->child[side];
    return node;
}

struct vine_set_node *vine_set_first(const struct vine_set *set)
{
    return outermost(set->root, 0);
}

struct vine_set_node *vine_set_last(const struct vine_set *set)
{
    return outermost(set->root, 1);
}

static struct vine_set_node *neighbour(const struct vine_set_node *node, int side)
{
    if (node->child[side] != NULL)
        return outermost(node->child[side], !side);
    while (node->parent != NULL && side_of(node) == side)
        node = node->parent;
    return node->parent;
}

struct vine_set_node *vine_set_next(const struct vine_set_node *node)
{
    return neighbour(node, 1);
}

struct vine_set_node *vine_set_previous(const struct vine_set_node *node)
{
    return neighbour(node, 0);
}
