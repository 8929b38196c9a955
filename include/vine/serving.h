/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/serving.h - an appliance on reactors: its pipes are spread over their cores.
 *
 * Owns:     a serving owns an appliance, its address, its worker threads, and a part of it on each
 *           core: pipes that this core alone serves, beside whatever else it does.
 * Threads:  core 0's, but for what vine/appliance.h lets any thread do with the appliance.
 * Moving:   a pipe goes to another core where its own has been busy, and much busier than that one,
 *           for some tenths of a second; by itself, between tasks, at most once a second.
 * Blocking: never. A core whose pipes are idle sleeps as it does without them. One that listens in
 *           a named segment is woken where its operations go by io_uring and Linux is 6.7 or later;
 *           elsewhere, and at links without doorbells, it looks now and then, of which an
 *           application notices a sixteenth of the time for which it was idle, at most 20 ms.
 * Trust:    as vine/appliance.h says.
 * Limits:   those of the appliance's options, of which pipes_max is for all cores together.
 *
 * Handlers and events are called as vine/appliance.h and vine/procedure.h say, on the core that has
 * the pipe then: several handlers at once, on different cores, and one event at a time.
 */
#ifndef VINE_SERVING_H
#define VINE_SERVING_H

#include <vine/appliance.h>

#include <stdbool.h>

VINE_BEGIN_DECLARATIONS

struct vine_serving;
struct vine_service_options;

/* It serves no more: all that was taken has ended, and its threads are gone. Called once, on core
 * 0; it may stop the reactors, and destroy the serving if no other thread still uses it. */
typedef void (*vine_serving_ended_fn)(void *context, struct vine_serving *serving);

struct vine_serving_options {
    size_t size_bytes; /* sizeof(struct vine_serving_options) */
    /* NULL: the defaults. `spin_ns` says nothing here: --idle-poll-time-us does. */
    const struct vine_appliance_options *appliance;
    uint32_t core_count;   /* that have pipes, from core 0 on; 0: all */
    uint32_t worker_count; /* threads that run jobs, for all cores; 0: none, and cores run them */
    /* What tasks have to end when the reactors stop, before they are given up; 0: 5 s. Less than
     * the reactors take for all of it. */
    uint64_t drain_ns;
    vine_serving_ended_fn ended; /* NULL: it is destroyed then, and nobody may use it any more */
    void *context;
    /* How procedures whose handlers are coroutines run: isolation, heap_bytes, connections (that is
     * tasks and sessions at once, on each core), sockets, drain_ns and run_ns mean something
     * (vine/service.h). NULL: such procedures are refused. */
    const struct vine_service_options *coroutines;
    /* Take the place of the appliance that listens at the address, if there is one: see
     * vine_appliance_take_over. */
    bool takes_over;
    bool pipes_stay; /* on the core that was chosen when they connected */
};

/* Make one. `options` may be NULL; what they point to is copied, but for names, and contexts. Core
 * 0. Returns 0, -EINVAL, -ENOMEM, or what vine_appliance_create does. */
VINE_API VINE_MUST_CHECK int vine_serving_create(const struct vine_serving_options *options,
                                                 struct vine_serving **ret_serving);

/*
 * What it serves, on which all of vine/appliance.h is to be called but for vine_appliance_listen,
 * _serve, _work and _destroy: procedures are registered before or while it serves, statistics are
 * of all cores together, and vine_appliance_stop has it drain and end. Any thread, until it is
 * destroyed.
 */
VINE_API struct vine_appliance *vine_serving_appliance(struct vine_serving *serving);

/*
 * Listen at `address`, as vine_appliance_listen does, and serve. Connections are taken on core 0
 * and handed to the core with the fewest. A named segment, or links, core 0 alone serves. It ends
 * by vine_appliance_stop, or with the reactors. Once. Core 0.
 *
 * Returns 0 or what vine_appliance_listen does. After an error it can only be destroyed.
 */
VINE_API VINE_MUST_CHECK int vine_serving_start(struct vine_serving *serving, const char *address);

/* Free one that was never started, or has ended and was told of. NULL is allowed. Core 0. */
VINE_API void vine_serving_destroy(struct vine_serving *serving);

VINE_END_DECLARATIONS

#endif
