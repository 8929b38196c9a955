/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/waiting.h - a function of one core that waits for something of that core: units of a
 * semaphore, a condition, room in a queue, the end of a gate.
 *
 * Owns:     nothing: it is the caller's memory, in use from the call that waits until its function
 *           is called.
 * Threads:  one core.
 * Blocking: never. The function is called by vine_work_post and never within the call that waits,
 *           or that ends the waiting.
 * Trust:    not concerned.
 * Limits:   it waits for one thing at a time.
 *
 * Each wait ends once, with a result:
 *
 *     0               it has what it waited for
 *     -ETIMEDOUT      its deadline came first
 *     -ECANCELED      its abort source was requested first, or vine_waiting_cancel was called
 *     -VINE_ECLOSED   what it waited for is closed or broken
 */
#ifndef VINE_WAITING_H
#define VINE_WAITING_H

#include <stdbool.h>

#include <vine/abort.h>
#include <vine/reactor.h>
#include <vine/timer.h>

VINE_BEGIN_DECLARATIONS

struct vine_waiting;
typedef void (*vine_waiting_fn)(struct vine_waiting *waiting);

/* Those who wait for one thing, first come first served. Private fields. */
struct vine_waiters {
    struct vine_waiting *first, *last;
    void (*left)(struct vine_waiters *waiters); /* somebody went without; may be NULL */
};

enum vine_waiting_state {
    VINE_WAITING_IDLE,
    VINE_WAITING_WAITS,
    VINE_WAITING_ENDS, /* its function is about to be called */
};

/* Its fields are here so that it can be embedded; they are private. */
struct vine_waiting {
    struct vine_work work;
    vine_waiting_fn fn;
    struct vine_waiting *next, *prev;
    struct vine_waiters *waiters;
    struct vine_abort_source *source;
    struct vine_abort_node abort;
    struct vine_timer timer;
    uint64_t deadline_ns;
    union {
        uint64_t units; /* of a semaphore: those it wants */
        void *item;     /* of a queue */
    } what;
    int result;
    uint8_t state;
};

/* Prepare it, while it is idle. `fn` will run in the scheduling group of whoever calls this, and
 * may wait again, or free it. */
VINE_API void vine_waiting_init(struct vine_waiting *waiting, vine_waiting_fn fn);

/* Give the next wait, and no other, a deadline: a time (no duration) of VINE_CLOCK_COARSE, in
 * nanoseconds; 0 or VINE_FOREVER: none. While it is idle. */
VINE_API void vine_waiting_set_deadline(struct vine_waiting *waiting, uint64_t deadline_ns);

/* End the next wait, and no other, when `source`, one of this core, is requested, or at once where
 * it was. It takes nothing then. While it is idle; the source stays until the wait has ended. */
VINE_API void vine_waiting_set_abort(struct vine_waiting *waiting,
                                     struct vine_abort_source *source);

/* End its wait with -ECANCELED, of which its function is told later: until then it is in use.
 * Returns whether it waited: false where it has another result already, with which its function is
 * about to be called, and where it is idle. */
VINE_API bool vine_waiting_cancel(struct vine_waiting *waiting);

/* How its last wait ended. */
static inline int vine_waiting_result(const struct vine_waiting *waiting)
{
    return waiting->result;
}

/* Whether it may be used for another wait, or given up: true from when its function is called. */
static inline bool vine_waiting_is_idle(const struct vine_waiting *waiting)
{
    return waiting->state == VINE_WAITING_IDLE;
}

VINE_END_DECLARATIONS

#endif
