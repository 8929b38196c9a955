/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/ring/wait_inline.h - the waker's fast path, inline for use inside libvine.
 *
 * Owns:     nothing; see vine/wait.h.
 * Threads:  as vine/wait.h.
 * Blocking: never.
 * Trust:    the other side's line is read once a look.
 * Limits:   as vine/wait.h.
 *
 * The four accesses of which no two may pass each other unseen:
 *   publisher   W1 store the sequence (or the position)   W2 load the sleeper's line
 *   sleeper     S1 store its line                         S2 load the sequence (or the position)
 * With a full fence between W1 and W2 and one between S1 and S2, either W2 sees S1 or S2 sees W1.
 * In stream mode the sleeper's membarrier stands for both.
 */
#ifndef VINE_CORE_RING_WAIT_INLINE_H
#define VINE_CORE_RING_WAIT_INLINE_H

#include <vine/wait.h>

#include "core/ring/spsc_inline.h"

/* Make the system call for the sleeper of `word`, or what the sleeper has asked for instead. */
void vine__waker_wake(struct vine_waker *waker, const uint32_t *word);

/* What the other side awaits, if it sleeps and has not been woken from that sleep; else 0. */
VINE__ALWAYS_INLINE uint64_t vine__waker_look(const struct vine_waker *waker)
{
    if (waker->is_stream)
        vine__compiler_barrier();
    else
        vine__fence_full();

    const uint64_t awaited = vine__load_relaxed_u64(&waker->line->awaited); /* W2 */

    return VINE__LIKELY(awaited == 0 || awaited == waker->woken) ? 0 : awaited;
}

VINE__ALWAYS_INLINE void vine__wake_consumer(struct vine_waker *waker,
                                             struct vine_spsc_producer *producer)
{
    const uint64_t awaited = vine__waker_look(waker);

    if (VINE__LIKELY(awaited == 0))
        return;
    /* A sequence beyond what is published belongs to a message that is still to come: that push
     * will see it. One that is published is woken once: whoever sleeps on it after that finds the
     * word changed. */
    if (awaited - 1 - producer->position < UINT64_MAX / 2)
        return;
    waker->woken = awaited;
    vine__waker_wake(waker, (const uint32_t *)(const void *)&producer
                                ->slots[(awaited - 1) & (producer->slot_count - 1)]
                                .sequence);
}

VINE__ALWAYS_INLINE void vine__wake_producer(struct vine_waker *waker,
                                             struct vine_spsc_consumer *consumer)
{
    if (VINE__LIKELY(waker->published == consumer->published))
        return;
    waker->published = consumer->published;

    const uint64_t awaited = vine__waker_look(waker);

    if (VINE__LIKELY(awaited == 0))
        return;
    if (awaited - 1 - consumer->published < UINT64_MAX / 2)
        return;
    waker->woken = awaited;
    vine__waker_wake(waker, (const uint32_t *)(const void *)consumer->consumed);
}

#endif
