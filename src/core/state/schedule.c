/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/state/schedule.c - the run queue of a heap.
 *
 * A queue by `next`, first in, first out. A coroutine is in it, or runs, or is blocked, and
 *
 *     coroutine_count = queued + running + blocked + ended ones that somebody may still join
 */

#include <string.h>

#include "core/state/state_internal.h"
#include "utils/assert.h"

VINE__INSIDE static void push_last(struct vine__inside *inside, struct vine_coroutine *that)
{
    that->next = NULL;
    that->is_queued = true;
    if (inside->run_last != NULL)
        inside->run_last->next = that;
    else
        inside->run_first = that;
    inside->run_last = that;
}

VINE__INSIDE void vine__queue_first(struct vine__inside *inside, struct vine_coroutine *that)
{
    that->next = inside->run_first;
    that->is_queued = true;
    inside->run_first = that;
    if (inside->run_last == NULL)
        inside->run_last = that;
}

VINE__INSIDE void vine__wake(struct vine_coroutine *that, int64_t result)
{
    if (that->is_queued || that->status != VINE__COROUTINE_BLOCKED)
        return;
    that->result = result;
    that->status = VINE__COROUTINE_RUNNING;
    that->ask.kind = VINE__ASK_NOTHING;
    if (that->waits != NULL) {
        *that->waits = NULL;
        that->waits = NULL;
    }
    push_last(that->inside, that);
}

VINE__INSIDE void vine__ask(struct vine_coroutine *that, enum vine__ask_kind kind, uint16_t socket,
                            uint64_t a, uint64_t b)
{
    struct vine__inside *const inside = that->inside;
    struct vine__ask *const ask = &that->ask;

    ask->number++;
    ask->kind = (uint16_t)kind;
    ask->socket = socket;
    ask->a = a;
    ask->b = b;
    ask->deadline_ns = that->deadline_ns;
    ask->next = inside->asks;
    inside->asks = ask;
    vine__block(that);
}

VINE__INSIDE struct vine_coroutine *vine__coroutine_create(struct vine__inside *inside,
                                                           const struct vine_coroutine_type *type,
                                                           void *argument,
                                                           struct vine_coroutine *parent)
{
    struct vine_coroutine *const that = vine__heap_alloc(&inside->heap, sizeof *that);

    if (that == NULL)
        return NULL;
    that->module = (uint8_t)type->module->number;
    that->type = (uint16_t)(type - type->module->types);
    that->argument = argument;
    that->inside = inside;
    that->parent = parent;
    inside->coroutine_count++;
    if (parent != NULL) {
        that->depth = (uint8_t)(parent->depth + 1);
        that->socket = parent->socket;
        that->deadline_ns = parent->deadline_ns;
        that->sibling = parent->children;
        parent->children = that;
    }
    return that;
}

struct vine__inside *vine__inside_init(struct vine__heap *heap, size_t inside_bytes,
                                       const struct vine_coroutine_type *type, void *argument)
{
    VINE_ASSERT(inside_bytes >= sizeof(struct vine__inside));

    struct vine__inside *const inside = (void *)vine__heap_init(heap, inside_bytes);

    if (inside == NULL)
        return NULL;
    inside->first = vine__coroutine_create(inside, type, argument, NULL);
    if (inside->first == NULL)
        return NULL;
    push_last(inside, inside->first);
    return inside;
}

VINE__INSIDE void vine__inside_begin(struct vine__inside *inside, const struct vine__record *record)
{
    inside->record = record;
    inside->asks = NULL;
    inside->lent_used = 0;
    inside->is_spent = false;
}

VINE__INSIDE void vine__inside_take(struct vine__inside *inside, const struct vine__item *item)
{
    struct vine_coroutine *that = NULL;

    switch (item->kind) {
    case VINE__ITEM_ASK:
        /* The place is what this heap gave, and its own rights are all that is used. */
        that = (void *)((unsigned char *)inside + item->place);
        if (that->ask.number == item->number && vine__is_asking(that)) {
            if (item->result < 0)
                that->error = (int)item->result;
            vine__wake(that, item->result);
        }
        break;
    case VINE__ITEM_RAISE:
        that = inside->current;
        if (that == NULL)
            that = inside->first;
        that->error = (int)item->result;
        if (!that->is_queued)
            vine__queue_first(inside, that);
        that->status = VINE__COROUTINE_RUNNING;
        break;
    default:
        vine__cancel_from_outside(inside->first, (int)item->result);
        break;
    }
}

/* What a run of its function left. */
VINE__INSIDE static void look_at(struct vine__inside *inside, struct vine_coroutine *that)
{
    switch (that->status) {
    case VINE__COROUTINE_YIELDED:
        that->status = VINE__COROUTINE_RUNNING;
        push_last(inside, that);
        break;
    case VINE__COROUTINE_BLOCKED:
        break;
    case VINE__COROUTINE_LEFT:
        vine__coroutine_left(that);
        break;
    default:
        vine__misuse(that, "its function returned, which vine_return() does");
    }
}

VINE__INSIDE void vine__inside_drain(struct vine__inside *inside)
{
    uint32_t quota = inside->record->quota;

    while (inside->run_first != NULL) {
        struct vine_coroutine *const that = inside->run_first;

        if (quota-- == 0) {
            inside->is_spent = true;
            break;
        }
        inside->run_first = that->next;
        if (inside->run_first == NULL)
            inside->run_last = NULL;
        that->is_queued = false;
        inside->current = that;

        const struct vine_coroutine_type *const type = vine__type_of(that->module, that->type);

        if (VINE__UNLIKELY(type == NULL))
            vine__misuse(that, "its type is overwritten");
        type->fn(that);
        look_at(inside, that);
    }
    inside->current = NULL;
}
