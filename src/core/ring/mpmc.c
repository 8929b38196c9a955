/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stamp of the slot that position p falls on, with N slots:
 *
 *   FREE p    --- producer of p ------------------------>  FULL p
 *   FULL p    --- whoever consumes it ------------------>  FREE p+N
 *   FREE p    --- a consumer at p, tail > p, impatient -->  STUCK p
 *   STUCK v   --- a producer at tail = v+N ------------->  STUCK v+N
 *   STUCK v   --- its producer, back again ------------->  FREE v+N
 *
 * All by compare-and-swap. A producer owns the position over which it moved `tail`, by one. Who
 * finds it stalled turns the stamp to STUCK; all then step over the slot's positions, lap by lap,
 * and never touch its payload; the producer finds out by its own step. A consumer owns nothing: it
 * copies first, and the message is its own if the stamp still was FULL p when it freed the slot. So
 * one that stalls holds nobody up, and one that dies takes nothing with it.
 *
 * `head` is a hint: no position before it is FULL. It may lag or even go back by the store of a
 * consumer that slept; each handle keeps its own, too, and goes by the later one.
 *
 * M1 (release) of each step of a stamp pairs with M2 (acquire) of whoever reads it before touching
 * the payload. M3 (release), the step of a cursor, pairs with M4 (acquire) of whoever goes by it: a
 * stamp is never older than the cursor that led to it.
 */
#include <errno.h>
#include <limits.h>
#include <stdbool.h>
#include <string.h>

#include <vine/error.h>
#include <vine/mpmc.h>

#include "arch/clock/clock.h"
#include "arch/cpu/cpu.h"
#include "core/ring/mpmc_layout.h"
#include "utils/atomic.h"
#include "utils/bits.h"

/* A handle that is turned away reads the clock the first few times (it may sleep in between), then
 * seldom: an idle consumer polls for next to nothing. */
#define LOOKS_FIRST   8
#define LOOKS_A_CLOCK 64

static uint64_t stamp_of(uint64_t position, enum vine__mpmc_state state)
{
    return position << 2 | (uint64_t)state;
}

static enum vine__mpmc_state state_of(uint64_t stamp)
{
    return (enum vine__mpmc_state)(stamp & 3);
}

static uint64_t position_of(uint64_t stamp)
{
    return stamp >> 2;
}

static bool count_is_possible(uint32_t slot_count)
{
    return slot_count >= VINE_MPMC_SLOTS_MIN && slot_count <= VINE_MPMC_SLOTS_MAX &&
           vine__is_power_of_two_u64(slot_count);
}

size_t vine_mpmc_size(uint32_t slot_count)
{
    if (!count_is_possible(slot_count))
        return 0;
    return sizeof(struct vine_mpmc_control) + slot_count * sizeof(struct vine_mpmc_slot);
}

int vine_mpmc_format(void *memory, size_t size_bytes, uint32_t slot_count)
{
    struct vine_mpmc_control *control = (struct vine_mpmc_control *)memory;

    if (!memory || (uintptr_t)memory % VINE_CACHE_LINE != 0 || !count_is_possible(slot_count) ||
        size_bytes < vine_mpmc_size(slot_count))
        return -EINVAL;

    struct vine_mpmc_slot *slots = (struct vine_mpmc_slot *)(control + 1);

    memset(memory, 0, vine_mpmc_size(slot_count));
    for (uint64_t position = 0; position < slot_count; position++)
        slots[position].stamp = stamp_of(position, VINE__MPMC_FREE);
    control->slot_count = slot_count;
    control->slot_bytes = sizeof(struct vine_mpmc_slot);
    /* F1 pairs with F2: the queue before the word that says it is one. */
    vine__store_release_u64(&control->magic, VINE__MPMC_MAGIC);
    return 0;
}

int vine_mpmc_attach(struct vine_mpmc *queue, void *memory, size_t size_bytes)
{
    struct vine_mpmc_control *control = (struct vine_mpmc_control *)memory;

    if (!memory || (uintptr_t)memory % VINE_CACHE_LINE != 0)
        return -EINVAL;
    if (size_bytes < sizeof(*control))
        return -VINE_ETRUNCATED;
    /* F2 pairs with F1. */
    if (vine__load_acquire_u64(&control->magic) != VINE__MPMC_MAGIC)
        return -VINE_EMAGIC;

    const uint32_t slot_count = vine__load_relaxed_u32(&control->slot_count);

    if (!count_is_possible(slot_count) ||
        vine__load_relaxed_u32(&control->slot_bytes) != sizeof(struct vine_mpmc_slot))
        return -VINE_EMAGIC;
    if (size_bytes < vine_mpmc_size(slot_count))
        return -VINE_ETRUNCATED;
    *queue = (struct vine_mpmc){
        .control = control,
        .slots = (struct vine_mpmc_slot *)(control + 1),
        .slot_count = slot_count,
        .obstacle.met = UINT64_MAX,
    };
    vine_mpmc_set_patience(queue, VINE_MPMC_PATIENCE_NS);
    return 0;
}

void vine_mpmc_clone(struct vine_mpmc *clone, const struct vine_mpmc *queue)
{
    *clone = (struct vine_mpmc){
        .control = queue->control,
        .slots = queue->slots,
        .slot_count = queue->slot_count,
        .patience_ticks = queue->patience_ticks,
        .obstacle.met = UINT64_MAX,
    };
}

void vine_mpmc_set_patience(struct vine_mpmc *queue, uint64_t patience_ns)
{
    queue->patience_ticks = vine__clock_ns_to_ticks(patience_ns);
}

/* A payload is copied word by word: a consumer may still read what it will not get. */
#define WORDS (VINE_MPMC_BYTES / sizeof(uint64_t))

VINE__ALWAYS_INLINE void write_payload(struct vine_mpmc_slot *slot, const void *bytes)
{
    for (size_t n = 0; n < WORDS; n++) {
        uint64_t word;

        memcpy(&word, (const unsigned char *)bytes + n * sizeof(word), sizeof(word));
        vine__store_relaxed_u64(&slot->payload[n], word);
    }
}

VINE__ALWAYS_INLINE void read_payload(const struct vine_mpmc_slot *slot, void *ret_bytes)
{
    for (size_t n = 0; n < WORDS; n++) {
        const uint64_t word = vine__load_relaxed_u64(&slot->payload[n]);

        memcpy((unsigned char *)ret_bytes + n * sizeof(word), &word, sizeof(word));
    }
}

/* Make the slot of a position that we own FULL. Returns false if the others have lost patience;
 * then the slot is given back. */
static bool finish(struct vine_mpmc *queue, struct vine_mpmc_slot *slot, uint64_t position)
{
    uint64_t found = stamp_of(position, VINE__MPMC_FREE);

    /* M1 pairs with M2. */
    if (vine__compare_exchange_acq_rel_u64(&slot->stamp, &found,
                                           stamp_of(position, VINE__MPMC_FULL)))
        return true;
    /* Ends: each failure is a lap of the others. */
    while (!vine__compare_exchange_acq_rel_u64(
        &slot->stamp, &found, stamp_of(position_of(found) + queue->slot_count, VINE__MPMC_FREE))) {
    }
    return false;
}

/* Move the tail over a position that is void. It does not matter who does. M3 pairs with M4. */
static void step_over(struct vine_mpmc *queue, uint64_t position)
{
    (void)vine__compare_exchange_acq_rel_u64(&queue->control->tail.value, &position, position + 1);
}

enum verdict {
    TAKE,
    SKIP,  /* this position needs nobody any more */
    VOID,  /* the same, since its owner stalled */
    AGAIN, /* something moved: look again */
    STOP,  /* full, empty, or somebody is not done yet; or a stamp that no party writes */
};

/* What a producer makes of the stamp that it found at `position`, which is or was the tail. */
static enum verdict judge_push(struct vine_mpmc *queue, struct vine_mpmc_slot *slot,
                               uint64_t position, uint64_t stamp)
{
    const uint64_t at = position_of(stamp);

    if (at == position)
        return state_of(stamp) == VINE__MPMC_FREE ? TAKE : SKIP;
    /* The tail was read long ago. A stamp that is many laps ahead was written by nobody of ours,
     * and is not worth stepping up to. */
    if (at - position - 1 < 4 * queue->slot_count)
        return SKIP;
    if (at + queue->slot_count != position || state_of(stamp) != VINE__MPMC_STUCK)
        return STOP;
    /* M1 pairs with M2. */
    if (!vine__compare_exchange_acq_rel_u64(&slot->stamp, &stamp,
                                            stamp_of(position, VINE__MPMC_STUCK)))
        return AGAIN;
    queue->stepped_over++;
    return VOID;
}

int vine_mpmc_push(struct vine_mpmc *queue, const void *bytes, size_t size)
{
    uint64_t *tail = &queue->control->tail.value;
    unsigned char padded[VINE_MPMC_BYTES];
    const void *whole = bytes;
    uint64_t voids = 0;

    if (size > VINE_MPMC_BYTES)
        return -EINVAL;
    if (VINE__UNLIKELY(size < VINE_MPMC_BYTES)) {
        memset(padded, 0, sizeof(padded));
        whole = memcpy(padded, bytes, size);
    }
    /* Lock-free: we go round again only if somebody else made a step. */
    for (;;) {
        uint64_t position = vine__load_acquire_u64(tail); /* M4 pairs with M3 */
        struct vine_mpmc_slot *slot = &queue->slots[position & (queue->slot_count - 1)];

        vine__prefetch_to_write(slot);
        /* M2 pairs with M1: the slot's last reader is done with it. */
        const uint64_t stamp = vine__load_acquire_u64(&slot->stamp);

        switch (judge_push(queue, slot, position, stamp)) {
        case TAKE:
            /* M3 pairs with M4. */
            if (!vine__compare_exchange_acq_rel_u64(tail, &position, position + 1))
                break;
            write_payload(slot, whole);
            if (finish(queue, slot, position))
                return 0;
            /* We were too slow: at a later position, then. The slot that we gave back may be what
             * somebody sleeps for, and no pop tells. */
            vine_mpmc_wake_producers(queue, UINT32_MAX);
            break;
        case VOID:
            /* A lap of them: nothing is left of the queue. */
            if (voids++ == queue->slot_count)
                return -EAGAIN;
            step_over(queue, position);
            break;
        case SKIP:
            step_over(queue, position);
            break;
        case AGAIN:
            break;
        case STOP:
            /* M4 pairs with M3. Unless the tail that we went by is old. */
            if (vine__load_acquire_u64(tail) == position)
                return -EAGAIN;
            break;
        }
    }
}

/* We met `stamp`, of a message that is not there, at the head. Has it been in our way for as long
 * as our patience lasts? */
static bool patience_is_over(const struct vine_mpmc *queue, struct vine_mpmc_obstacle *obstacle,
                             uint64_t stamp)
{
    if (queue->patience_ticks == 0)
        return true;
    if (obstacle->met != stamp) {
        *obstacle = (struct vine_mpmc_obstacle){.met = stamp, .since = vine__clock_ticks()};
        return false;
    }
    obstacle->looks++;
    if (obstacle->looks > LOOKS_FIRST && obstacle->looks % LOOKS_A_CLOCK != 0)
        return false;
    return vine__clock_ticks() - obstacle->since >= queue->patience_ticks;
}

/* What a consumer makes of the stamp that it found at `position`, before which nothing is left. */
static enum verdict judge_pop(struct vine_mpmc *queue, struct vine_mpmc_slot *slot,
                              uint64_t position, uint64_t stamp)
{
    const uint64_t at = position_of(stamp);

    if (at == position && state_of(stamp) == VINE__MPMC_FULL)
        return TAKE;
    if (at == position && state_of(stamp) == VINE__MPMC_STUCK)
        return VOID;
    if ((int64_t)(at - position) > 0)
        return SKIP; /* taken by another */
    if (at != position)
        return STOP; /* void in the lap before, and nothing was pushed here since */

    /* Empty, or is its producer late? We ask seldom, for `tail` is the producers' line; so a first
     * answer does not tell for how long, and patience begins with it. */
    struct vine_mpmc_obstacle *obstacle = &queue->obstacle;

    if (!patience_is_over(queue, obstacle, stamp))
        return STOP;
    /* M4 pairs with M3. */
    if ((int64_t)(vine__load_acquire_u64(&queue->control->tail.value) - position) <= 0) {
        obstacle->met = UINT64_MAX;
        return STOP;
    }
    if (!obstacle->is_somebodys && queue->patience_ticks > 0) {
        obstacle->since = vine__clock_ticks();
        obstacle->looks = 0;
        obstacle->is_somebodys = true;
        return STOP;
    }
    /* M1 pairs with M2. */
    if (!vine__compare_exchange_acq_rel_u64(&slot->stamp, &stamp,
                                            stamp_of(position, VINE__MPMC_STUCK)))
        return AGAIN;
    queue->stepped_over++;
    return VOID;
}

/* How far a consumer goes on that meets a stamp so many positions ahead. While there is a message
 * anywhere, the tail is less than two laps ahead of it, void positions included, and a stamp at
 * most a lap ahead of the tail, which it is where a late producer gave its slot back. */
static uint64_t stride(const struct vine_mpmc *queue, uint64_t ahead)
{
    const uint64_t laps = 2 * (uint64_t)queue->slot_count;

    return ahead > laps ? ahead - laps + 1 : 1;
}

/* Nothing is left before `position`. M3 pairs with M4. A plain store: see the top. */
static void set_head(struct vine_mpmc *queue, uint64_t position)
{
    queue->head = position;
    vine__store_release_u64(&queue->control->head.value, position);
}

int vine_mpmc_pop(struct vine_mpmc *queue, void *ret_bytes)
{
    const uint64_t head = vine__mpmc_head(queue);
    uint64_t position = head;

    /* Lock-free: we go round again only if somebody else made a step. */
    for (;;) {
        struct vine_mpmc_slot *slot = &queue->slots[position & (queue->slot_count - 1)];
        /* M2 pairs with M1: the payload is there once the stamp says so. */
        uint64_t stamp = vine__load_acquire_u64(&slot->stamp);

        switch (judge_pop(queue, slot, position, stamp)) {
        case TAKE:
            vine__prefetch_to_write(slot);
            read_payload(slot, ret_bytes);
            /* M1 pairs with M2: the copy is finished before anybody writes there. If the stamp is
             * still what it was, nobody has meanwhile. */
            if (!vine__compare_exchange_acq_rel_u64(
                    &slot->stamp, &stamp, stamp_of(position + queue->slot_count, VINE__MPMC_FREE)))
                break;
            set_head(queue, position + 1);
            return 0;
        case VOID:
            position++;
            /* Room, of which no pop tells. */
            vine_mpmc_wake_producers(queue, UINT32_MAX);
            break;
        case SKIP:
            position += stride(queue, position_of(stamp) - position);
            break;
        case AGAIN:
            break;
        case STOP:
            if (position != head)
                set_head(queue, position);
            return -EAGAIN;
        }
    }
}

int vine_mpmc_push_burst(struct vine_mpmc *queue, const void *messages, size_t size, uint32_t count)
{
    const unsigned char *from = (const unsigned char *)messages;
    uint32_t pushed = 0;

    if (size > VINE_MPMC_BYTES || count > INT_MAX)
        return -EINVAL;
    while (pushed < count && vine_mpmc_push(queue, from + pushed * size, size) == 0)
        pushed++;
    return (int)pushed;
}

int vine_mpmc_pop_burst(struct vine_mpmc *queue, void *ret_messages, uint32_t count_max)
{
    unsigned char *to = (unsigned char *)ret_messages;
    uint32_t popped = 0;

    if (count_max > INT_MAX)
        return -EINVAL;
    while (popped < count_max && vine_mpmc_pop(queue, to + popped * VINE_MPMC_BYTES) == 0)
        popped++;
    return (int)popped;
}

uint32_t vine_mpmc_used(const struct vine_mpmc *queue)
{
    const uint64_t head = vine__mpmc_head(queue);
    /* M4 pairs with M3. */
    const uint64_t used = vine__load_acquire_u64(&queue->control->tail.value) - head;

    /* The tail may not have been moved over positions that are void. */
    return (int64_t)used < 0 ? 0 : (uint32_t)vine__min_u64(used, queue->slot_count);
}
