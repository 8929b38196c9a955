/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/ring/mpmc_layout.h - what the parties of an mpmc queue share, byte by byte.
 *
 * Owns:     nothing.
 * Threads:  each word says who writes it.
 * Blocking: never.
 * Trust:    the parties cooperate; see vine/mpmc.h.
 * Limits:   little-endian; docs/formats/ring.md describes the same bytes.
 */
#ifndef VINE_CORE_RING_MPMC_LAYOUT_H
#define VINE_CORE_RING_MPMC_LAYOUT_H

#include <vine/base.h>
#include <vine/mpmc.h>

#include "utils/assert.h"
#include "utils/atomic.h"

#define VINE__MPMC_MAGIC 0x31434d504d454e56ULL /* "VNEMPMC1" */

/* Sleepers of one kind. Who goes to sleep counts itself in; who publishes and finds the count not
 * zero raises the epoch, on which they sleep. A sleeper that is killed stays counted: from then on
 * each publication makes a system call for nothing, and nothing else happens. */
struct vine_mpmc_sleepers {
    uint32_t epoch;
    uint32_t count;
    unsigned char unused[56];
} __attribute__((aligned(64)));

struct vine_mpmc_word {
    uint64_t value;
    unsigned char unused[56];
} __attribute__((aligned(64)));

struct vine_mpmc_control {
    uint64_t magic; /* stored last by the one who formats */
    uint32_t slot_count;
    uint32_t slot_bytes;
    unsigned char unused[48];
    struct vine_mpmc_word tail; /* the next position to be filled; producers */
    struct vine_mpmc_word head; /* no message is before it, but it may lag; consumers */
    struct vine_mpmc_sleepers for_message;
    struct vine_mpmc_sleepers for_space;
} __attribute__((aligned(64)));

/* The stamp is a position, shifted by two, and what the slot is doing at it. */
struct vine_mpmc_slot {
    uint64_t stamp;
    uint64_t payload[VINE_MPMC_BYTES / sizeof(uint64_t)];
} __attribute__((aligned(64)));

enum vine__mpmc_state {
    VINE__MPMC_FREE = 0,  /* waits for the producer of this position */
    VINE__MPMC_FULL = 1,  /* holds the message of this position */
    VINE__MPMC_STUCK = 2, /* its producer stalled; positions up to this one are void */
};

VINE_STATIC_ASSERT(sizeof(struct vine_mpmc_slot) == 64, "a slot is a line");
VINE_STATIC_ASSERT(offsetof(struct vine_mpmc_slot, payload) == 8, "layout");
VINE_STATIC_ASSERT(offsetof(struct vine_mpmc_control, slot_count) == 8, "layout");
VINE_STATIC_ASSERT(offsetof(struct vine_mpmc_control, slot_bytes) == 12, "layout");
VINE_FIELD(vine_mpmc_control, magic, 0);
VINE_FIELD(vine_mpmc_sleepers, epoch, 0);
VINE_FIELD(vine_mpmc_sleepers, count, 4);
VINE_FIELD(vine_mpmc_word, value, 0);
VINE_FIELD(vine_mpmc_slot, stamp, 0);
VINE_LAYOUT(vine_mpmc_sleepers, 64);
VINE_LAYOUT(vine_mpmc_word, 64);
VINE_STATIC_ASSERT(offsetof(struct vine_mpmc_control, tail) == 64, "a line of its own");
VINE_STATIC_ASSERT(offsetof(struct vine_mpmc_control, head) == 128, "a line of its own");
VINE_STATIC_ASSERT(offsetof(struct vine_mpmc_control, for_message) == 192, "a line of its own");
VINE_STATIC_ASSERT(offsetof(struct vine_mpmc_control, for_space) == 256, "a line of its own");
VINE_STATIC_ASSERT(sizeof(struct vine_mpmc_control) == 320, "the slots follow");

/* Where a consumer looks first. M4 pairs with M3. */
VINE__ALWAYS_INLINE uint64_t vine__mpmc_head(const struct vine_mpmc *queue)
{
    const uint64_t shared = vine__load_acquire_u64(&queue->control->head.value);

    return (int64_t)(shared - queue->head) > 0 ? shared : queue->head;
}

#endif
