/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/ring/spin.h - looking for a while before sleeping, on a processor that others may want.
 *
 * Owns:     nothing; the spinner is a thread's.
 * Threads:  the spinner's own.
 * Blocking: vine__spin_step, as long as others use a processor that it offers to them.
 * Trust:    not concerned.
 * Limits:   how long to spin is the caller's budget; this tells when to stop before that.
 *
 * Who spins on a processor keeps whoever else wants it from running, and that may be the very side
 * that is waited for. So the processor is offered now and then, and what becomes of an offer is
 * remembered:
 *
 *   declined: it comes back at once            nobody else wants it; spin on
 *   taken for a moment, and then it is there   the other side shares the processor: the next waits
 *                                              begin with an offer, so that both take turns
 *   taken for long, and it is not there        strangers want it: sleep, and so for some waits
 *
 * For how many is learned too. To be taken from for long once means little: a timer's work, or, in
 * a machine whose host has others to serve, a moment without a processor at all.
 */
#ifndef VINE_CORE_RING_SPIN_H
#define VINE_CORE_RING_SPIN_H

#include <stdbool.h>

#include <vine/wait.h>

#include "arch/clock/clock.h"
#include "arch/cpu/cpu.h"
#include "arch/wake/yield.h"
#include "utils/bits.h"

#define VINE__SPIN_YIELD_NS    4000  /* between two offers */
#define VINE__SPIN_TAKEN_NS    1000  /* an offer that was taken; a declined one takes 0.3 us */
#define VINE__SPIN_CROWDED_NS  20000 /* one that was taken by strangers */
#define VINE__SPIN_DECLINED_NS 300
#define VINE__SPIN_SLOWEST     10 /* times that, in a machine that another one translates */
#define VINE__SPIN_TRIES       4
#define VINE__SPIN_CALM        64U /* waits that do not spin after that, at most */
#define VINE__SPIN_TOGETHER    64  /* waits that begin with an offer */

/* One wait. */
struct vine__spin {
    uint64_t next_yield;    /* in ticks */
    uint64_t offered_ticks; /* how long the last offer took; 0: none yet, or a look since */
};

/* How many times as long as usual an offer takes here that is declined, in hundredths. */
static inline uint64_t vine__spinner_slowness(void)
{
    const uint64_t usual_ticks = vine__max_u64(1, vine__clock_ns_to_ticks(VINE__SPIN_DECLINED_NS));
    uint64_t least_ticks = VINE__SPIN_SLOWEST * usual_ticks;

    for (int i = 0; i < VINE__SPIN_TRIES; i++) {
        const uint64_t before_ticks = vine__clock_ticks();

        vine__yield();
        least_ticks = vine__min_u64(least_ticks, vine__clock_ticks() - before_ticks);
    }
    return vine__max_u64(100, 100 * least_ticks / usual_ticks);
}

static inline void vine__spinner_init(struct vine_spinner *spinner)
{
    const uint64_t slowness = vine__spinner_slowness();

    *spinner = (struct vine_spinner){
        .yield_ticks = vine__clock_ns_to_ticks(VINE__SPIN_YIELD_NS * slowness / 100),
        .taken_ticks = vine__clock_ns_to_ticks(VINE__SPIN_TAKEN_NS * slowness / 100),
        .crowded_ticks = vine__clock_ns_to_ticks(VINE__SPIN_CROWDED_NS * slowness / 100),
    };
}

/* A wait begins. Returns false if it had better sleep at once. */
static inline bool vine__spin_begin(struct vine_spinner *spinner, struct vine__spin *spin,
                                    uint64_t now_ticks)
{
    *spin = (struct vine__spin){.next_yield = now_ticks};
    if (spinner->calm > 0) {
        spinner->calm--;
        return false;
    }
    if (spinner->together > 0)
        spinner->together--;
    else
        spin->next_yield += spinner->yield_ticks;
    return true;
}

/* A look has found nothing. Returns false if the wait had better sleep. */
static inline bool vine__spin_step(struct vine_spinner *spinner, struct vine__spin *spin,
                                   uint64_t now_ticks)
{
    if (spin->offered_ticks > spinner->crowded_ticks) {
        spinner->crowded++;
        spinner->calm = spinner->penance + 1;
        spinner->penance =
            2 * spinner->calm < VINE__SPIN_CALM ? 2 * spinner->calm - 1 : VINE__SPIN_CALM - 1;
        spinner->together = 0;
        return false;
    }
    spin->offered_ticks = 0;
    if ((int64_t)(now_ticks - spin->next_yield) < 0) {
        vine__cpu_relax();
        return true;
    }
    vine__yield();

    const uint64_t after_ticks = vine__clock_ticks();

    spin->offered_ticks = after_ticks - now_ticks;
    spin->next_yield = after_ticks + spinner->yield_ticks;
    if (spin->offered_ticks < spinner->taken_ticks)
        spinner->together = 0;
    return true;
}

/* A look has found what was waited for, or a part of it. */
static inline void vine__spin_found(struct vine_spinner *spinner, struct vine__spin *spin)
{
    spinner->penance /= 2;
    if (spin->offered_ticks > spinner->crowded_ticks)
        spinner->together = 0;
    else if (spin->offered_ticks > spinner->taken_ticks)
        spinner->together = VINE__SPIN_TOGETHER;
    spin->offered_ticks = 0;
}

#endif
