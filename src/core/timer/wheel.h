/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/timer/wheel.h - the timers of one clock, by when they are due.
 *
 * Owns:     the slots. Timers are the caller's, linked into a slot from arming on until they are
 *           cancelled or popped.
 * Threads:  one.
 * Blocking: never. Arming, stopping and cancelling take constant time. A pop goes on with at most
 *           VINE__WHEEL_MOVES_MAX timers that are not due, and says NULL when it has.
 * Trust:    private memory alone.
 * Limits:   any number of timers, at any time of a clock's 64 bits. VINE_FOREVER, and what lies in
 *           the last unit of the resolution before it, is never.
 *
 * Time is counted in ticks of the resolution; a timer's tick is its time, rounded up, so that it is
 * never early. The wheel has a position `at`, a tick. A tick is eight digits of eight bits; a timer
 * lies on the level of the highest digit in which its tick differs from `at`, in the slot that this
 * digit says (G. Varghese, T. Lauck: Hashed and Hierarchical Timing Wheels, 1987, scheme 7; as the
 * level follows from the differing digit, no slot is for two turns of its level). So all timers of
 * a level are due before all those of the next, and the first slot of the lowest level that has any
 * is always the next one:
 *
 *     begin(slot) <= tick(filed) <= tick(due), for each timer in a slot
 *     at == begin(open); at <= begin(slot) for all others that are not empty, with equality on the
 *                        lowest level alone: what was armed for the past
 *
 * When the position comes to a slot, that is open until it is empty: its timers are due, or go down
 * to where their lower digits say. This is done by and by, so that a slot with a million timers
 * delays what is due behind it and nothing else.
 *
 * A timer is filed for a time, and is due then or later. Arming it for any time from there on
 * leaves it in its slot, from which it goes on when that is opened; so does stopping it: then it
 * goes when the slot is opened, unless it was armed anew. So a time-out that is moved, or stopped
 * and armed, again and again, touches the timer alone, is filed once, however often that was, and
 * costs the wheel one look in the time that it is ahead. What cancelling costs is cache misses, of
 * the timer and its two neighbours: they are written and not read, so that nobody waits for them,
 * and nothing else of them or of the slot is looked at.
 */
#ifndef VINE_CORE_TIMER_WHEEL_H
#define VINE_CORE_TIMER_WHEEL_H

#include "utils/assert.h"
#include "utils/atomic.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/timer.h>

#define VINE__WHEEL_DIGIT_BITS 8U
#define VINE__WHEEL_LEVELS     8U
#define VINE__WHEEL_SLOTS      256U /* of a level */
#define VINE__WHEEL_MOVES_MAX  256U
VINE_STATIC_ASSERT(VINE__WHEEL_LEVELS *VINE__WHEEL_DIGIT_BITS == 64, "any tick has a slot");
VINE_STATIC_ASSERT(VINE__WHEEL_SLOTS == 1U << VINE__WHEEL_DIGIT_BITS, "a slot for each digit");

struct vine__wheel {
    uint64_t at;                  /* a tick: all before it was taken out */
    uint64_t round_up_ns;         /* the resolution less 1 */
    uint32_t shift;               /* the resolution is 1 << shift ns */
    uint32_t levels;              /* bit n: level n has timers */
    struct vine_timer_node *open; /* the slot that the position has come to, or NULL */
    uint64_t filled[VINE__WHEEL_LEVELS * VINE__WHEEL_SLOTS / 64]; /* which slots are not empty */
    /* Each is the head of a ring of timers; the last one is of those that are never due. */
    struct vine_timer_node slots[VINE__WHEEL_LEVELS * VINE__WHEEL_SLOTS + 1];
};

/* Make an empty wheel. The resolution is rounded down to a power of two; `now_ns` is its clock's
 * time. A wheel is not moved in memory. */
void vine__wheel_init(struct vine__wheel *wheel, uint64_t resolution_ns, uint64_t now_ns);

/* Take out the next timer that is due at `now_ns`: slot by slot, those of a slot in the order in
 * which they came there. Between two calls any timer may be armed and cancelled; one that is due at
 * once comes behind those of its tick, so that the caller has to bound how many it takes.
 *
 * Returns the timer, not armed any more, or NULL: none is due, or so many had to be moved that this
 *         goes on later. vine__wheel_next_ns tells these two apart. A clock that goes back has
 *         nothing due until it is where it was. */
struct vine_timer *vine__wheel_pop_due(struct vine__wheel *wheel, uint64_t now_ns);

/* A time before which no timer is due, to sleep until: VINE_FOREVER if there is none. It is in the
 * past where popping has work left. With few timers in the next slot it is the time of the first of
 * them, to the resolution; with many, or where one has been armed for later, the loop may wake once
 * for each level, and where all of them were stopped, once for all of them. */
uint64_t vine__wheel_next_ns(const struct vine__wheel *wheel);

/* How many timers are armed; it stops walking when it has seen `most`, armed or stopped. */
uint64_t vine__wheel_count(const struct vine__wheel *wheel, uint64_t most);

/* Whether all that is said above holds. Walks all timers. */
bool vine__wheel_validate(const struct vine__wheel *wheel);

/* The two ways of a slot, out of line: it happens once for many timers. */
void vine__wheel_slot_filled(struct vine__wheel *wheel, const struct vine_timer_node *slot);
void vine__wheel_slot_emptied(struct vine__wheel *wheel, const struct vine_timer_node *slot);

/* UINT64_MAX: never. */
VINE__ALWAYS_INLINE uint64_t vine__wheel_tick(const struct vine__wheel *wheel, uint64_t due_ns)
{
    uint64_t rounded_ns;

    if (__builtin_expect(__builtin_add_overflow(due_ns, wheel->round_up_ns, &rounded_ns), 0))
        return UINT64_MAX;
    return rounded_ns >> wheel->shift;
}

VINE__ALWAYS_INLINE struct vine_timer_node *vine__wheel_slot_of(struct vine__wheel *wheel,
                                                                uint64_t due_ns)
{
    uint64_t rounded_ns;

    if (__builtin_expect(__builtin_add_overflow(due_ns, wheel->round_up_ns, &rounded_ns), 0))
        return &wheel->slots[VINE__WHEEL_LEVELS * VINE__WHEEL_SLOTS];

    uint64_t tick = rounded_ns >> wheel->shift;

    tick = tick < wheel->at ? wheel->at : tick;

    /* How far the lowest bit of the highest differing digit is up: level * 8. */
    const uint32_t up = (63U ^ (uint32_t)__builtin_clzll((tick ^ wheel->at) | 1)) & 56U;

    return &wheel->slots[up * (VINE__WHEEL_SLOTS / VINE__WHEEL_DIGIT_BITS) + (uint8_t)(tick >> up)];
}

/* Put a timer, whose time is set, behind those of its slot: it is filed for that time. */
VINE__ALWAYS_INLINE void vine__wheel_link(struct vine__wheel *wheel, struct vine_timer *timer)
{
    struct vine_timer_node *slot = vine__wheel_slot_of(wheel, timer->due_ns);
    struct vine_timer_node *last = slot->prev;

    timer->filed_ns = timer->due_ns;
    timer->node.next = slot;
    timer->node.prev = last;
    last->next = &timer->node;
    slot->prev = &timer->node;
    if (__builtin_expect(last == slot, 0))
        vine__wheel_slot_filled(wheel, slot);
}

VINE__ALWAYS_INLINE void vine__wheel_unlink(struct vine__wheel *wheel, struct vine_timer *timer)
{
    struct vine_timer_node *next = timer->node.next;
    struct vine_timer_node *prev = timer->node.prev;

    VINE_ASSERT_SLOW(prev != NULL); /* it lies in a wheel */
    VINE_ASSERT_SLOW(next->prev == &timer->node);
    VINE_ASSERT_SLOW(prev->next == &timer->node);
    prev->next = next;
    next->prev = prev;
    timer->node.prev = NULL;
    if (__builtin_expect(next == prev, 0))
        vine__wheel_slot_emptied(wheel, next);
}

/* Arm a timer, whether it lies in this wheel or in none. */
VINE__ALWAYS_INLINE void vine__wheel_arm(struct vine__wheel *wheel, struct vine_timer *timer,
                                         uint64_t due_ns)
{
    timer->is_armed = true;
    if (timer->node.prev != NULL) {
        if (due_ns >= timer->filed_ns) {
            timer->due_ns = due_ns;
            return;
        }
        vine__wheel_unlink(wheel, timer);
    }
    timer->due_ns = due_ns;
    vine__wheel_link(wheel, timer);
}

/* Take it out. Returns whether it was armed. */
VINE__ALWAYS_INLINE bool vine__wheel_cancel(struct vine__wheel *wheel, struct vine_timer *timer)
{
    const bool was_armed = timer->is_armed;

    timer->is_armed = false;
    if (timer->node.prev != NULL)
        vine__wheel_unlink(wheel, timer);
    return was_armed;
}

/* Leave it where it lies, and nothing comes of it. Returns whether it was armed. */
VINE__ALWAYS_INLINE bool vine__wheel_stop(struct vine_timer *timer)
{
    const bool was_armed = timer->is_armed;

    timer->is_armed = false;
    return was_armed;
}

#endif
