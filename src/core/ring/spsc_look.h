/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/ring/spsc_look.h - what a slot of an spsc ring can hold, for who looks at a ring and is
 * neither its producer nor its consumer.
 *
 * Owns:     nothing.
 * Threads:  any; both sides may go on meanwhile.
 * Blocking: never.
 * Trust:    of nobody: it works on copies.
 * Limits:   consumers below position 2^63.
 */
#ifndef VINE_CORE_RING_SPSC_LOOK_H
#define VINE_CORE_RING_SPSC_LOOK_H

#include <stdbool.h>
#include <stdint.h>

/* Whether slot `index` can hold `sequence` at a moment at which the consumer told of a position
 * from `from` to `to`. The producer is at most a ring ahead of what it was told:
 *
 *   a slot whose message is to come holds that of one lap ago, or 0 in the first lap;
 *   position(sequence) = sequence - 1;  position mod slot_count = index;
 *   from - slot_count <= position < to + slot_count
 */
static inline bool vine__spsc_may_hold(uint64_t sequence, uint64_t index, uint64_t slot_count,
                                       uint64_t from, uint64_t to)
{
    const uint64_t position = sequence - 1;
    const uint64_t least = from > slot_count ? from - slot_count : 0;

    if (sequence == 0)
        return from <= index;
    return (position & (slot_count - 1)) == index && position >= least &&
           position < to + slot_count;
}

/* The position of which this slot holds the message next, as seen by a consumer at `from`. */
static inline uint64_t vine__spsc_next_in(uint64_t index, uint64_t slot_count, uint64_t from)
{
    return from + ((index - from) & (slot_count - 1));
}

#endif
