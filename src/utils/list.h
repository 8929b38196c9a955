/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/list.h - intrusive doubly linked list.
 *
 * Owns:     nothing: nodes are fields of the caller's objects. A list is a ring of nodes through
 *           its head; a node that is in no list points at itself, so that removing it twice is
 *           harmless and `vine__list_is_linked` can be asked.
 * Threads:  one at a time.
 * Blocking: never; all calls take constant time.
 * Trust:    private memory only.
 * Limits:   none.
 *
 * Invariant: node->next->prev == node && node->prev->next == node, for head and nodes alike.
 */
#ifndef VINE_UTILS_LIST_H
#define VINE_UTILS_LIST_H

#include "utils/assert.h"
#include "utils/container_of.h"

#include <stdbool.h>
#include <stddef.h>

struct vine__list {
    struct vine__list *next;
    struct vine__list *prev;
};

/* Make a head an empty list, or a node one that is in no list. */
static inline void vine__list_init(struct vine__list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool vine__list_is_empty(const struct vine__list *head)
{
    return head->next == head;
}

/* Whether an initialized node is in a list. */
static inline bool vine__list_is_linked(const struct vine__list *node)
{
    return node->next != node;
}

/* Put `node`, which is in no list, right behind `place` (a node or the head). */
static inline void vine__list_insert_after(struct vine__list *place, struct vine__list *node)
{
    VINE_ASSERT_SLOW(place->next->prev == place);
    node->next = place->next;
    node->prev = place;
    place->next->prev = node;
    place->next = node;
}

static inline void vine__list_push_back(struct vine__list *head, struct vine__list *node)
{
    vine__list_insert_after(head->prev, node);
}

/* Take `node` out of whichever list it is in, if any. */
static inline void vine__list_remove(struct vine__list *node)
{
    VINE_ASSERT_SLOW(node->next->prev == node && node->prev->next == node);
    node->next->prev = node->prev;
    node->prev->next = node->next;
    vine__list_init(node);
}

/* The first node, or NULL. */
static inline struct vine__list *vine__list_first(struct vine__list *head)
{
    return vine__list_is_empty(head) ? NULL : head->next;
}

/* The first node, taken out, or NULL. */
static inline struct vine__list *vine__list_pop_front(struct vine__list *head)
{
    struct vine__list *node = vine__list_first(head);
    if (node != NULL)
        vine__list_remove(node);
    return node;
}

/* Visit each node from first to last; `node` may be removed (and freed) by the body, other nodes
 * may not. */
#define VINE_LIST_FOR_EACH(node, head)                                                             \
    for (struct vine__list *node = (head)->next, *node##_next = node->next; node != (head);        \
         node = node##_next, node##_next = node->next)

/* The object of a node: VINE_LIST_OBJECT(node, struct thing, link). */
#define VINE_LIST_OBJECT(node, type, member) VINE_CONTAINER_OF(node, type, member)

#endif
