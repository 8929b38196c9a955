/* SPDX-License-Identifier: Apache-2.0 */
/*
 * utils/queue.h - intrusive singly linked first-in, first-out queue.
 *
 * Owns:     nothing: nodes are fields of the caller's objects, one word each.
 * Threads:  one at a time.
 * Blocking: never; all calls take constant time.
 * Trust:    private memory only.
 * Limits:   a node is in one queue at most; only the first can be taken out.
 *
 * Invariant: first == NULL <=> last == NULL <=> count == 0; last->next == NULL.
 */
#ifndef VINE_UTILS_QUEUE_H
#define VINE_UTILS_QUEUE_H

#include "utils/assert.h"
#include "utils/container_of.h"

#include <stdbool.h>
#include <stddef.h>

struct vine__queue_node {
    struct vine__queue_node *next;
};

struct vine__queue {
    struct vine__queue_node *first;
    struct vine__queue_node *last;
    size_t count;
};

static inline void vine__queue_init(struct vine__queue *queue)
{
    *queue = (struct vine__queue){0};
}

static inline bool vine__queue_is_empty(const struct vine__queue *queue)
{
    return queue->first == NULL;
}

static inline size_t vine__queue_count(const struct vine__queue *queue)
{
    return queue->count;
}

static inline void vine__queue_push(struct vine__queue *queue, struct vine__queue_node *node)
{
    VINE_ASSERT((queue->first == NULL) == (queue->count == 0));
    node->next = NULL;
    if (queue->first == NULL)
        queue->first = node;
    else
        queue->last->next = node;
    queue->last = node;
    queue->count++;
}

/* For what was popped and could not be dealt with: it stays the next one. */
static inline void vine__queue_push_front(struct vine__queue *queue, struct vine__queue_node *node)
{
    VINE_ASSERT((queue->first == NULL) == (queue->count == 0));
    node->next = queue->first;
    queue->first = node;
    if (queue->last == NULL)
        queue->last = node;
    queue->count++;
}

/* The oldest node, still queued, or NULL. */
static inline struct vine__queue_node *vine__queue_first(const struct vine__queue *queue)
{
    return queue->first;
}

/* The oldest node, taken out, or NULL. */
static inline struct vine__queue_node *vine__queue_pop(struct vine__queue *queue)
{
    struct vine__queue_node *node = queue->first;
    if (node == NULL)
        return NULL;
    VINE_ASSERT(queue->count > 0);
    queue->first = node->next;
    if (queue->first == NULL)
        queue->last = NULL;
    queue->count--;
    node->next = NULL;
    return node;
}

/* Append all of `from`, which is empty afterwards. */
static inline void vine__queue_append(struct vine__queue *queue, struct vine__queue *from)
{
    if (from->first == NULL)
        return;
    if (queue->first == NULL)
        queue->first = from->first;
    else
        queue->last->next = from->first;
    queue->last = from->last;
    queue->count += from->count;
    vine__queue_init(from);
}

#define VINE_QUEUE_OBJECT(node, type, member) VINE_CONTAINER_OF(node, type, member)

#endif
