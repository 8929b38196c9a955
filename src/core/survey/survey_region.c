/* SPDX-License-Identifier: Apache-2.0 */
/* Regions of other kinds, as far as what lies there says what it is: a queue of the kind mpmc, or
 * books of an allocator. What two programs agreed on is theirs. */
#include "core/survey/survey_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/allocator/allocator_layout.h"
#include "core/ring/mpmc_layout.h"
#include "utils/bits.h"

#define CONTROL(field) offsetof(struct vine_mpmc_control, field)

struct queue {
    struct vine_mpmc_control control;
    struct vine_mpmc_slot *slots;
    uint64_t base; /* of the slots */
    uint64_t tail; /* as it was before they were copied, and after that */
    uint64_t tail_after;
};

/* Whether the words at its front let the slots be found. */
static bool look_at_control(struct vine__look *look, const struct vine__survey_region *region,
                            const struct vine_mpmc_control *control)
{
    const uint64_t bytes = (uint64_t)control->slot_count * sizeof(struct vine_mpmc_slot);

    if (!vine__is_power_of_two_u64(control->slot_count) || control->slot_count < 2 ||
        !vine__range_is_within_u64(sizeof *control, bytes, region->size_bytes)) {
        vine__survey_fault(look, region->offset_bytes + CONTROL(slot_count),
                           "a power of two, and room for the slots", "slots %u",
                           control->slot_count);
        return false;
    }
    if (control->slot_bytes != sizeof(struct vine_mpmc_slot)) {
        vine__survey_fault(look, region->offset_bytes + CONTROL(slot_bytes), "64",
                           "slots of %u bytes", control->slot_bytes);
        return false;
    }
    return true;
}

/* A stamp is its slot's, and at most one lap ahead of tail. */
static void look_at_stamp(struct vine__look *look, struct vine__survey_region *region,
                          const struct queue *queue, uint64_t index)
{
    const uint64_t stamp = queue->slots[index].stamp;
    const uint64_t position = stamp >> 2, state = stamp & 3;
    const uint64_t count = queue->control.slot_count;
    const uint64_t offset = queue->base + index * sizeof *queue->slots;
    char text[64];

    region->count += state == VINE__MPMC_FULL;
    region->stuck += state == VINE__MPMC_STUCK;
    vine__survey_at(look, "queue, slot %" PRIu64, index);
    if (state > VINE__MPMC_STUCK) {
        vine__survey_fault(look, offset, "state 0, 1 or 2", "stamp %016" PRIx64 ", of state 3",
                           stamp);
    } else if ((position & (count - 1)) != index) {
        vine__survey_fault(look, offset, "a position of this slot", "stamp of position %" PRIu64,
                           position);
    } else if (position >= queue->tail_after + count) {
        (void)snprintf(text, sizeof text, "a lap ahead of tail, %" PRIu64 ", at most",
                       queue->tail_after);
        vine__survey_fault(look, offset, text, "stamp of position %" PRIu64, position);
    }
}

static void look_at_queue(struct vine__look *look, struct vine__survey_region *region)
{
    struct queue queue = {.base = region->offset_bytes + sizeof(struct vine_mpmc_control)};
    size_t bytes;

    region->is = VINE__SURVEY_QUEUE;
    vine__survey_at(look, "queue");
    if (!vine__survey_read(look, region->offset_bytes, &queue.control, sizeof queue.control) ||
        !look_at_control(look, region, &queue.control))
        return;
    region->room = queue.control.slot_count;
    region->sleepers = (uint64_t)queue.control.for_message.count + queue.control.for_space.count;
    bytes = queue.control.slot_count * sizeof *queue.slots;
    queue.slots = aligned_alloc(sizeof *queue.slots, bytes);
    queue.tail = queue.control.tail.value;
    if (queue.slots != NULL && vine__survey_read(look, queue.base, queue.slots, bytes) &&
        vine__survey_read(look, region->offset_bytes + CONTROL(tail), &queue.tail_after,
                          sizeof queue.tail_after)) {
        if (queue.tail_after < queue.tail)
            vine__survey_fault(look, region->offset_bytes + CONTROL(tail), "that it goes on",
                               "tail %" PRIu64 ", after %" PRIu64, queue.tail_after, queue.tail);
        for (uint64_t i = 0; i < queue.control.slot_count; i++)
            look_at_stamp(look, region, &queue, i);
    }
    free(queue.slots);
}

void vine__survey_at_region(struct vine__look *look, struct vine__survey_region *region)
{
    uint64_t magic = 0;

    vine__survey_at(look, "region at %" PRIu64, region->offset_bytes);
    if (region->size_bytes < sizeof magic ||
        !vine__survey_read(look, region->offset_bytes, &magic, sizeof magic))
        return;
    if (magic == VINE__MPMC_MAGIC && region->size_bytes >= sizeof(struct vine_mpmc_control))
        look_at_queue(look, region);
    else if (magic == VINE__ALLOCATOR_MAGIC &&
             region->size_bytes >= sizeof(struct vine__allocator_header))
        vine__survey_at_books(look, region);
}
