/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/spsc.h - one-producer, one-consumer queue of 64-byte slots across a pipe.
 *
 * Owns:     nothing. The slots lie in the producer's half, the consumer's published position in
 *           the consumer's; a handle is private to one side and holds no resources.
 * Threads:  one producer and one consumer thread, in any process or VM that maps both halves.
 * Blocking: never. Combine with vine/wait.h to sleep until the other side moves.
 * Trust:    the other side may write anything into its half at any moment. No call touches
 *           memory outside the two halves because of it; the worst answer is -VINE_ECORRUPT.
 *           Nothing that a side wrote itself is ever read back from shared memory.
 * Limits:   2 .. VINE_SPSC_SLOTS_MAX slots, a power of two; VINE_SPSC_BYTES bytes a message. The
 *           slots and the position are zero before either side touches them. A ring carries
 *           2^64 - 2^32 messages in its life, which is more than 500 years at 10^9 a second.
 *
 * The signal and the data share a cache line: a message costs the other core one line transfer.
 * The message at position p (0, 1, 2, ...) lies in slot p modulo the number of slots, and its
 * sequence is p + 1. docs/formats/ring.md has every byte of it.
 *
 * Caveats:  the consumer publishes its position when it has read a quarter of the ring since the
 *           last time, or finds the ring empty; vine_spsc_consumer_publish does it at once. Until
 *           then a producer of a full ring is told -EAGAIN.
 *           A handle is not carried over to another process by fork.
 */
#ifndef VINE_SPSC_H
#define VINE_SPSC_H

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

#define VINE_SPSC_SLOT_BYTES 64
#define VINE_SPSC_BYTES      56
#define VINE_SPSC_SLOTS_MIN  2
#define VINE_SPSC_SLOTS_MAX  (1U << 20)

/* What a slot is in the producer's half. `sequence` is the position of the message plus one; it is
 * written by the producer alone, after the payload. */
struct vine_slot {
    uint64_t sequence;
    unsigned char payload[VINE_SPSC_BYTES];
} __attribute__((aligned(VINE_SPSC_SLOT_BYTES)));

/* The producer's handle. Its fields are here so that it can be embedded; they are private. */
struct vine_spsc_producer {
    struct vine_slot *slots;
    const uint64_t *consumed; /* the consumer's word, in its half */
    uint64_t position;        /* of the next message */
    uint64_t consumed_seen;   /* the last value of *consumed that passed the check */
    uint64_t slot_count;
};

/* The consumer's handle. Its fields are private, too. */
struct vine_spsc_consumer {
    const struct vine_slot *slots;
    uint64_t *consumed;     /* our word, in our half; written, never read */
    uint64_t position;      /* of the next message */
    uint64_t published;     /* what *consumed holds */
    uint64_t publish_every; /* a quarter of the ring, at least one slot */
    uint64_t slot_count;
};

/*
 * Prepare the producing end on the caller's memory. `slots` is our own zeroed memory, aligned to
 * 64; `consumed` is the consumer's word, aligned to 8. Both are kept, neither is touched.
 *
 * Returns 0         the handle is ready;
 *         -EINVAL   `slot_count` is not a power of two within the limits, or an address is null
 *                   or not aligned; the handle is untouched.
 */
VINE_API VINE_MUST_CHECK int vine_spsc_producer_init(struct vine_spsc_producer *producer,
                                                     struct vine_slot *slots, uint32_t slot_count,
                                                     const uint64_t *consumed);

/* The same for the consuming end: `slots` is the producer's memory, which may be mapped read-only,
 * `consumed` is our own word. */
VINE_API VINE_MUST_CHECK int vine_spsc_consumer_init(struct vine_spsc_consumer *consumer,
                                                     const struct vine_slot *slots,
                                                     uint32_t slot_count, uint64_t *consumed);

/*
 * Let an end that has just been prepared begin at `position` instead of 0: its memory is left as
 * that many messages would have left it. Both ends must, before either is used. It takes tests to
 * places that a ring reaches after years.
 */
VINE_API void vine_spsc_producer_start_at(struct vine_spsc_producer *producer, uint64_t position);
VINE_API void vine_spsc_consumer_start_at(struct vine_spsc_consumer *consumer, uint64_t position);

/*
 * Append one message. Producer thread only.
 *
 * Copies `size` bytes, at most VINE_SPSC_BYTES; what follows them in the slot stays what it was.
 * Wait-free; reads the consumer's line only when the ring looks full.
 *
 * Returns 0                the consumer can see the message;
 *         -EAGAIN          the ring is full and nothing was written;
 *         -EINVAL          `size` is larger than a slot;
 *         -VINE_ECORRUPT   the consumer published an impossible position.
 */
VINE_API VINE_MUST_CHECK int vine_spsc_push(struct vine_spsc_producer *producer, const void *bytes,
                                            size_t size);

/*
 * Append as many as fit of `count` messages of `size` bytes each, which lie one after the other.
 * Producer thread only. The consumer sees all of them at once.
 *
 * Returns a number         of messages, from the first; 0 when the ring is full;
 *         -EINVAL          `size` is larger than a slot, or `count` than INT_MAX;
 *         -VINE_ECORRUPT   the consumer published an impossible position; nothing was written.
 */
VINE_API VINE_MUST_CHECK int vine_spsc_push_burst(struct vine_spsc_producer *producer,
                                                  const void *messages, size_t size,
                                                  uint32_t count);

/*
 * Take one message: its VINE_SPSC_BYTES are copied once into private memory. Consumer thread only.
 *
 * Returns 0                `ret_bytes` holds the message;
 *         -EAGAIN          the ring is empty, and our position is published;
 *         -VINE_ECORRUPT   the slot's sequence is neither the next nor the one before it.
 */
VINE_API VINE_MUST_CHECK int vine_spsc_pop(struct vine_spsc_consumer *consumer,
                                           void *ret_bytes /* [VINE_SPSC_BYTES] */);

/*
 * Take up to `count_max` messages; `ret_messages` receives VINE_SPSC_BYTES for each, one after the
 * other. Consumer thread only.
 *
 * Returns a number         of messages; 0 when the ring is empty, and our position is published;
 *         -EINVAL          `count_max` is larger than INT_MAX;
 *         -VINE_ECORRUPT   as above, and no message came before the offending slot: those before
 *                          it are returned first.
 */
VINE_API VINE_MUST_CHECK int vine_spsc_pop_burst(struct vine_spsc_consumer *consumer,
                                                 void *ret_messages, uint32_t count_max);

/*
 * Look whether there is a message, without taking it. Consumer thread only.
 *
 * Returns 1, 0, or -VINE_ECORRUPT as vine_spsc_pop would.
 */
VINE_API VINE_MUST_CHECK int vine_spsc_ready(const struct vine_spsc_consumer *consumer);

/*
 * Look whether there is room for a message. Producer thread only.
 *
 * Returns the number of messages that can be pushed now, 0 included; -VINE_ECORRUPT as
 *         vine_spsc_push would.
 */
VINE_API VINE_MUST_CHECK int vine_spsc_space(struct vine_spsc_producer *producer);

/*
 * How many messages the consumer has not yet said that it took; an upper bound of what it has not
 * read. Producer thread only.
 *
 * Returns the number, or -VINE_ECORRUPT as vine_spsc_push would.
 */
VINE_API VINE_MUST_CHECK int vine_spsc_used(struct vine_spsc_producer *producer);

/* Tell the producer our position now. Consumer thread only. Needed before a consumer stops looking
 * for reasons of its own; not before it sleeps through vine/wait.h. */
VINE_API void vine_spsc_consumer_publish(struct vine_spsc_consumer *consumer);

VINE_END_DECLARATIONS

#endif
