/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Invariant: who waits to pop does so because count == 0, who waits to push because
 * count == slot_count: so an item that comes while somebody waits for one goes to them at once, and
 * a slot that becomes free is filled at once by whoever waits for it.
 */
#include <vine/queue.h>

#include "core/sync/waiting_internal.h"
#include "utils/assert.h"

#include <errno.h>
#include <vine/error.h>

void vine_queue_init(struct vine_queue *queue, void **slots, size_t slot_count)
{
    VINE_ASSERT(slot_count > 0);
    *queue = (struct vine_queue){.slots = slots, .slot_count = slot_count};
}

void vine_queue_fini(struct vine_queue *queue)
{
    VINE_ASSERT(queue->pushers.first == NULL);
    VINE_ASSERT(queue->poppers.first == NULL);
    queue->is_closed = true;
}

static void put(struct vine_queue *queue, void *item)
{
    VINE_ASSERT(queue->count < queue->slot_count);
    queue->slots[(queue->first + queue->count) % queue->slot_count] = item;
    queue->count++;
}

int vine_queue_try_push(struct vine_queue *queue, void *item)
{
    struct vine_waiting *popper = queue->poppers.first;

    if (queue->is_closed)
        return -VINE_ECLOSED;
    if (popper != NULL) {
        VINE_ASSERT(queue->count == 0);
        popper->what.item = item;
        vine__waiting_end(popper, 0);
        return 0;
    }
    if (queue->count == queue->slot_count)
        return -EAGAIN;
    put(queue, item);
    return 0;
}

int vine_queue_try_pop(struct vine_queue *queue, void **ret_item)
{
    struct vine_waiting *pusher = queue->pushers.first;

    if (queue->count == 0)
        return queue->is_closed ? -VINE_ECLOSED : -EAGAIN;
    *ret_item = queue->slots[queue->first];
    queue->first = (queue->first + 1) % queue->slot_count;
    queue->count--;
    if (pusher != NULL) {
        put(queue, pusher->what.item);
        vine__waiting_end(pusher, 0);
    }
    return 0;
}

void vine_queue_push(struct vine_queue *queue, struct vine_waiting *waiting, void *item)
{
    if (!vine__waiting_begin(waiting))
        return;

    const int error = vine_queue_try_push(queue, item);

    waiting->what.item = item;
    if (error != -EAGAIN)
        vine__waiting_end(waiting, error);
    else
        vine__waiting_enqueue(&queue->pushers, waiting);
}

void vine_queue_pop(struct vine_queue *queue, struct vine_waiting *waiting)
{
    if (!vine__waiting_begin(waiting))
        return;
    waiting->what.item = NULL;

    const int error = vine_queue_try_pop(queue, &waiting->what.item);

    if (error != -EAGAIN)
        vine__waiting_end(waiting, error);
    else
        vine__waiting_enqueue(&queue->poppers, waiting);
}

void vine_queue_close(struct vine_queue *queue)
{
    queue->is_closed = true;
    vine__waiters_end(&queue->pushers, -VINE_ECLOSED);
    vine__waiters_end(&queue->poppers, -VINE_ECLOSED);
}
