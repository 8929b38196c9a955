/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/list.h - intrusive doubly linked list.
 *
 * Owns:     nothing: nodes are fields of the caller's objects. A list is a ring of nodes through
 *           its head; a node that is in no list points at itself, so that removing it twice is
 *           harmless and vine_list_is_linked can be asked.
 * Threads:  one at a time: on reactors a list and all in it belong to one core.
 * Blocking: never; all calls take constant time.
 * Trust:    private memory only.
 * Limits:   none. A head and its nodes do not move while they are linked.
 *
 *     struct client {
 *         struct vine_list link;
 *         ...
 *     };
 *
 *     vine_list_init(&clients);
 *     vine_list_push_back(&clients, &client->link);
 *     VINE_LIST_FOR_EACH(node, &clients)
 *         greet(VINE_LIST_OBJECT(node, struct client, link));
 */
#ifndef VINE_LIST_H
#define VINE_LIST_H

#include <stdbool.h>

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

/* A head or a node, which vine_list_init prepares. Private fields. */
struct vine_list {
    struct vine_list *next;
    struct vine_list *prev;
};

/* Make a head an empty list, or a node one that is in no list. */
static inline void vine_list_init(struct vine_list *list)
{
    list->next = list;
    list->prev = list;
}

static inline bool vine_list_is_empty(const struct vine_list *head)
{
    return head->next == head;
}

/* Whether an initialized node is in a list. */
static inline bool vine_list_is_linked(const struct vine_list *node)
{
    return node->next != node;
}

/* Put `node`, which is in no list, right behind `place` (a node or the head). */
static inline void vine_list_insert_after(struct vine_list *place, struct vine_list *node)
{
    node->next = place->next;
    node->prev = place;
    place->next->prev = node;
    place->next = node;
}

static inline void vine_list_push_back(struct vine_list *head, struct vine_list *node)
{
    vine_list_insert_after(head->prev, node);
}

/* Take `node` out of whichever list it is in, if any. */
static inline void vine_list_remove(struct vine_list *node)
{
    node->next->prev = node->prev;
    node->prev->next = node->next;
    vine_list_init(node);
}

/* The first node, or NULL. */
static inline struct vine_list *vine_list_first(struct vine_list *head)
{
    return vine_list_is_empty(head) ? NULL : head->next;
}

/* The first node, taken out, or NULL. */
static inline struct vine_list *vine_list_pop_front(struct vine_list *head)
{
    struct vine_list *node = vine_list_first(head);

    if (node != NULL)
        vine_list_remove(node);
    return node;
}

/* Visit each node from first to last; `node` may be removed (and freed) by the body, other nodes
 * may not. */
#define VINE_LIST_FOR_EACH(node, head)                                                             \
    for (struct vine_list *node = (head)->next, *node##_next = node->next; node != (head);         \
         node = node##_next, node##_next = node->next)

/* The object of a node: VINE_LIST_OBJECT(node, struct thing, link). */
#define VINE_LIST_OBJECT(node, type, member) VINE_CONTAINER_OF(node, type, member)

VINE_END_DECLARATIONS

#endif
