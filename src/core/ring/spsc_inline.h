/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/ring/spsc_inline.h - the spsc ring's paths, inline for use inside libvine.
 *
 * Owns:     nothing; works on the handles of vine/spsc.h.
 * Threads:  as vine/spsc.h says.
 * Blocking: never.
 * Trust:    as vine/spsc.h says. `slot->sequence` and `*consumed` of the other side are read once
 *           into a local at each step. A payload is the peer's until it is copied.
 * Limits:   callers of vine__spsc_slot_at and vine__spsc_publish stay within what
 *           vine__spsc_reserve returned.
 *
 * The memory order, all of it:
 *   P1  producer: acquire load of *consumed          pairs with C2
 *   P2  producer: release store of a burst's first sequence     pairs with C1
 *   C1  consumer: acquire load of a slot's sequence  pairs with P2
 *   C2  consumer: release store of *consumed         pairs with P1
 * The sequences of the other slots of a burst are stored before P2 and need no order among
 * themselves: the consumer looks at slot p + 1 only after it has taken slot p.
 */
#ifndef VINE_CORE_RING_SPSC_INLINE_H
#define VINE_CORE_RING_SPSC_INLINE_H

#include <errno.h>
#include <string.h>

#include <vine/error.h>
#include <vine/spsc.h>

#include "utils/atomic.h"
#include "utils/hostile.h"

/* The low half of a sequence or of a position is what a futex waits for. */
_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "shared memory is little-endian");

/* The n-th next slot, n below what vine__spsc_reserve returned. The caller fills its payload in
 * place; the sequence is vine__spsc_publish's business. */
VINE__ALWAYS_INLINE struct vine_slot *vine__spsc_slot_at(const struct vine_spsc_producer *producer,
                                                         uint32_t n)
{
    return &producer->slots[(producer->position + n) & (producer->slot_count - 1)];
}

/* The slots that are certainly free, without a look at the consumer's line. */
VINE__ALWAYS_INLINE uint64_t vine__spsc_space_known(const struct vine_spsc_producer *producer)
{
    return producer->slot_count - (producer->position - producer->consumed_seen);
}

/* Read the consumer's position. Returns 0, or -VINE_ECORRUPT for one that lies before what it
 * published earlier or beyond what we pushed; such a value is not kept. */
VINE__ALWAYS_INLINE int vine__spsc_refresh(struct vine_spsc_producer *producer)
{
    /* P1 pairs with C2: once we see the consumer's position, it has finished reading the slots
     * that we are about to overwrite. */
    const uint64_t consumed = vine__load_acquire_u64(producer->consumed);

    /* consumed_seen <= consumed <= position, in arithmetic that wraps. */
    if (VINE__HOSTILE(consumed - producer->consumed_seen >
                      producer->position - producer->consumed_seen))
        return -VINE_ECORRUPT;
    producer->consumed_seen = consumed;
    return 0;
}

/* Make sure of room for `wanted` messages, 1 .. slot_count, as far as there is any. Returns how
 * many fit, at most `wanted`, 0 for none, or -VINE_ECORRUPT. */
VINE__ALWAYS_INLINE int vine__spsc_reserve(struct vine_spsc_producer *producer, uint32_t wanted)
{
    uint64_t space = vine__spsc_space_known(producer);

    if (VINE__UNLIKELY(space < wanted)) {
        const int error = vine__spsc_refresh(producer);

        if (VINE__UNLIKELY(error))
            return error;
        space = vine__spsc_space_known(producer);
    }
    return (int)(space < wanted ? space : wanted);
}

/* Let the consumer see the next `count` slots, all at once: their payloads are written, and all
 * sequences but the first. */
VINE__ALWAYS_INLINE void vine__spsc_publish_filled(struct vine_spsc_producer *producer,
                                                   uint32_t count)
{
    const uint64_t first = producer->position;

    producer->position = first + count;
    /* P2 pairs with C1: all payloads and the other sequences before the first sequence. */
    vine__store_release_u64(&producer->slots[first & (producer->slot_count - 1)].sequence,
                            first + 1);
}

/* The same when only their payloads are written. `count` is at least 1 and at most what
 * vine__spsc_reserve returned. */
VINE__ALWAYS_INLINE void vine__spsc_publish(struct vine_spsc_producer *producer, uint32_t count)
{
    const uint64_t first = producer->position;
    const uint64_t mask = producer->slot_count - 1;

    for (uint64_t n = 1; n < count; n++)
        vine__store_relaxed_u64(&producer->slots[(first + n) & mask].sequence, first + n + 1);
    vine__spsc_publish_filled(producer, count);
}

VINE__ALWAYS_INLINE int vine__spsc_push(struct vine_spsc_producer *producer, const void *bytes,
                                        size_t size)
{
    if (VINE__UNLIKELY(size > VINE_SPSC_BYTES))
        return -EINVAL;

    const int reserved = vine__spsc_reserve(producer, 1);

    if (VINE__UNLIKELY(reserved <= 0))
        return reserved == 0 ? -EAGAIN : reserved;
    memcpy(vine__spsc_slot_at(producer, 0)->payload, bytes, size);
    vine__spsc_publish(producer, 1);
    return 0;
}

/* C2 pairs with P1: we have read the slots before their producer may overwrite them. */
VINE__ALWAYS_INLINE void vine__spsc_consumer_publish(struct vine_spsc_consumer *consumer)
{
    if (consumer->published == consumer->position)
        return;
    consumer->published = consumer->position;
    vine__store_release_u64(consumer->consumed, consumer->position);
}

/* What the next slot's sequence is until its message is there: that of one lap ago, or zero in the
 * first lap. The low halves of the two differ, since a lap is less than 2^32 positions. */
VINE__ALWAYS_INLINE uint64_t vine__spsc_old_sequence(const struct vine_spsc_consumer *consumer)
{
    if (consumer->position < consumer->slot_count)
        return 0;
    return consumer->position + 1 - consumer->slot_count;
}

/* The slot that the consumer takes next. */
VINE__ALWAYS_INLINE const struct vine_slot *
vine__spsc_next(const struct vine_spsc_consumer *consumer)
{
    return &consumer->slots[consumer->position & (consumer->slot_count - 1)];
}

/* The futex word of a consumer that waits: the low half of the next slot's sequence. It holds
 * vine__spsc_old_word until the message is there. */
VINE__ALWAYS_INLINE const uint32_t *vine__spsc_next_word(const struct vine_spsc_consumer *consumer)
{
    return (const uint32_t *)(const void *)&vine__spsc_next(consumer)->sequence;
}

/* What *vine__spsc_next_word holds while the ring is empty. */
VINE__ALWAYS_INLINE uint32_t vine__spsc_old_word(const struct vine_spsc_consumer *consumer)
{
    return (uint32_t)vine__spsc_old_sequence(consumer);
}

/* Is there a message: 1, 0 or -VINE_ECORRUPT. After 1 its payload may be read. */
VINE__ALWAYS_INLINE int vine__spsc_ready(const struct vine_spsc_consumer *consumer)
{
    /* C1 pairs with P2: the payload is not read before its sequence says that it is there. */
    const uint64_t sequence = vine__load_acquire_u64(&vine__spsc_next(consumer)->sequence);

    if (VINE__LIKELY(sequence == consumer->position + 1))
        return 1;
    return VINE__HOSTILE(sequence != vine__spsc_old_sequence(consumer)) ? -VINE_ECORRUPT : 0;
}

/* Step over the message that vine__spsc_ready reported, when its payload has been copied. */
VINE__ALWAYS_INLINE void vine__spsc_advance(struct vine_spsc_consumer *consumer)
{
    consumer->position++;
    if (VINE__UNLIKELY(consumer->position - consumer->published >= consumer->publish_every))
        vine__spsc_consumer_publish(consumer);
}

VINE__ALWAYS_INLINE int vine__spsc_pop(struct vine_spsc_consumer *consumer, void *ret_bytes)
{
    const int ready = vine__spsc_ready(consumer);

    if (ready <= 0) {
        if (ready < 0)
            return ready;
        vine__spsc_consumer_publish(consumer);
        return -EAGAIN;
    }
    memcpy(ret_bytes, vine__spsc_next(consumer)->payload, VINE_SPSC_BYTES);
    vine__spsc_advance(consumer);
    return 0;
}

#endif
