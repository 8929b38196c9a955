/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness/restless.h - an appliance on reactors whose pipes move from core to core all the time.
 *
 * Owns:     a timer on each core.
 * Threads:  beginning: core 0's; ending: each core's own.
 * Blocking: never.
 * Trust:    the test's own.
 * Limits:   2 .. RESTLESS_CORES, all of which the serving has, and one serving at a time.
 */
#ifndef VINE_TESTS_HARNESS_RESTLESS_H
#define VINE_TESTS_HARNESS_RESTLESS_H

#include <vine/reactor.h>
#include <vine/serving.h>
#include <vine/timer.h>

#include "core/appliance/balance.h"
#include "core/talk/serving.h"

#define RESTLESS_CORES 8
#define RESTLESS_NS    200000

static struct {
    struct vine_serving *serving;
    struct vine_timer timers[RESTLESS_CORES];
    uint64_t rounds[RESTLESS_CORES];
} restless;

static inline void restless_move(struct vine_timer *timer)
{
    const uint32_t core = vine_core();
    const struct vine__serving_move move = {
        .to = (core + 1) % vine_core_count(),
        .count_max = VINE__MOVES_MAX,
        /* Some that have tasks are waited for, and some are not. */
        .limit_ns = ++restless.rounds[core] % 4 == 0 ? 20000000 : 100000,
        .most_ticks = UINT64_MAX,
    };

    (void)vine__serving_move_from(restless.serving, core, &move);
    vine_timer_arm_after(timer, RESTLESS_NS);
}

static inline int64_t restless_begin_here(void *nothing)
{
    struct vine_timer *const timer = &restless.timers[vine_core()];

    (void)nothing;
    vine_timer_init(timer, VINE_CLOCK_STEADY, restless_move);
    vine_timer_arm_after(timer, RESTLESS_NS);
    return 0;
}

/* On each core, before the serving is destroyed. */
static inline int64_t restless_end_here(void *nothing)
{
    (void)nothing;
    (void)vine_timer_cancel(&restless.timers[vine_core()]);
    return 0;
}

static inline int restless_begin(struct vine_serving *serving)
{
    int error = 0;

    restless.serving = serving;
    for (uint32_t core = 0; core < vine_core_count() && error == 0; core++)
        error = vine_submit_to(core, restless_begin_here, NULL);
    return error;
}

#endif
