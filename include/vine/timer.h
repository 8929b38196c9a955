/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/timer.h - time on a reactor: clocks, and functions to be called at a time.
 *
 * Owns:     nothing: timers are the caller's, and linked into their core's wheel from arming on
 *           until they are cancelled or called: what was only stopped has to stay in memory.
 * Threads:  a timer belongs to the core that armed it; only that core may touch it.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   any number of timers. Arming and cancelling take constant time. A timer is never early;
 *           how late it is depends on its clock and on what the core does meanwhile.
 */
#ifndef VINE_TIMER_H
#define VINE_TIMER_H

#include <stdbool.h>

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

enum vine_clock {
    VINE_CLOCK_STEADY, /* CLOCK_MONOTONIC: timers are due to the microsecond */
    VINE_CLOCK_COARSE, /* the same, as it was 50 us before the loop's turn began at the earliest:
                          reading it costs a load, and its timers are due to 10 ms; for time-outs,
                          of which there are many and few expire */
    VINE_CLOCK_MANUAL, /* moves when vine_clock_advance says so: for tests */
    VINE_CLOCK_COUNT,
};

struct vine_timer;

/* Called once the timer is not armed any more (or armed for its next period). It may arm, cancel
 * or free the timer. */
typedef void (*vine_timer_fn)(struct vine_timer *timer);

struct vine_timer_node {
    struct vine_timer_node *next, *prev; /* in a slot of the wheel; `prev` is NULL: in none */
};

/* Its fields are here so that it can be embedded; they are private. What arming and stopping touch
 * comes first, so that it mostly lies in one cache line. */
struct vine_timer {
    struct vine_timer_node node;
    uint64_t due_ns;
    uint64_t filed_ns; /* the time by which it lies in the wheel: it is due then or later */
    uint8_t clock;
    uint8_t group; /* the scheduling group in which it runs */
    bool is_due;   /* its time has come, and it waits for its turn */
    bool is_armed;
    uint64_t period_ns; /* 0: once */
    vine_timer_fn fn;
};

/* Nanoseconds of this clock, as the calling core sees it. Any clock's zero is arbitrary. */
VINE_API uint64_t vine_clock_now(enum vine_clock clock);

/* Move the calling core's manual clock. Timers that are due by then run in the next turns. */
VINE_API void vine_clock_advance(uint64_t by_ns);

/* Prepare a timer, not armed. `fn` will run in the scheduling group of whoever calls this. */
VINE_API void vine_timer_init(struct vine_timer *timer, enum vine_clock clock, vine_timer_fn fn);

/* Arm it anew, whether it is armed or not: at a time of its clock, once; after a delay, once; or
 * after each period (which is at least 1 ns) until it is cancelled. A period that was missed as a
 * whole is left out. */
VINE_API void vine_timer_arm_at(struct vine_timer *timer, uint64_t due_ns);
VINE_API void vine_timer_arm_after(struct vine_timer *timer, uint64_t delay_ns);
VINE_API void vine_timer_arm_every(struct vine_timer *timer, uint64_t period_ns);

/* Stop it, and take it out of the wheel: its memory may be freed. Returns whether it was armed. Its
 * function is not called any more. */
VINE_API bool vine_timer_cancel(struct vine_timer *timer);

/* Stop it, and leave it where it lies: for time-outs that are armed and stopped again and again,
 * with each request of a connection, say, and cancelled once, as it is closed. This touches the
 * timer alone, and so does arming it anew for no earlier than it lies in the wheel; cancelling and
 * arming write to its neighbours too, which among many timers are not in the cache. Until it is
 * cancelled its memory has to stay, and it may not be initialised again, though it is not armed;
 * the wheel lets go of it at the latest when the time comes for which it was armed, for which an
 * idle core may wake once. Returns whether it was armed. Its function is not called any more. */
VINE_API bool vine_timer_stop(struct vine_timer *timer);

static inline bool vine_timer_is_armed(const struct vine_timer *timer)
{
    return timer->is_armed;
}

VINE_END_DECLARATIONS

#endif
