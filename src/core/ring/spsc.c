/* SPDX-License-Identifier: Apache-2.0 */
#include <limits.h>

#include "core/ring/spsc_inline.h"
#include "utils/assert.h"
#include "utils/bits.h"

VINE_STATIC_ASSERT(sizeof(struct vine_slot) == VINE_SPSC_SLOT_BYTES, "a slot is a line");
VINE_STATIC_ASSERT(VINE_SPSC_SLOT_BYTES == VINE_CACHE_LINE, "no two slots share a line");
VINE_STATIC_ASSERT(offsetof(struct vine_slot, sequence) == 0, "layout");
VINE_STATIC_ASSERT(offsetof(struct vine_slot, payload) == 8, "layout");

static bool arguments_fit(const void *slots, uint32_t slot_count, const void *consumed)
{
    return slots && consumed && slot_count >= VINE_SPSC_SLOTS_MIN &&
           slot_count <= VINE_SPSC_SLOTS_MAX && vine__is_power_of_two_u64(slot_count) &&
           (uintptr_t)slots % VINE_SPSC_SLOT_BYTES == 0 &&
           (uintptr_t)consumed % sizeof(uint64_t) == 0;
}

int vine_spsc_producer_init(struct vine_spsc_producer *producer, struct vine_slot *slots,
                            uint32_t slot_count, const uint64_t *consumed)
{
    if (!arguments_fit(slots, slot_count, consumed))
        return -EINVAL;
    *producer = (struct vine_spsc_producer){
        .slots = slots,
        .consumed = consumed,
        .slot_count = slot_count,
    };
    return 0;
}

int vine_spsc_consumer_init(struct vine_spsc_consumer *consumer, const struct vine_slot *slots,
                            uint32_t slot_count, uint64_t *consumed)
{
    if (!arguments_fit(slots, slot_count, consumed))
        return -EINVAL;
    *consumer = (struct vine_spsc_consumer){
        .slots = slots,
        .consumed = consumed,
        .slot_count = slot_count,
        /* A quarter: often enough that a producer seldom finds the ring full, and so rarely that
         * the line travels once in many messages. */
        .publish_every = slot_count < 4 ? 1 : slot_count / 4,
    };
    return 0;
}

void vine_spsc_producer_start_at(struct vine_spsc_producer *producer, uint64_t position)
{
    VINE_ASSERT(producer->position == 0);
    producer->position = position;
    producer->consumed_seen = position;
    for (uint64_t n = 1; n <= producer->slot_count && n <= position; n++)
        vine__store_relaxed_u64(
            &producer->slots[(position - n) & (producer->slot_count - 1)].sequence,
            position - n + 1);
}

void vine_spsc_consumer_start_at(struct vine_spsc_consumer *consumer, uint64_t position)
{
    VINE_ASSERT(consumer->position == 0);
    consumer->position = position;
    consumer->published = position;
    vine__store_release_u64(consumer->consumed, position); /* C2 pairs with P1 */
}

/* The whole slot is by far the commonest size; as a constant it is four moves. */
int vine_spsc_push(struct vine_spsc_producer *producer, const void *bytes, size_t size)
{
    if (VINE__LIKELY(size == VINE_SPSC_BYTES))
        return vine__spsc_push(producer, bytes, VINE_SPSC_BYTES);
    return vine__spsc_push(producer, bytes, size);
}

/* Fill `count` slots that lie one behind the other, the first of them for `position`. */
VINE__ALWAYS_INLINE void fill_run(struct vine_slot *slot, uint64_t position,
                                  const unsigned char *from, size_t size, uint64_t count)
{
    for (const uint64_t end = position + count; position != end; slot++) {
        memcpy(slot->payload, from, size);
        vine__store_relaxed_u64(&slot->sequence, ++position);
        from += size;
    }
}

/* Fill the next `count` slots, all but the first sequence. The first slot comes last: the consumer
 * looks at it all the time, and its line had to be fetched back for the sequence. */
VINE__ALWAYS_INLINE void fill(const struct vine_spsc_producer *producer, const void *messages,
                              size_t size, uint32_t count)
{
    /* Locals, since for all the compiler knows the payload could be the handle. */
    const unsigned char *from = (const unsigned char *)messages;
    struct vine_slot *slots = producer->slots;
    const uint64_t first = producer->position;
    const uint64_t index = (first + 1) & (producer->slot_count - 1);
    const uint64_t run = vine__min_u64(count - 1, producer->slot_count - index);

    fill_run(slots + index, first + 1, from + size, size, run);
    fill_run(slots, first + 1 + run, from + (1 + run) * size, size, count - 1 - run);
    memcpy(vine__spsc_slot_at(producer, 0)->payload, from, size);
}

int vine_spsc_push_burst(struct vine_spsc_producer *producer, const void *messages, size_t size,
                         uint32_t count)
{
    if (size > VINE_SPSC_BYTES || count > INT_MAX)
        return -EINVAL;
    if (count == 0)
        return 0;

    const int reserved = vine__spsc_reserve(producer, count);

    if (reserved <= 0)
        return reserved;

    if (VINE__LIKELY(size == VINE_SPSC_BYTES))
        fill(producer, messages, VINE_SPSC_BYTES, (uint32_t)reserved);
    else
        fill(producer, messages, size, (uint32_t)reserved);
    vine__spsc_publish_filled(producer, (uint32_t)reserved);
    return reserved;
}

int vine_spsc_pop(struct vine_spsc_consumer *consumer, void *ret_bytes)
{
    return vine__spsc_pop(consumer, ret_bytes);
}

/* Take what is there, at most `count_max` and none behind the last slot, and publish nothing.
 * Returns how many. */
static uint64_t take(struct vine_spsc_consumer *consumer, unsigned char *to, uint64_t count_max)
{
    const struct vine_slot *slot = vine__spsc_next(consumer);
    const uint64_t first = consumer->position;
    const uint64_t run = consumer->slot_count - (first & (consumer->slot_count - 1));
    const uint64_t end = first + vine__min_u64(count_max, run);
    uint64_t position = first;

    /* C1 pairs with P2. What it is, if it is not this, vine__spsc_ready finds out. */
    while (position != end && vine__load_acquire_u64(&slot->sequence) == position + 1) {
        memcpy(to, slot->payload, VINE_SPSC_BYTES);
        to += VINE_SPSC_BYTES;
        slot++;
        position++;
    }
    consumer->position = position;
    return position - first;
}

int vine_spsc_pop_burst(struct vine_spsc_consumer *consumer, void *ret_messages, uint32_t count_max)
{
    unsigned char *to = (unsigned char *)ret_messages;
    uint32_t count = 0;

    if (count_max > INT_MAX)
        return -EINVAL;
    while (count < count_max) {
        /* As far as the next publication is due. */
        const uint64_t due = consumer->publish_every - (consumer->position - consumer->published);
        const uint32_t taken = (uint32_t)take(consumer, to + (size_t)count * VINE_SPSC_BYTES,
                                              vine__min_u64(count_max - count, due));

        count += taken;
        if (taken < due && count < count_max) {
            const int ready = vine__spsc_ready(consumer);

            if (ready < 0)
                return count ? (int)count : ready;
            if (ready > 0)
                continue; /* it has come since */
            vine__spsc_consumer_publish(consumer);
            break;
        }
        if (taken == due)
            vine__spsc_consumer_publish(consumer);
    }
    return (int)count;
}

int vine_spsc_ready(const struct vine_spsc_consumer *consumer)
{
    return vine__spsc_ready(consumer);
}

int vine_spsc_space(struct vine_spsc_producer *producer)
{
    const int error = vine__spsc_refresh(producer);

    return error ? error : (int)vine__spsc_space_known(producer);
}

int vine_spsc_used(struct vine_spsc_producer *producer)
{
    const int error = vine__spsc_refresh(producer);

    return error ? error : (int)(producer->position - producer->consumed_seen);
}

void vine_spsc_consumer_publish(struct vine_spsc_consumer *consumer)
{
    vine__spsc_consumer_publish(consumer);
}
