/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/fifo.h - an intrusive queue: first in, first out, in the objects' own memory.
 *
 * Owns:     nothing: nodes are fields of the caller's objects.
 * Threads:  one at a time.
 * Blocking: never; all calls take constant time but vine_fifo_remove, which walks.
 * Trust:    private memory only.
 * Limits:   a node is in one queue at a time, and mostly leaves it at the front: vine/list.h is for
 *           what often leaves from the middle. vine/queue.h is a bounded queue to wait at.
 *
 * Zeroed memory is an empty queue.
 */
#ifndef VINE_FIFO_H
#define VINE_FIFO_H

#include <vine/base.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

VINE_BEGIN_DECLARATIONS

struct vine_fifo_node {
    struct vine_fifo_node *next;
};

/* Private fields. */
struct vine_fifo {
    struct vine_fifo_node *first, *last; /* both NULL: empty */
};

static inline void vine_fifo_init(struct vine_fifo *fifo)
{
    fifo->first = NULL;
    fifo->last = NULL;
}

static inline bool vine_fifo_is_empty(const struct vine_fifo *fifo)
{
    return fifo->first == NULL;
}

/* The node that is popped next, or NULL. */
static inline struct vine_fifo_node *vine_fifo_first(const struct vine_fifo *fifo)
{
    return fifo->first;
}

static inline void vine_fifo_push(struct vine_fifo *fifo, struct vine_fifo_node *node)
{
    node->next = NULL;
    if (fifo->last == NULL)
        fifo->first = node;
    else
        fifo->last->next = node;
    fifo->last = node;
}

/* Put a node before all others. */
static inline void vine_fifo_push_front(struct vine_fifo *fifo, struct vine_fifo_node *node)
{
    node->next = fifo->first;
    if (fifo->last == NULL)
        fifo->last = node;
    fifo->first = node;
}

/* The first node, taken out, or NULL. */
static inline struct vine_fifo_node *vine_fifo_pop(struct vine_fifo *fifo)
{
    struct vine_fifo_node *const node = fifo->first;

    if (node == NULL)
        return NULL;
    fifo->first = node->next;
    if (fifo->first == NULL)
        fifo->last = NULL;
    return node;
}

/* Take a node out, wherever it is. Walks from the front. Returns whether it was there. */
static inline bool vine_fifo_remove(struct vine_fifo *fifo, struct vine_fifo_node *node)
{
    struct vine_fifo_node *before = NULL;
    struct vine_fifo_node *at = fifo->first;

    while (at != NULL && at != node) {
        before = at;
        at = at->next;
    }
    if (at == NULL)
        return false;
    if (before == NULL)
        fifo->first = at->next;
    else
        before->next = at->next;
    if (fifo->last == at)
        fifo->last = before;
    return true;
}

/* Put all nodes of `from`, which is empty then, behind those of `fifo`. */
static inline void vine_fifo_append(struct vine_fifo *fifo, struct vine_fifo *from)
{
    if (from->first == NULL)
        return;
    if (fifo->last == NULL)
        fifo->first = from->first;
    else
        fifo->last->next = from->first;
    fifo->last = from->last;
    vine_fifo_init(from);
}

VINE_END_DECLARATIONS

#endif
