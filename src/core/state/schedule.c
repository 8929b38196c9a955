/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/state/schedule.c - the run queue of a heap.
 *
 * A queue by `next`, first in, first out. A coroutine is in it, or runs, or is blocked, and
 *
 *     coroutine_count = queued + running + blocked + ended ones that somebody may still join
 */

#include "core/state/state_internal.h"
#include "utils/assert.h"
#include "utils/atomic.h"

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

/* ---- those that wait ------------------------------------------------------------------------- */

VINE__INSIDE static void leave_queue(struct vine_coroutine *that)
{
    struct vine__waiters *const waiters = that->queue;
    struct vine_coroutine *before = NULL;

    if (waiters->first == that) {
        waiters->first = that->next;
    } else {
        before = waiters->first;
        while (before->next != that)
            before = before->next;
        before->next = that->next;
    }
    if (waiters->last == that)
        waiters->last = before;
    that->queue = NULL;
}

/* Nobody is told of it who has not been told yet. */
VINE__INSIDE static void take_back(struct vine_coroutine *that)
{
    struct vine__ask *const ask = &that->ask;
    const bool is_beyond = ask->kind >= VINE__ASK_BEYOND;
    const bool is_of_socket = ask->kind == VINE__ASK_RECEIVE; /* which is told of what comes */

    ask->kind = VINE__ASK_NOTHING;
    if (VINE__UNLIKELY(is_beyond))
        vine__beyond_leave((struct vine__beyond *)(uintptr_t)ask->a);
    if (ask->run != that->inside->run) {
        that->is_named |= !is_beyond && !is_of_socket;
        return;
    }
    if (ask->next != NULL)
        ask->next->previous = ask->previous;
    if (ask->previous != NULL)
        ask->previous->next = ask->next;
    else
        that->inside->asks = ask->next;
    if (ask->sign != NULL)
        *ask->sign = false;
}

VINE__INSIDE static void not_due(struct vine_coroutine *that)
{
    struct vine__inside *const inside = that->inside;

    if (that->earlier != NULL)
        that->earlier->later = that->later;
    else
        inside->due_first = that->later;
    if (that->later != NULL)
        that->later->earlier = that->earlier;
    else
        inside->due_last = that->earlier;
    that->due_ns = 0;
}

VINE__INSIDE void vine__due(struct vine_coroutine *that, uint64_t due_ns, int error)
{
    struct vine__inside *const inside = that->inside;
    struct vine_coroutine *before = inside->due_last;

    while (before != NULL && before->due_ns > due_ns)
        before = before->earlier;
    that->due_ns = due_ns;
    that->due_error = error;
    that->earlier = before;
    that->later = before != NULL ? before->later : inside->due_first;
    if (before != NULL)
        before->later = that;
    else
        inside->due_first = that;
    if (that->later != NULL)
        that->later->earlier = that;
    else
        inside->due_last = that;
}

VINE__INSIDE void vine__unblock(struct vine_coroutine *that)
{
    that->awaited = NULL;
    that->is_paused = false;
    if (that->ask.kind != VINE__ASK_NOTHING)
        take_back(that);
    if (that->waits != NULL) {
        *that->waits = NULL;
        that->waits = NULL;
    }
    if (that->queue != NULL)
        leave_queue(that);
    if (that->due_ns != 0)
        not_due(that);
}

VINE__INSIDE void vine__wake(struct vine_coroutine *that, int64_t result)
{
    if (that->is_queued || that->status != VINE__COROUTINE_BLOCKED)
        return;
    vine__unblock(that);
    that->result = result;
    that->status = VINE__COROUTINE_RUNNING;
    push_last(that->inside, that);
}

VINE__INSIDE void vine__wait_there(struct vine_coroutine *that, struct vine__waiters *waiters)
{
    if (that->queue != NULL)
        leave_queue(that);
    that->next = NULL;
    if (waiters->last != NULL)
        waiters->last->next = that;
    else
        waiters->first = that;
    waiters->last = that;
    that->queue = waiters;
}

VINE__INSIDE void vine__wait(struct vine_coroutine *that, struct vine__waiters *waiters)
{
    vine__wait_there(that, waiters);
    vine__block(that);
}

VINE__INSIDE void vine__wake_first(struct vine__waiters *waiters, int64_t result)
{
    if (waiters->first != NULL)
        vine__wake(waiters->first, result);
}

VINE__INSIDE void vine__wake_all(struct vine__waiters *waiters, int error)
{
    while (waiters->first != NULL) {
        if (error != 0)
            waiters->first->error = error;
        vine__wake(waiters->first, error);
    }
}

/* Those whose time has come. */
VINE__INSIDE static void wake_due(struct vine__inside *inside)
{
    while (inside->due_first != NULL && inside->due_first->due_ns <= inside->record->now_ns) {
        struct vine_coroutine *const that = inside->due_first;

        if (that->error == 0)
            that->error = that->due_error;
        vine__wake(that, that->due_error);
    }
}

VINE__INSIDE void vine__ask(struct vine_coroutine *that, enum vine__ask_kind kind, uint16_t socket,
                            uint64_t a, bool *sign)
{
    struct vine__inside *const inside = that->inside;
    struct vine__ask *const ask = &that->ask;

    ask->number = ++inside->ask_number; /* not the one of whose place this coroutine has */
    ask->kind = (uint16_t)kind;
    ask->socket = socket;
    ask->a = a;
    ask->sign = sign;
    ask->run = inside->run;
    ask->previous = NULL;
    ask->next = inside->asks;
    if (ask->next != NULL)
        ask->next->previous = ask;
    inside->asks = ask;
    vine__block(that);
}

/* ---- beginning ------------------------------------------------------------------------------- */

/* Nothing but coroutines comes where one was that an answer may name still: what is read there then
 * is never what somebody else has written. Those that have ended are behind the first one, which
 * has no siblings. */
VINE__INSIDE void vine__coroutine_keep(struct vine_coroutine *that)
{
    struct vine_coroutine *const first = that->inside->first;

    that->sibling = first->sibling;
    first->sibling = that;
}

VINE__INSIDE static struct vine_coroutine *make(struct vine__inside *inside)
{
    struct vine_coroutine *const first = inside->first;
    struct vine_coroutine *const kept = first != NULL ? first->sibling : NULL;

    if (VINE__LIKELY(kept == NULL))
        return vine__heap_alloc(&inside->heap, sizeof(struct vine_coroutine));
    first->sibling = kept->sibling;
    *kept = (struct vine_coroutine){.is_named = true};
    return kept;
}

VINE__INSIDE struct vine_coroutine *vine__coroutine_create(struct vine__inside *inside,
                                                           const struct vine_coroutine_type *type,
                                                           void *argument,
                                                           struct vine_coroutine *parent)
{
    struct vine_coroutine *const that = make(inside);

    if (that == NULL)
        return NULL;
    that->magic = VINE__COROUTINE_MAGIC;
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
        if (that->sibling != NULL)
            that->sibling->elder = that;
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
    inside->run++;
    if (VINE__UNLIKELY(inside->leaving != NULL))
        vine__beyond_free(inside);
    inside->lent_used = 0;
    inside->is_spent = false;
}

/* The run before was left in the middle of something: by whom is known, and not where. */
VINE__INSIDE static void raise_in_current(struct vine__inside *inside, int error)
{
    struct vine_coroutine *const that = inside->current;

    if (that == NULL || that->status >= VINE__COROUTINE_LEFT) {
        inside->has_ended = true;
        inside->error = error;
        return;
    }
    that->error = error;
    if (that->is_queued)
        return;
    vine__unblock(that);
    that->status = VINE__COROUTINE_RUNNING;
    vine__queue_first(inside, that);
}

VINE__INSIDE void vine__inside_take(struct vine__inside *inside, const struct vine__item *item)
{
    struct vine_coroutine *that = NULL;

    switch (item->kind) {
    case VINE__ITEM_ASK:
    case VINE__ITEM_NEXT:
        /* The place is what this heap gave, and its own rights are all that is used. It is a
         * coroutine's still, though perhaps another one's: the number tells. */
        that = (void *)((unsigned char *)inside + item->place);
        if (that->ask.number == item->number && vine__is_asking(that)) {
            if (item->result < 0)
                that->error = (int)item->result;
            /* It has what it asked for, or nobody knows of that any more. */
            if (that->ask.kind < VINE__ASK_BEYOND ||
                (item->result >= 0 && that->ask.kind < VINE__ASK_PASSING))
                that->ask.kind = VINE__ASK_NOTHING;
            vine__wake(that, item->result);
        }
        break;
    case VINE__ITEM_RAISE:
        raise_in_current(inside, (int)item->result);
        break;
    default:
        (void)vine__cancel_from_outside(inside->first, (int)item->result);
        break;
    }
}

/* What a run of its function left. */
VINE__INSIDE static void look_at(struct vine_coroutine *that)
{
    if (that->status != VINE__COROUTINE_LEFT)
        vine__misuse(that, "its function returned by return: vine_return() is what does that");
    vine__coroutine_left(that);
}

/* Its turn. It is in no queue. */
VINE__INSIDE VINE__ALWAYS_INLINE void run(struct vine__inside *inside, struct vine_coroutine *that)
{
    const struct vine_coroutine_type *const type = vine__type_of(that->module, that->type);

    inside->current = that;
    if (VINE__UNLIKELY(type == NULL))
        vine__misuse(that, "its type is overwritten");
    type->fn(that);
    if (that->status == VINE__COROUTINE_YIELDED) {
        that->status = VINE__COROUTINE_RUNNING;
        push_last(inside, that);
    } else if (VINE__UNLIKELY(that->status != VINE__COROUTINE_BLOCKED)) {
        look_at(that);
    }
}

VINE__INSIDE static void run_queue(struct vine__inside *inside, uint32_t quota)
{
    while (inside->run_first != NULL && !inside->has_ended) {
        struct vine_coroutine *const that = inside->run_first;

        if (quota-- == 0) {
            inside->is_spent = true;
            break;
        }
        inside->run_first = that->next;
        if (inside->run_first == NULL)
            inside->run_last = NULL;
        that->is_queued = false;
        run(inside, that);
    }
    inside->current = NULL;
    inside->due_ns = inside->due_first != NULL ? inside->due_first->due_ns : 0;
}

VINE__INSIDE void vine__inside_drain(struct vine__inside *inside)
{
    inside->stack_top = (uintptr_t)__builtin_frame_address(0);
    wake_due(inside);
    vine__pollers_wake(inside); /* if nothing has come that concerns them, they wait again */
    run_queue(inside, inside->record->quota);
}

/* Whether the first coroutine is who asked for that, so that it waits nowhere else and has no
 * deadline, and whether nobody else has anything to do. */
VINE__INSIDE static bool is_alone(const struct vine__inside *inside, const struct vine__item *item)
{
    const struct vine_coroutine *const that = inside->first;

    return that->ask.kind == VINE__ASK_NEXT && that->ask.number == item->number &&
           that->status == VINE__COROUTINE_BLOCKED && !that->is_queued &&
           inside->run_first == NULL && inside->due_first == NULL && inside->pollers.first == NULL;
}

VINE__INSIDE void vine__inside_next(struct vine__inside *inside, const struct vine__record *record)
{
    const struct vine__item *const item = &record->items[0];
    struct vine_coroutine *const that = inside->first;

    vine__inside_begin(inside, record);
    if (VINE__UNLIKELY(!is_alone(inside, item))) {
        vine__inside_take(inside, item);
        vine__inside_drain(inside);
        return;
    }
    inside->stack_top = (uintptr_t)__builtin_frame_address(0);
    that->ask.kind = VINE__ASK_NOTHING;
    that->result = item->result;
    that->status = VINE__COROUTINE_RUNNING;
    run(inside, that);
    run_queue(inside, record->quota);
}
