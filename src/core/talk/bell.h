/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/bell.h - the doorbell of this machine, as a pipe's threads share it.
 *
 * Owns:     the doorbell, if there is one.
 * Threads:  any; opening and closing: one.
 * Blocking: vine__bell_rest, for its time-out at most.
 * Trust:    whoever rings says that there is something to look at, and no more.
 * Limits:   none of its own.
 *
 * Of the threads that rest one listens to the doorbell, and wakes the others when it rings or when
 * it leaves. Who rests has taken the count of rings before its last look: what was rung since then
 * ends its rest at once.
 *
 *   W1  who listened: release of `rings`      pairs with W2: what was rung for can be seen
 *   W2  who will rest: acquire of `rings`     pairs with W1
 *   W3  who listened: release of `listening`  pairs with W4
 *   W4  the next one: acquire of it           pairs with W3: the last one's count of rings
 */
#ifndef VINE_CORE_TALK_BELL_H
#define VINE_CORE_TALK_BELL_H

#include <stdbool.h>

#include "arch/guest/guest.h"
#include "arch/wake/doorbell.h"
#include "core/talk/why.h"

struct vine__bell {
    struct vine__doorbell *doorbell; /* NULL: nobody can ring us, nor we them */
    uint32_t listening;              /* atomic: whether a thread does */
    uint32_t rings;                  /* atomic */
    uint32_t resting;                /* atomic: how many threads wait for that one */
};

/* Open it, if this machine has one and no other process of it has it open: `why` says why not. */
void vine__bell_open(struct vine__bell *bell, const struct vine__guest *guest,
                     const char *sysfs_root, struct vine__why *why);
void vine__bell_close(struct vine__bell *bell);

static inline bool vine__bell_is_there(const struct vine__bell *bell)
{
    return bell->doorbell != NULL;
}

/* Ring whoever is at the other end, if it can be rung. */
void vine__bell_ring(const struct vine__bell *bell, uint32_t peer, uint32_t vector);

/* To be taken before the last look. */
uint32_t vine__bell_rings(const struct vine__bell *bell);

/* Whether others can ring us by this vector, which the host named. */
bool vine__bell_hears(const struct vine__bell *bell, uint32_t vector);

/* Until `vector`, which is one that we hear, is rung, or was since `rings` was taken. */
void vine__bell_rest(struct vine__bell *bell, uint32_t vector, uint32_t rings, uint64_t timeout_ns);

#endif
