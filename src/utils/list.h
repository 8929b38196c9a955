/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/list.h - the list of vine/list.h, with its invariant asserted in debug builds:
 * node->next->prev == node && node->prev->next == node, for head and nodes alike.
 */
#ifndef VINE_UTILS_LIST_H
#define VINE_UTILS_LIST_H

#include <vine/list.h>

#include "utils/assert.h"
#include "utils/container_of.h"

/* The same type, by the name that internal ones have. */
#define vine__list vine_list

static inline void vine__list_init(struct vine__list *list)
{
    vine_list_init(list);
}

static inline bool vine__list_is_empty(const struct vine__list *head)
{
    return vine_list_is_empty(head);
}

static inline bool vine__list_is_linked(const struct vine__list *node)
{
    return vine_list_is_linked(node);
}

static inline void vine__list_insert_after(struct vine__list *place, struct vine__list *node)
{
    VINE_ASSERT_SLOW(place->next->prev == place);
    vine_list_insert_after(place, node);
}

static inline void vine__list_push_back(struct vine__list *head, struct vine__list *node)
{
    vine__list_insert_after(head->prev, node);
}

static inline void vine__list_remove(struct vine__list *node)
{
    VINE_ASSERT_SLOW(node->next->prev == node && node->prev->next == node);
    vine_list_remove(node);
}

static inline struct vine__list *vine__list_first(struct vine__list *head)
{
    return vine_list_first(head);
}

static inline struct vine__list *vine__list_pop_front(struct vine__list *head)
{
    return vine_list_pop_front(head);
}

#endif
