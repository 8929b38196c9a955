/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What will happen: a heap by time, and among equals by the order in which it was decided.
 */
#include "sim/world_internal.h"

#include "utils/assert.h"

#include <stdlib.h>

static struct {
    struct world_event **at;
    uint32_t count, room;
    uint64_t order;
} heap;

static bool is_before(const struct world_event *a, const struct world_event *b)
{
    return a->due_ns != b->due_ns ? a->due_ns < b->due_ns : a->order < b->order;
}

static void put(uint32_t place, struct world_event *event)
{
    heap.at[place] = event;
    event->place = place + 1;
}

static void rise(uint32_t place, struct world_event *event)
{
    while (place > 0 && is_before(event, heap.at[(place - 1) / 2])) {
        put(place, heap.at[(place - 1) / 2]);
        place = (place - 1) / 2;
    }
    put(place, event);
}

static void sink(uint32_t place, struct world_event *event)
{
    for (;;) {
        uint32_t child = 2 * place + 1;

        if (child >= heap.count)
            break;
        if (child + 1 < heap.count && is_before(heap.at[child + 1], heap.at[child]))
            child++;
        if (is_before(event, heap.at[child]))
            break;
        put(place, heap.at[child]);
        place = child;
    }
    put(place, event);
}

void world_never(struct world_event *event)
{
    const uint32_t place = event->place;

    if (place == 0)
        return;
    event->place = 0;
    struct world_event *const last = heap.at[--heap.count];

    if (last == event)
        return;
    sink(place - 1, last);
    rise(last->place - 1, last);
}

void world_at(struct world_event *event, uint64_t due_ns, world_event_fn fn)
{
    world_never(event);
    if (heap.count == heap.room) {
        heap.room = heap.room == 0 ? 64 : heap.room * 2;
        heap.at = realloc(heap.at, heap.room * sizeof(*heap.at));
        VINE_ASSERT(heap.at != NULL);
    }
    event->due_ns = due_ns;
    event->order = heap.order++;
    event->fn = fn;
    rise(heap.count++, event);
}

void world_after(struct world_event *event, uint64_t least_ns, uint64_t most_ns, world_event_fn fn)
{
    world_at(event, world.now_ns + world_between(least_ns, most_ns), fn);
}

uint64_t world_events_next_ns(void)
{
    return heap.count > 0 ? heap.at[0]->due_ns : VINE_FOREVER;
}

void world_events_run(void)
{
    while (heap.count > 0 && heap.at[0]->due_ns <= world.now_ns) {
        struct world_event *const event = heap.at[0];

        world_never(event);
        event->fn(event);
    }
}

void world_events_clear(void)
{
    while (heap.count > 0)
        world_never(heap.at[0]);
    free(heap.at);
    heap.at = NULL;
    heap.room = 0;
    heap.order = 0;
}
