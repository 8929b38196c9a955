/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/wait.h - spin, then sleep, until the other side of a ring moves; and wake who sleeps.
 *
 * Owns:     nothing. The sleep line lies in the sleeper's half; handles are private to one side.
 * Threads:  a handle belongs to the thread that uses the ring's end.
 * Blocking: the vine_wait_* calls, at most for their time-out. No sleep is longer than the
 *           backstop, after which the caller's `alive` may end the wait.
 * Trust:    the other side can wake us for nothing, or not at all: then the backstop does. A side
 *           that always says that it sleeps costs the other one system call a new value.
 * Limits:   one sleeper a line. Sleeping needs shared memory of one kernel.
 *
 * Who is about to sleep writes what it awaits into its line, then looks once more. Who publishes
 * looks at that line afterwards, and makes a system call only if somebody sleeps on what has just
 * become true, once for each sleep. Between a side's store and its load of the other's word stands
 * a full fence, whose price falls on one side or the other:
 *
 *   stream   the publisher has none; the sleeper has every processor pass one (membarrier, some
 *            2 us a sleep). Both processes have called vine_wait_mode_choose.
 *   sleepy   the publisher has one for each push or burst (some 20 ns), the sleeper another.
 *
 * How long to spin is learned: a sleep that turned out shorter than the longest spin doubles the
 * budget, a longer one halves it, and it never falls below 1 us. After 4 us the spinner offers its
 * processor to others every 4 us; if one of them took it for more than 20 us, there are more
 * spinners than processors, and the next wait sleeps at once; each time that this happens again
 * twice as many do, 64 at most, and after each spin that finds what it looks for half as many.
 *
 * Caveats:  a side that only pushes or pops, without vine_wake_*, leaves a sleeper to its backstop.
 */
#ifndef VINE_WAIT_H
#define VINE_WAIT_H

#include <vine/base.h>
#include <vine/spsc.h>

VINE_BEGIN_DECLARATIONS

#define VINE_WAIT_SPIN_NS     50000ULL     /* default of the longest spin */
#define VINE_WAIT_BACKSTOP_NS 100000000ULL /* default of the longest sleep */

enum vine_wait_mode {
    VINE_WAIT_AUTO,   /* stream where both sides can, else sleepy */
    VINE_WAIT_STREAM, /* cheapest to push, dearer to fall asleep (membarrier) */
    VINE_WAIT_SLEEPY, /* a full fence a push or burst, cheap to fall asleep */
};

/* Written by the sleeper alone. `awaited` is 0 while it is awake; else the sequence (a consumer)
 * or the consumer's position (a producer) that it sleeps for. */
struct vine_sleep_line {
    uint64_t awaited;
    unsigned char unused[VINE_CACHE_LINE - 8];
} __attribute__((aligned(VINE_CACHE_LINE)));

/* All zero (or NULL instead of the struct) means the defaults. */
struct vine_wait_options {
    size_t size_bytes; /* sizeof(struct vine_wait_options) */
    /* As vine_wait_mode_choose returned on both sides and both agreed; AUTO is taken as SLEEPY,
     * which needs nothing of the other side but to fence as well. */
    enum vine_wait_mode mode;
    uint64_t spin_ns;     /* longest spin; default VINE_WAIT_SPIN_NS; 1: never spin */
    uint64_t backstop_ns; /* longest sleep; default VINE_WAIT_BACKSTOP_NS */
    /* Called after each sleep that the backstop ended. 0 goes on waiting; a negative error (such as
     * -VINE_EPEERLOST) ends the wait with it. NULL: go on. */
    int (*alive)(void *context);
    void *alive_context;
};

struct vine_wait_statistics {
    uint64_t waits;  /* that did not find at once what they waited for */
    uint64_t sleeps; /* of those waits; one wait may sleep several times */
    uint64_t backstops;
    uint64_t crowded; /* spins given up because others wanted the processor */
    uint64_t spin_ns; /* the present budget */
};

/* What a thread has learned of its processor; see core/ring/spin.h. The fields are private. */
struct vine_spinner {
    uint64_t yield_ticks;
    uint64_t taken_ticks;
    uint64_t crowded_ticks;
    uint64_t crowded;  /* waits that were given up to strangers */
    uint32_t calm;     /* waits that do not spin, because of one of those */
    uint32_t penance;  /* how many the next one of those will be, less one */
    uint32_t together; /* waits that begin with an offer of the processor */
};

/* The sleeper's handle. The fields are private. */
struct vine_waiter {
    struct vine_sleep_line *line;
    int (*alive)(void *context);
    void *alive_context;
    uint64_t backstop_ns;
    uint64_t spin_max_ticks;
    uint64_t spin_ticks;
    uint64_t spin_min_ticks;
    struct vine_spinner spinner;
    uint64_t waits;
    uint64_t sleeps;
    uint64_t backstops;
    uint32_t is_stream;
};

/* How an asynchronous sleeper wants to be woken. Called on the thread that published; must not
 * block and must not use the ring. */
typedef void (*vine_wake_fn)(void *context);

/* The waker's handle. The fields are private. */
struct vine_waker {
    const struct vine_sleep_line *line; /* the other side's */
    uint64_t woken;                     /* the `awaited` that we woke last */
    uint64_t published;                 /* the consumer's position when we looked last */
    uint64_t wakes;
    vine_wake_fn call;
    void *call_context;
    int eventfd;
    uint32_t is_stream;
};

/*
 * Say which mode this process can take, and register with the kernel for it. Any thread. Use the
 * answer in what is agreed with the other side: STREAM if both sides got it.
 *
 * Returns VINE_WAIT_STREAM or VINE_WAIT_SLEEPY; for `wanted` AUTO or STREAM it is STREAM where
 *         the kernel has membarrier.
 */
VINE_API enum vine_wait_mode vine_wait_mode_choose(enum vine_wait_mode wanted);

/*
 * Prepare a sleeper. `line` is zeroed memory of our own half and is kept. The caller's thread, as
 * for all of a waiter that follows; never blocks.
 *
 * Returns 0; -EINVAL   a null or unaligned line, or an options struct of another size;
 *            -ENOSYS   STREAM where the kernel has no membarrier.
 */
VINE_API VINE_MUST_CHECK int vine_waiter_init(struct vine_waiter *waiter,
                                              struct vine_sleep_line *line,
                                              const struct vine_wait_options *options);

/* Prepare who wakes the owner of `line`, which is the other side's and is kept. `mode` is the one
 * that both sides have agreed on. The caller's thread, as for all of a waker that follows; never
 * blocks. Returns 0, -EINVAL or -ENOSYS, as above. */
VINE_API VINE_MUST_CHECK int vine_waker_init(struct vine_waker *waker,
                                             const struct vine_sleep_line *line,
                                             enum vine_wait_mode mode);

/* Have the sleeper woken by an eventfd (kept, not owned), or by a call, instead of a futex. Before
 * the first wake. An eventfd is for parties that trust each other: who shares it can fill it and
 * make it block. */
VINE_API void vine_waker_use_eventfd(struct vine_waker *waker, int fd);
VINE_API void vine_waker_use_call(struct vine_waker *waker, vine_wake_fn call, void *context);

/*
 * Wait until there is a message. Consumer thread only.
 *
 * Returns 0                there is one;
 *         -ETIMEDOUT       there is none within `timeout_ns` (0: look, do not wait);
 *         -VINE_ECORRUPT   as vine_spsc_pop;
 *         what `alive` returned.
 */
VINE_API VINE_MUST_CHECK int vine_wait_message(struct vine_waiter *waiter,
                                               struct vine_spsc_consumer *consumer,
                                               uint64_t timeout_ns);

/* Wait until there is room for a message. Producer thread only. Returns as vine_wait_message. */
VINE_API VINE_MUST_CHECK int vine_wait_space(struct vine_waiter *waiter,
                                             struct vine_spsc_producer *producer,
                                             uint64_t timeout_ns);

/* After every push or burst: wake the consumer if it sleeps on what is published. Producer thread
 * only. */
VINE_API void vine_wake_consumer(struct vine_waker *waker, struct vine_spsc_producer *producer);

/* After every pop or burst, the one included that found the ring empty: wake the producer if it
 * sleeps and there is room. Does nothing if our position was not published since. Consumer thread
 * only. */
VINE_API void vine_wake_producer(struct vine_waker *waker, struct vine_spsc_consumer *consumer);

/*
 * Asynchronous waiting: say that we sleep, without sleeping. The other side's next message (or
 * room, for a producer) then reaches our eventfd or call, once. Consumer (producer) thread only.
 *
 * Returns 0                armed; disarm before the next use of the ring's end;
 *         -EALREADY        there is a message (or room) already; nothing is armed;
 *         -VINE_ECORRUPT   as vine_spsc_pop (vine_spsc_push).
 */
VINE_API VINE_MUST_CHECK int vine_wait_arm_message(struct vine_waiter *waiter,
                                                   struct vine_spsc_consumer *consumer);
VINE_API VINE_MUST_CHECK int vine_wait_arm_space(struct vine_waiter *waiter,
                                                 struct vine_spsc_producer *producer);
VINE_API void vine_wait_disarm(struct vine_waiter *waiter);

/* What the waits did so far. The waiter's thread only. */
VINE_API void vine_waiter_statistics(const struct vine_waiter *waiter,
                                     struct vine_wait_statistics *ret_statistics);

VINE_END_DECLARATIONS

#endif
