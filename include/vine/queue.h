/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/queue.h - a bounded queue of pointers between functions of one core.
 *
 * Owns:     nothing: the slots are the caller's memory, and so is what the pointers point to.
 * Threads:  one core.
 * Blocking: never; see vine/waiting.h.
 * Trust:    not concerned.
 * Limits:   1 slot or more. First come first served, on both sides.
 */
#ifndef VINE_QUEUE_H
#define VINE_QUEUE_H

#include <vine/waiting.h>

VINE_BEGIN_DECLARATIONS

/* Private fields. */
struct vine_queue {
    struct vine_waiters pushers; /* wait: all slots are taken */
    struct vine_waiters poppers; /* wait: no slot is taken */
    void **slots;
    size_t slot_count;
    size_t first; /* index of the oldest */
    size_t count;
    bool is_closed;
};

VINE_API void vine_queue_init(struct vine_queue *queue, void **slots, size_t slot_count);

/* Nobody may wait any more. What is still in it is the caller's. */
VINE_API void vine_queue_fini(struct vine_queue *queue);

/* Returns 0, -EAGAIN: full, or -VINE_ECLOSED. */
VINE_API VINE_MUST_CHECK int vine_queue_try_push(struct vine_queue *queue, void *item);

/* Returns 0, -EAGAIN: empty, or -VINE_ECLOSED: closed, and all was taken out. */
VINE_API VINE_MUST_CHECK int vine_queue_try_pop(struct vine_queue *queue, void **ret_item);

/* Have `waiting` called when `item` was taken in, or with another result: then it was not. */
VINE_API void vine_queue_push(struct vine_queue *queue, struct vine_waiting *waiting, void *item);

/* Have `waiting` called when vine_queue_item is for it, or with another result. */
VINE_API void vine_queue_pop(struct vine_queue *queue, struct vine_waiting *waiting);

/* What a pop got whose result is 0. */
static inline void *vine_queue_item(const struct vine_waiting *waiting)
{
    return waiting->what.item;
}

/* Nothing comes in any more: whoever waits to push gets -VINE_ECLOSED, and so does whoever pops
 * once all was taken out. */
VINE_API void vine_queue_close(struct vine_queue *queue);

static inline size_t vine_queue_count(const struct vine_queue *queue)
{
    return queue->count;
}

VINE_END_DECLARATIONS

#endif
