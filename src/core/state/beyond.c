/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/state/beyond.c - what a coroutine has outside: sockets, and what goes on between them.
 *
 * Each has a place, which is chosen here and checked there. It goes with its coroutine, or with an
 * operation that was left before its end. Outside is told after the run, and until then its memory
 * stays and its place is not used anew.
 */

#include "core/state/state_internal.h"

VINE__INSIDE static uint32_t free_place(const struct vine__inside *inside)
{
    uint32_t place = 1;

    while (place <= inside->record->places_max && (inside->places >> place & 1) != 0)
        place++;
    return place <= inside->record->places_max ? place : 0;
}

VINE__INSIDE struct vine__beyond *vine__beyond_create(struct vine_coroutine *that,
                                                      size_t size_bytes)
{
    struct vine__inside *const inside = that->inside;
    const uint32_t place = free_place(inside);
    struct vine__beyond *const beyond =
        place != 0 ? vine__heap_alloc(&inside->heap, size_bytes) : NULL;

    if (beyond == NULL) {
        vine__raise(that, place == 0 ? -EMFILE : -ENOMEM);
        return NULL;
    }
    inside->places |= UINT64_C(1) << place;
    beyond->at_end = (struct vine__at_end){.is_beyond = true, .place = (uint16_t)place};
    beyond->owner = that;
    vine__at_end_add(that, &beyond->at_end);
    return beyond;
}

VINE__INSIDE void vine__beyond_leave(struct vine__beyond *beyond)
{
    struct vine__inside *const inside = beyond->owner->inside;

    if (!beyond->at_end.is_beyond)
        return; /* it has left already */
    vine__at_end_remove(beyond->owner, &beyond->at_end);
    beyond->at_end.is_beyond = false;
    if (beyond->waits != NULL)
        *beyond->waits = NULL;
    beyond->at_end.next = inside->leaving;
    inside->leaving = &beyond->at_end;
}

VINE__INSIDE void vine__beyond_free(struct vine__inside *inside)
{
    while (inside->leaving != NULL) {
        struct vine__at_end *const at_end = inside->leaving;

        inside->leaving = at_end->next;
        inside->places &= ~(UINT64_C(1) << (at_end->place % VINE__PLACES_MAX));
        vine__heap_free(&inside->heap, at_end);
    }
}
