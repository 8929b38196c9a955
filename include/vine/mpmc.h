/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/mpmc.h - bounded queue of many producers and many consumers, threads or processes.
 *
 * Owns:     nothing. The queue lies in memory that all of them map writable; a handle is private
 *           to one thread and holds no resources.
 * Threads:  any number of producers and consumers, each with a handle of its own
 *           (vine_mpmc_clone).
 * Blocking: never, but for the vine_mpmc_wait_* calls.
 * Trust:    none to spare: the parties cooperate. Whoever can write the memory can break the
 *           queue, though not make a call touch memory outside of it. Towards a peer that is not
 *           trusted use vine/spsc.h.
 * Limits:   2 .. VINE_MPMC_SLOTS_MAX slots, a power of two; VINE_MPMC_BYTES bytes a message.
 *
 * Each slot carries a stamp that says whose turn it is (D. Vyukov's bounded queue). A producer that
 * stalls, or dies, between taking a position and finishing with it keeps that one slot: after
 * `patience` consumers step over it, and others lap by lap, until its owner comes back, whose
 * message then goes in at a later position; where all slots are kept so, the queue stays full. A
 * consumer holds up nobody: it copies first, and takes
 * the message by the same step that frees the slot.
 *
 * Caveats:  messages of one producer are taken in order; those of several in the order in which
 *           they took their positions, but for the stalled.
 */
#ifndef VINE_MPMC_H
#define VINE_MPMC_H

#include <vine/base.h>
#include <vine/wait.h>

VINE_BEGIN_DECLARATIONS

#define VINE_MPMC_BYTES       56
#define VINE_MPMC_SLOTS_MIN   2
#define VINE_MPMC_SLOTS_MAX   (1U << 20)
#define VINE_MPMC_PATIENCE_NS 1000000ULL

struct vine_mpmc_control; /* what the parties share */
struct vine_mpmc_slot;

/* What has been in a consumer's way, and since when; private. */
struct vine_mpmc_obstacle {
    uint64_t met;          /* a stamp; UINT64_MAX for none */
    uint64_t since;        /* ticks */
    uint32_t looks;        /* wraps */
    uint32_t is_somebodys; /* since then we know that the position is taken */
};

/* A handle. Its fields are here so that it can be embedded; they are private. */
struct vine_mpmc {
    struct vine_mpmc_control *control;
    struct vine_mpmc_slot *slots;
    uint64_t slot_count;
    uint64_t patience_ticks;
    uint64_t head; /* no message is before it */
    struct vine_mpmc_obstacle obstacle;
    uint64_t stepped_over; /* slots of stalled producers */
};

/* The bytes that a queue of `slot_count` slots takes; 0 for a count that is not possible. */
VINE_API size_t vine_mpmc_size(uint32_t slot_count);

/*
 * Lay an empty queue into `memory`, aligned to 64. One thread, before all others attach.
 *
 * Returns 0; -EINVAL   an impossible count, too little memory, or memory that is not aligned.
 */
VINE_API VINE_MUST_CHECK int vine_mpmc_format(void *memory, size_t size_bytes, uint32_t slot_count);

/*
 * Prepare a handle to the queue in `memory`, which is kept. Any thread.
 *
 * Returns 0; -EINVAL            `memory` is null or not aligned;
 *            -VINE_EMAGIC       no queue was laid there, or one with other slots;
 *            -VINE_ETRUNCATED   the queue is larger than `size_bytes`.
 */
VINE_API VINE_MUST_CHECK int vine_mpmc_attach(struct vine_mpmc *queue, void *memory,
                                              size_t size_bytes);

/* A handle for one more thread of this process. Any thread. */
VINE_API void vine_mpmc_clone(struct vine_mpmc *clone, const struct vine_mpmc *queue);

/* After how long to step over a slot whose producer does not finish; default VINE_MPMC_PATIENCE_NS.
 * The handle's thread. */
VINE_API void vine_mpmc_set_patience(struct vine_mpmc *queue, uint64_t patience_ns);

/*
 * Append one message of at most VINE_MPMC_BYTES. The handle's thread; lock-free.
 *
 * Returns 0         a consumer can see it;
 *         -EAGAIN   the queue is full, or the next slot's owner is not done with it;
 *         -EINVAL   `size` is larger than a slot.
 */
VINE_API VINE_MUST_CHECK int vine_mpmc_push(struct vine_mpmc *queue, const void *bytes,
                                            size_t size);

/* Append as many as fit of `count` messages of `size` bytes each, one after the other; others'
 * messages may come between them. Returns their number, or -EINVAL. */
VINE_API VINE_MUST_CHECK int vine_mpmc_push_burst(struct vine_mpmc *queue, const void *messages,
                                                  size_t size, uint32_t count);

/*
 * Take one message: VINE_MPMC_BYTES are copied to `ret_bytes`. The handle's thread; lock-free.
 *
 * Returns 0         it is ours;
 *         -EAGAIN   the queue is empty, or the next message's producer is not done with it.
 */
VINE_API VINE_MUST_CHECK int vine_mpmc_pop(struct vine_mpmc *queue,
                                           void *ret_bytes /* [VINE_MPMC_BYTES] */);

/* Take up to `count_max`. Returns their number, 0 for none, or -EINVAL. */
VINE_API VINE_MUST_CHECK int vine_mpmc_pop_burst(struct vine_mpmc *queue, void *ret_messages,
                                                 uint32_t count_max);

/* About how many positions are taken now. Any thread. */
VINE_API uint32_t vine_mpmc_used(const struct vine_mpmc *queue);

/* Prepare a sleeper for such a queue: as vine_waiter_init, with `sleepy` as the only mode. */
VINE_API VINE_MUST_CHECK int vine_mpmc_waiter_init(struct vine_waiter *waiter,
                                                   const struct vine_wait_options *options);

/*
 * Wait until a message (or room) seems to be there; another thread may be quicker to take it.
 * The handle's thread.
 *
 * Returns 0; -ETIMEDOUT; what the option `alive` returned.
 */
VINE_API VINE_MUST_CHECK int
vine_mpmc_wait_message(struct vine_mpmc *queue, struct vine_waiter *waiter, uint64_t timeout_ns);
VINE_API VINE_MUST_CHECK int vine_mpmc_wait_space(struct vine_mpmc *queue,
                                                  struct vine_waiter *waiter, uint64_t timeout_ns);

/* After `count` pushes (pops): wake as many of those who sleep for a message (for room), or more if
 * there is something for them. One full fence; a system call only if somebody sleeps. The handle's
 * thread. */
VINE_API void vine_mpmc_wake_consumers(struct vine_mpmc *queue, uint32_t count);
VINE_API void vine_mpmc_wake_producers(struct vine_mpmc *queue, uint32_t count);

VINE_END_DECLARATIONS

#endif
