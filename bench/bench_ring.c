/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The rings beside the bare mailbox and a ring with cached indices, in the same two halves: round
 * trips, and messages a second one by one and 32 at a time. Every payload is copied out.
 *
 *   bench_ring [ROUNDS]    21 without
 */
#include "contests.h"

#include <vine/mpmc.h>
#include <vine/spsc.h>

#include <string.h>

#define SLOTS 1024U
#define BATCH 32U

/* ---- the peer: one producer, one consumer, two indices, each side caching the other's -------- */

struct index_slot {
    unsigned char payload[DUET_BYTES];
    uint64_t unused;
} __attribute__((aligned(64)));

struct index_half {
    struct {
        uint64_t value;
        unsigned char unused[56];
    } tail, head;
    struct index_slot slots[SLOTS];
};

struct index_ring {
    struct index_half *ours;
    const struct index_half *theirs;
    uint64_t tail; /* of what we send */
    uint64_t head_seen;
    uint64_t head; /* of what we receive */
    uint64_t tail_seen;
};

static uint32_t index_push(struct index_ring *ring, const void *messages, uint32_t count)
{
    const unsigned char *from = messages;
    uint64_t room = SLOTS - (ring->tail - ring->head_seen);

    if (room < count) {
        ring->head_seen = vine__load_acquire_u64(&ring->theirs->head.value);
        room = SLOTS - (ring->tail - ring->head_seen);
        if (room < count)
            count = (uint32_t)room;
    }
    for (uint32_t n = 0; n < count; n++)
        memcpy(ring->ours->slots[(ring->tail + n) % SLOTS].payload, from + n * DUET_BYTES,
               DUET_BYTES);
    if (count > 0) {
        ring->tail += count;
        vine__store_release_u64(&ring->ours->tail.value, ring->tail);
    }
    return count;
}

static uint32_t index_pop(struct index_ring *ring, void *ret_messages, uint32_t count)
{
    unsigned char *to = ret_messages;

    if (ring->tail_seen - ring->head < count) {
        ring->tail_seen = vine__load_acquire_u64(&ring->theirs->tail.value);
        if (ring->tail_seen - ring->head < count)
            count = (uint32_t)(ring->tail_seen - ring->head);
    }
    for (uint32_t n = 0; n < count; n++)
        memcpy(to + n * DUET_BYTES, ring->theirs->slots[(ring->head + n) % SLOTS].payload,
               DUET_BYTES);
    if (count > 0) {
        ring->head += count;
        vine__store_release_u64(&ring->ours->head.value, ring->head);
    }
    return count;
}

/* ---- everything in the halves ---------------------------------------------------------------- */

struct half {
    struct index_half index;
    uint64_t consumed __attribute__((aligned(64)));
    struct vine_slot slots[SLOTS] __attribute__((aligned(64)));
};

static struct index_ring index_ring;
static struct vine_spsc_producer producer;
static struct vine_spsc_consumer consumer;
static struct vine_mpmc queues[2]; /* [0] to the follower, [1] back */

static void open(struct duet *duet)
{
    struct half *ours = (struct half *)(void *)(duet->ours + DUET_AT_OPEN);
    const struct half *theirs = (const struct half *)(const void *)(duet->theirs + DUET_AT_OPEN);
    const size_t size = vine_mpmc_size(SLOTS);

    bench_require(DUET_AT_OPEN + sizeof(struct half) <= DUET_HALF_BYTES, "half");
    bench_require(2 * size <= DUET_SHARED_BYTES, "shared");
    index_ring = (struct index_ring){.ours = &ours->index, .theirs = &theirs->index};
    bench_require(vine_spsc_producer_init(&producer, ours->slots, SLOTS, &theirs->consumed) == 0,
                  "producer");
    bench_require(vine_spsc_consumer_init(&consumer, theirs->slots, SLOTS, &ours->consumed) == 0,
                  "consumer");
    for (size_t n = 0; n < 2; n++) {
        unsigned char *memory = duet->shared + n * (DUET_SHARED_BYTES / 2);

        if (duet->side == 0)
            bench_require(vine_mpmc_format(memory, size, SLOTS) == 0, "format");
        bench_require(vine_mpmc_attach(&queues[n], memory, size) == 0, "attach");
    }
}

/* ---- the contests --------------------------------------------------------------------------- */

ROUND_TRIP(index, index_push(&index_ring, message, 1) == 1, index_pop(&index_ring, message, 1) == 1)
ROUND_TRIP(spsc, vine_spsc_push(&producer, message, DUET_BYTES) == 0,
           vine_spsc_pop(&consumer, message) == 0)
ROUND_TRIP(mpmc, vine_mpmc_push(&queues[duet->side], message, DUET_BYTES) == 0,
           vine_mpmc_pop(&queues[!duet->side], message) == 0)

STREAM(index_1, 1, index_push(&index_ring, messages, 1), index_pop(&index_ring, messages, 1))
STREAM(spsc_1, 1, vine_spsc_push(&producer, messages, DUET_BYTES) == 0,
       vine_spsc_pop(&consumer, messages) == 0)
STREAM(mpmc_1, 1, vine_mpmc_push(&queues[0], messages, DUET_BYTES) == 0,
       vine_mpmc_pop(&queues[0], messages) == 0)
STREAM(index_32, BATCH, index_push(&index_ring, messages, want),
       index_pop(&index_ring, messages, want))
STREAM(spsc_32, BATCH, vine_spsc_push_burst(&producer, messages, DUET_BYTES, want),
       vine_spsc_pop_burst(&consumer, messages, want))
STREAM(mpmc_32, BATCH, vine_mpmc_push_burst(&queues[0], messages, DUET_BYTES, want),
       vine_mpmc_pop_burst(&queues[0], messages, want))

static const struct duet_contest spsc_trip =
    CONTEST("spsc", spsc, 20000, DUET_NS, &duet_mailbox, 1.10);
static struct duet_contest mpmc_trip =
    CONTEST("mpmc, uncontended", mpmc, 20000, DUET_NS, &duet_mailbox, 1.20);
static const struct duet_contest index_trip =
    CONTEST("peer: cached indices", index, 20000, DUET_NS, &duet_mailbox, 0);

static struct duet_contest index_one =
    CONTEST("peer: cached indices, one by one", index_1, 320000, DUET_MILLIONS, NULL, 0);
static struct duet_contest index_many =
    CONTEST("peer: cached indices, 32 at a time", index_32, 1280000, DUET_MILLIONS, NULL, 0);
static const struct duet_contest spsc_one =
    CONTEST("spsc, one by one", spsc_1, 320000, DUET_MILLIONS, &index_one, 1.5);
static const struct duet_contest mpmc_one =
    CONTEST("mpmc, one by one", mpmc_1, 160000, DUET_MILLIONS, &index_one, 0);
static struct duet_contest spsc_many =
    CONTEST("spsc, 32 at a time", spsc_32, 1280000, DUET_MILLIONS, &index_many, 1.0);
static const struct duet_contest mpmc_many =
    CONTEST("mpmc, 32 at a time", mpmc_32, 160000, DUET_MILLIONS, &index_many, 0);

int main(int argc, char **argv)
{
    static const struct duet_contest *const trips[] = {&duet_mailbox, &spsc_trip, &mpmc_trip,
                                                       &index_trip, NULL};
    static const struct duet_contest *const streams[] = {
        &index_one, &spsc_one, &mpmc_one, &index_many, &spsc_many, &mpmc_many, NULL};
    const int rounds = duet_rounds(argc, argv, 21);

    mpmc_trip.limit = "three locked instructions a message: one claims a position, one makes it "
                      "full in such a way that others can step over who stalls, and one takes it";
    spsc_many.limit = "one sequence number a slot to be written and looked at, near, where both "
                      "sides share one core's units";
    index_one.is_line_bound = true;
    index_many.is_line_bound = true;
    duet_play("Rings: round trips of 56 bytes", trips, rounds, open);
    duet_play("Rings: messages of 56 bytes in 64-byte slots", streams, rounds, open);
    return 0;
}
