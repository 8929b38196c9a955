/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness/stepped.h - a few reactors in one thread, stepped in an order of the test's choice, under
 * a clock that the test owns.
 */
#ifndef VINE_TESTS_HARNESS_STEPPED_H
#define VINE_TESTS_HARNESS_STEPPED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "core/reactor/reactor.h"

#define STEPPED_CORES_MAX 8
#define STEPPED_TURNS_MAX 100000 /* until something is called a hang */

struct stepped {
    struct vine__mesh *mesh;
    struct vine__reactor *reactors[STEPPED_CORES_MAX];
    uint32_t count;
    uint64_t clock_ns;
    uint64_t random;
};

/* enum vine__poll_backend of those that are opened. */
__attribute__((unused)) static uint8_t stepped_backend = VINE__POLL_BACKEND_ANY;

static inline uint64_t stepped_random(struct stepped *stepped)
{
    stepped->random ^= stepped->random << 13;
    stepped->random ^= stepped->random >> 7;
    stepped->random ^= stepped->random << 17;
    return stepped->random;
}

/* `options` may be NULL. Core 0 is entered: what the test calls next is called there. */
static inline void stepped_open(struct stepped *stepped, uint32_t count, uint64_t seed,
                                const struct vine__mesh_options *options)
{
    struct vine__mesh_options wish = options != NULL ? *options : (struct vine__mesh_options){0};

    *stepped = (struct stepped){.count = count, .clock_ns = 1000, .random = seed | 1};
    wish.core_count = count;
    wish.clock_ns = &stepped->clock_ns;
    assert_int_equal(vine__mesh_create(&stepped->mesh, &wish), 0);
    for (uint32_t core = 0; core < count; core++) {
        const struct vine__poller_options poller_options = {.backend = stepped_backend,
                                                            .queue_depth = 32};
        struct vine__poller *poller;

        assert_int_equal(vine__poller_create(&poller, &poller_options), 0);
        assert_int_equal(
            vine__reactor_create(&stepped->reactors[core], stepped->mesh, core, poller), 0);
    }
    (void)vine__reactor_enter(stepped->reactors[0]);
}

static inline void stepped_close(struct stepped *stepped)
{
    (void)vine__reactor_enter(NULL);
    for (uint32_t core = 0; core < stepped->count; core++)
        vine__reactor_destroy(stepped->reactors[core]);
    vine__mesh_destroy(stepped->mesh);
}

static inline bool stepped_step(struct stepped *stepped, uint32_t core)
{
    return vine__reactor_step(stepped->reactors[core]);
}

/* Step cores at random until none has anything to do. */
static inline void stepped_settle(struct stepped *stepped)
{
    uint64_t busy = ~UINT64_C(0);

    for (uint32_t i = 0; busy != 0; i++) {
        const uint32_t core = (uint32_t)(stepped_random(stepped) % stepped->count);

        assert_true(i < STEPPED_TURNS_MAX);
        if ((stepped_random(stepped) & 256) != 0 && vine__reactor_peek(stepped->reactors[core]))
            busy = ~UINT64_C(0);
        busy &= (UINT64_C(1) << stepped->count) - 1;
        if (stepped_step(stepped, core))
            busy = (UINT64_C(1) << stepped->count) - 1;
        else
            busy &= ~(UINT64_C(1) << core);
    }
}

#endif
