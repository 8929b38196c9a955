/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness/reactors.h - a few reactors that run, each on a thread of the test's process, whose own
 * threads call them.
 *
 * Owns:     the threads, between reactors_open and reactors_close.
 * Threads:  the test's.
 * Blocking: opening and closing; reactors_call for its reply.
 * Trust:    the test's own.
 * Limits:   REACTORS_MAX, and one set of them at a time.
 */
#ifndef VINE_TESTS_HARNESS_REACTORS_H
#define VINE_TESTS_HARNESS_REACTORS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <pthread.h>

#include "core/reactor/reactor.h"

#define REACTORS_MAX 8

/* By which their operations go. */
#ifndef REACTORS_BACKEND
#define REACTORS_BACKEND VINE__POLL_BACKEND_ANY
#endif

struct reactors {
    struct vine__mesh *mesh;
    pthread_barrier_t made;
    uint32_t count;
    struct reactors_core {
        struct reactors *all;
        uint32_t core;
        pthread_t thread;
        int error;
    } cores[REACTORS_MAX];
};

static inline void *reactors_core_main(void *context)
{
    struct reactors_core *const self = context;
    const struct vine__poller_options options = {.backend = REACTORS_BACKEND, .queue_depth = 64};
    struct vine__reactor *reactor = NULL;
    struct vine__poller *poller;

    self->error = vine__poller_create(&poller, &options);
    if (self->error == 0)
        self->error = vine__reactor_create(&reactor, self->all->mesh, self->core, poller);
    (void)pthread_barrier_wait(&self->all->made);
    if (self->error == 0)
        vine__reactor_run(reactor);
    /* Nobody is called after that who may have gone. */
    (void)pthread_barrier_wait(&self->all->made);
    vine__reactor_destroy(reactor);
    return NULL;
}

static inline void reactors_open(struct reactors *reactors, uint32_t count)
{
    const struct vine__mesh_options options = {.core_count = count, .idle_poll_ns = 20000};

    *reactors = (struct reactors){.count = count};
    assert_int_equal(vine__mesh_create(&reactors->mesh, &options), 0);
    assert_int_equal(pthread_barrier_init(&reactors->made, NULL, count + 1), 0);
    for (uint32_t core = 0; core < count; core++) {
        reactors->cores[core] = (struct reactors_core){.all = reactors, .core = core};
        assert_int_equal(pthread_create(&reactors->cores[core].thread, NULL, reactors_core_main,
                                        &reactors->cores[core]),
                         0);
    }
    (void)pthread_barrier_wait(&reactors->made);
    for (uint32_t core = 0; core < count; core++)
        assert_int_equal(reactors->cores[core].error, 0);
    vine__mesh_open_to_aliens(reactors->mesh);
}

static inline int64_t reactors_call(uint32_t core, vine_core_call_fn fn, void *argument)
{
    int64_t result = 0;

    assert_int_equal(vine_alien_call(core, fn, argument, &result), 0);
    return result;
}

static inline int64_t reactors_stop_all(void *nothing)
{
    (void)nothing;
    vine_stop(0);
    return 0;
}

/* Those that somebody has stopped. */
static inline void reactors_close_stopped(struct reactors *reactors)
{
    (void)pthread_barrier_wait(&reactors->made);
    for (uint32_t core = 0; core < reactors->count; core++)
        assert_int_equal(pthread_join(reactors->cores[core].thread, NULL), 0);
    assert_false(vine__mesh_was_cut_short(reactors->mesh));
    vine__mesh_open_to_aliens(NULL);
    (void)pthread_barrier_destroy(&reactors->made);
    vine__mesh_destroy(reactors->mesh);
}

static inline void reactors_close(struct reactors *reactors)
{
    (void)reactors_call(0, reactors_stop_all, NULL);
    reactors_close_stopped(reactors);
}

#endif
