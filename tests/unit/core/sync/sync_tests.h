/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of core/sync share: one core, whose turns and clock are the test's, and those who
 * wait there.
 */
#ifndef VINE_TESTS_SYNC_TESTS_H
#define VINE_TESTS_SYNC_TESTS_H

#include "harness/assertion.h"
#include "harness/stepped.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/waiting.h>

static struct stepped world;
static bool world_is_open;

static inline int stop_core(void **state)
{
    (void)state;
    if (world_is_open)
        stepped_close(&world);
    world_is_open = false;
    return 0;
}

static inline void start_core(void)
{
    (void)stop_core(NULL);
    stepped_open(&world, 1, 1, NULL);
    world_is_open = true;
}

static inline uint64_t now_ns(void)
{
    return world.clock_ns;
}

/* Turn until nothing is left to do, `by_ns` later. */
static inline void run_core(uint64_t by_ns)
{
    world.clock_ns += by_ns;
    stepped_settle(&world);
    (void)vine__reactor_enter(world.reactors[0]);
}

/* Nothing is armed or on its way any more. */
static inline bool core_is_idle(void)
{
    return vine__reactor_idle_until(world.reactors[0]) == VINE_FOREVER;
}

/* ---- those who wait -------------------------------------------------------------------------- */

/* By how much a deadline may be late: the resolution of the clock. */
#define DEADLINE_SLACK_NS 10000000

#define GUESTS 8

struct guest {
    struct vine_waiting waiting;
    uint32_t calls;
    int result;
    uint32_t order; /* which of all calls the last one was, from 1 */
};

static struct guest guests[GUESTS];
static uint32_t guest_calls;

static inline void note_end(struct vine_waiting *waiting)
{
    struct guest *guest = (struct guest *)(void *)waiting;

    assert_true(vine_waiting_is_idle(waiting));
    guest->calls++;
    guest->result = vine_waiting_result(waiting);
    guest->order = ++guest_calls;
}

static inline void start_guests(void)
{
    start_core();
    guest_calls = 0;
    memset(guests, 0, sizeof(guests));
    for (size_t n = 0; n < GUESTS; n++)
        vine_waiting_init(&guests[n].waiting, note_end);
}

/* Called once, with this result, as this one of all. */
#define ASSERT_ENDED(n, wanted_result, wanted_order)                                               \
    do {                                                                                           \
        assert_int_equal(guests[n].calls, 1);                                                      \
        assert_int_equal(guests[n].result, wanted_result);                                         \
        assert_int_equal(guests[n].order, wanted_order);                                           \
    } while (0)

/* ---- what must not be done ------------------------------------------------------------------- */

/* Whether `fn`, which may start a core, fails an assertion of ours. */
static inline bool fails_an_assertion(void (*fn)(void))
{
    const bool was_open = world_is_open;

    world_is_open = false; /* the child does not close what is its parent's */
    const bool fails = child_fails_an_assertion(fn);

    world_is_open = was_open;
    return fails;
}

#endif
