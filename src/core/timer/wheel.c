/* SPDX-License-Identifier: Apache-2.0 */
#include "core/timer/wheel.h"

#include "utils/bits.h"
#include "utils/container_of.h"

/* How many timers of the next slot are looked at to know the first of them. */
#define LOOK_MAX 4

#define NEVER (VINE__WHEEL_LEVELS * VINE__WHEEL_SLOTS) /* the slot of what is never due */
#define WORDS (VINE__WHEEL_SLOTS / 64)                 /* of bits, for a level */

/* The ticks of one slot. */
struct span {
    uint64_t begin;
    uint64_t last;
};

void vine__wheel_init(struct vine__wheel *wheel, uint64_t resolution_ns, uint64_t now_ns)
{
    VINE_ASSERT(resolution_ns > 0);
    *wheel = (struct vine__wheel){.shift = vine__log2_u64(resolution_ns)};
    wheel->round_up_ns = (UINT64_C(1) << wheel->shift) - 1;
    wheel->at = vine__min_u64(now_ns >> wheel->shift, UINT64_MAX - 1);
    for (size_t n = 0; n <= NEVER; n++)
        wheel->slots[n] = (struct vine_timer_node){&wheel->slots[n], &wheel->slots[n]};
}

void vine__wheel_slot_filled(struct vine__wheel *wheel, const struct vine_timer_node *slot)
{
    const size_t index = (size_t)(slot - wheel->slots);

    if (index == NEVER)
        return;
    wheel->filled[index / 64] |= UINT64_C(1) << index % 64;
    wheel->levels |= 1U << index / VINE__WHEEL_SLOTS;
}

void vine__wheel_slot_emptied(struct vine__wheel *wheel, const struct vine_timer_node *slot)
{
    const size_t index = (size_t)(slot - wheel->slots);
    const size_t level = index / VINE__WHEEL_SLOTS;
    uint64_t others = 0;

    if (index == NEVER)
        return;
    wheel->filled[index / 64] &= ~(UINT64_C(1) << index % 64);
    for (size_t n = 0; n < WORDS; n++)
        others |= wheel->filled[level * WORDS + n];
    if (others == 0)
        wheel->levels &= ~(1U << level);
}

/* What a slot holds, seen from the position: all digits above its own are the position's. */
static struct span span_of(const struct vine__wheel *wheel, size_t index)
{
    const uint32_t up = (uint32_t)(index / VINE__WHEEL_SLOTS * VINE__WHEEL_DIGIT_BITS);
    const uint64_t below = (UINT64_C(1) << up) - 1;
    const uint64_t digit = (uint64_t)(VINE__WHEEL_SLOTS - 1) << up;
    const uint64_t begin = (wheel->at & ~(digit | below)) | (uint64_t)(index % VINE__WHEEL_SLOTS)
                                                                << up;

    return (struct span){begin, begin | below};
}

/* The next slot that has timers; there is one. */
static size_t first_slot(const struct vine__wheel *wheel)
{
    const uint32_t level = vine__lowest_bit_u64(wheel->levels);
    size_t word = level * WORDS;

    while (wheel->filled[word] == 0)
        word++;
    VINE_ASSERT_SLOW(word < (level + 1) * WORDS);
    return word * 64 + vine__lowest_bit_u64(wheel->filled[word]);
}

static struct vine_timer *timer_of(struct vine_timer_node *node)
{
    return VINE_CONTAINER_OF(node, struct vine_timer, node);
}

static bool is_empty(const struct vine_timer_node *slot)
{
    return slot->next == slot;
}

/* Move the position to `now`, or to the next slot that has timers, if that is before. Returns that
 * slot, or NULL. */
static struct vine_timer_node *go_on(struct vine__wheel *wheel, uint64_t now)
{
    if (wheel->levels != 0) {
        const size_t index = first_slot(wheel);
        const uint64_t begin = span_of(wheel, index).begin;

        VINE_ASSERT_SLOW(begin >= wheel->at);
        if (begin <= now) {
            wheel->at = begin;
            return &wheel->slots[index];
        }
    }
    /* Between the two is nothing, so that each slot keeps its place. */
    wheel->at = now;
    return NULL;
}

struct vine_timer *vine__wheel_pop_due(struct vine__wheel *wheel, uint64_t now_ns)
{
    const uint64_t now = vine__min_u64(now_ns >> wheel->shift, UINT64_MAX - 1);

    if (now < wheel->at)
        return NULL;
    for (uint32_t moves = 0; moves < VINE__WHEEL_MOVES_MAX; moves++) {
        /* Each time anew: what came to its end may have been cancelled since. */
        if (wheel->open == NULL || is_empty(wheel->open))
            wheel->open = go_on(wheel, now);
        if (wheel->open == NULL)
            return NULL;

        struct vine_timer *timer = timer_of(wheel->open->next);

        vine__wheel_unlink(wheel, timer);
        if (!timer->is_armed)
            continue; /* stopped, and not armed since: here it goes */
        if (vine__wheel_tick(wheel, timer->due_ns) <= wheel->at) {
            timer->is_armed = false;
            return timer;
        }
        vine__wheel_link(wheel, timer);
    }
    return NULL;
}

uint64_t vine__wheel_next_ns(const struct vine__wheel *wheel)
{
    uint64_t tick = UINT64_MAX;
    size_t seen = 0;

    if (wheel->open != NULL && !is_empty(wheel->open))
        return wheel->at << wheel->shift;
    if (wheel->levels == 0)
        return VINE_FOREVER;

    const size_t index = first_slot(wheel);
    const struct span span = span_of(wheel, index);
    const struct vine_timer_node *slot = &wheel->slots[index];

    for (struct vine_timer_node *node = slot->next; node != slot && seen <= LOOK_MAX; seen++) {
        if (timer_of(node)->is_armed)
            tick = vine__min_u64(tick, vine__wheel_tick(wheel, timer_of(node)->due_ns));
        node = node->next;
    }
    if (seen > LOOK_MAX)
        tick = span.begin;
    /* Those that were armed for later, or stopped, wait for their slot's end: where it ends, others
     * begin. */
    tick = vine__max_u64(vine__min_u64(tick, span.last), span.begin);
    return tick > UINT64_MAX >> wheel->shift ? VINE_FOREVER : tick << wheel->shift;
}

static bool is_ring(const struct vine_timer_node *slot)
{
    const struct vine_timer_node *node = slot;

    do {
        if (node->next->prev != node)
            return false;
        node = node->next;
    } while (node != slot);
    return true;
}

static bool is_slot_valid(const struct vine__wheel *wheel, size_t index)
{
    const struct vine_timer_node *slot = &wheel->slots[index];
    const bool is_filled = (wheel->filled[index / 64] >> index % 64 & 1) != 0;
    const uint64_t begin = span_of(wheel, index).begin;

    if (!is_ring(slot) || is_filled == is_empty(slot))
        return false;
    if (!is_filled)
        return true;
    if (begin < wheel->at)
        return false;
    if (begin == wheel->at)
        return index < VINE__WHEEL_SLOTS || slot == wheel->open;
    for (struct vine_timer_node *node = slot->next; node != slot; node = node->next)
        if (vine__wheel_tick(wheel, timer_of(node)->filed_ns) < begin)
            return false;
    return true;
}

uint64_t vine__wheel_count(const struct vine__wheel *wheel, uint64_t most)
{
    uint64_t count = 0;
    uint64_t seen = 0;

    for (size_t i = 0; i < sizeof(wheel->slots) / sizeof(wheel->slots[0]); i++) {
        const struct vine_timer_node *const slot = &wheel->slots[i];

        for (struct vine_timer_node *node = slot->next; node != slot && seen < most; seen++) {
            count += timer_of(node)->is_armed;
            node = node->next;
        }
    }
    return count;
}

bool vine__wheel_validate(const struct vine__wheel *wheel)
{
    uint32_t levels = 0;

    if (!is_ring(&wheel->slots[NEVER]))
        return false;
    if (wheel->open != NULL && !is_empty(wheel->open) &&
        span_of(wheel, (size_t)(wheel->open - wheel->slots)).begin != wheel->at)
        return false;
    for (size_t index = 0; index < NEVER; index++) {
        if (!is_slot_valid(wheel, index))
            return false;
        if (!is_empty(&wheel->slots[index]))
            levels |= 1U << index / VINE__WHEEL_SLOTS;
    }
    return levels == wheel->levels;
}
