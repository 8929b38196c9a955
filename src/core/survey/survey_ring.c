/* SPDX-License-Identifier: Apache-2.0 */
/* The sequences of an spsc ring, against the position that its consumer tells. */
#include "core/survey/survey_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/ring/spsc_look.h"

#define POSITION_MOST (UINT64_C(1) << 63)

/* The slots as they lie there, between two looks at the consumer. */
static bool copy_ring(struct vine__look *look, uint64_t consumed, struct vine__ring_look *ring)
{
    const size_t bytes = ring->slot_count * sizeof *ring->slots;

    ring->slots = aligned_alloc(sizeof *ring->slots, bytes);
    return ring->slots != NULL &&
           vine__survey_read(look, consumed, &ring->from, sizeof ring->from) &&
           vine__survey_read(look, ring->base, ring->slots, bytes) &&
           vine__survey_read(look, consumed, &ring->to, sizeof ring->to);
}

static bool fits(const struct vine__ring_look *ring, uint64_t index)
{
    return vine__spsc_may_hold(ring->slots[index].sequence, index, ring->slot_count, ring->from,
                               ring->to);
}

/* How many slots could not be so with a consumer there. */
static uint64_t count_misfits(const struct vine__ring_look *ring, uint64_t from, uint64_t to)
{
    uint64_t count = 0;

    if (from > to || to >= POSITION_MOST)
        return ring->slot_count;
    for (uint64_t i = 0; i < ring->slot_count; i++)
        count += !vine__spsc_may_hold(ring->slots[i].sequence, i, ring->slot_count, from, to);
    return count;
}

/* The highest message that is in its own slot: where the producer seems to be. */
static uint64_t head_of(const struct vine__ring_look *ring)
{
    uint64_t head = 0;

    for (uint64_t i = 0; i < ring->slot_count; i++) {
        const uint64_t sequence = ring->slots[i].sequence;

        if (sequence > head && sequence < POSITION_MOST &&
            ((sequence - 1) & (ring->slot_count - 1)) == i)
            head = sequence;
    }
    return head;
}

/* The slots agree among themselves, and not with the consumer: it is the one that is wrong. */
static void blame_consumer(struct vine__look *look, uint32_t side, uint32_t channel,
                           uint64_t consumed, const struct vine__ring_look *ring)
{
    const uint64_t head = head_of(ring);
    const uint64_t least = head > ring->slot_count ? head - ring->slot_count : 0;
    char text[80];

    (void)snprintf(text, sizeof text, "%" PRIu64 " to %" PRIu64 ", by the slots", least, head);
    vine__survey_at(look, "%s, channel %u", vine__half_of(!side), channel);
    vine__survey_fault(look, consumed, text, "consumed %" PRIu64, ring->from);
}

static void tell_slot(struct vine__look *look, uint32_t side, uint32_t channel, uint64_t index,
                      const struct vine__ring_look *ring)
{
    const uint64_t position = vine__spsc_next_in(index, ring->slot_count, ring->from);
    const uint64_t before = position >= ring->slot_count ? position - ring->slot_count + 1 : 0;
    char text[64];

    (void)snprintf(text, sizeof text, "%" PRIu64 " or %" PRIu64, position + 1, before);
    vine__survey_at(look, "%s, channel %u, slot %" PRIu64, vine__half_of(side), channel, index);
    vine__survey_fault(look, ring->base + index * sizeof *ring->slots, text, "sequence %" PRIu64,
                       ring->slots[index].sequence);
}

/* Who publishes a burst writes its first message's sequence last: those behind it may be there. */
static void tell_unpublished(struct vine__look *look, uint32_t side, uint32_t channel,
                             const struct vine__ring_look *ring)
{
    uint64_t count = 0;

    for (uint64_t at = ring->to + 1; at < ring->from + ring->slot_count; at++)
        count += ring->slots[at & (ring->slot_count - 1)].sequence == at + 1;
    if (count == 0)
        return;
    vine__survey_at(look, "%s, channel %u", vine__half_of(side), channel);
    vine__survey_note(look, ring->base,
                      "%" PRIu64 " messages behind one that is not published: a burst under way",
                      count);
}

static void drop(struct vine__ring_look *ring)
{
    free(ring->slots);
    ring->slots = NULL;
    ring->from = ring->to = 0;
}

void vine__survey_at_ring(struct vine__look *look, uint32_t side, uint32_t channel,
                          uint64_t consumed, struct vine__ring_look *ring)
{
    uint64_t misfits, head;

    if (!copy_ring(look, consumed, ring)) {
        drop(ring);
        return;
    }
    misfits = count_misfits(ring, ring->from, ring->to);
    head = head_of(ring);
    if (misfits * 2 > ring->slot_count || misfits > count_misfits(ring, head, head)) {
        blame_consumer(look, side, channel, consumed, ring);
        drop(ring);
        return;
    }
    for (uint64_t i = 0; i < ring->slot_count && misfits > 0; i++)
        if (!fits(ring, i))
            tell_slot(look, side, channel, i, ring);
    ring->from = ring->to;
    while (ring->to < ring->from + ring->slot_count &&
           ring->slots[ring->to & (ring->slot_count - 1)].sequence == ring->to + 1)
        ring->to++;
    tell_unpublished(look, side, channel, ring);
}
