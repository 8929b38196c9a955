/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/sharded.h - something on every core: a function, or a service with an instance of its own on
 * each.
 *
 * Owns:     a sharded service owns its instances, each from its own core's memory.
 * Threads:  reactors. What was begun on a core ends there.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   all cores, at once and in no order; no core has more than its own part to do.
 */
#ifndef VINE_SHARDED_H
#define VINE_SHARDED_H

#include <vine/reactor.h>

VINE_BEGIN_DECLARATIONS

/* ---- a function on every core ---------------------------------------------------------------- */

struct vine_map_reduce;
typedef int64_t (*vine_reduce_fn)(int64_t so_far, int64_t value);
typedef void (*vine_map_reduce_fn)(struct vine_map_reduce *map_reduce);

/* What is done and what comes of it. The first five are the caller's to fill in. */
struct vine_map_reduce {
    vine_core_call_fn map; /* called on each core; it may answer later, by vine_core_call_defer */
    void *argument;        /* of `map`, the same on all cores */
    vine_reduce_fn reduce; /* puts two results together; NULL: they stay in the calls */
    vine_map_reduce_fn done;
    int64_t result;               /* begins as what the first value is reduced with */
    struct vine_core_call *calls; /* private from here */
    uint32_t pending;
};

/* Call `map` on all cores, then `reduce` here, core by core from 0 on, and then `done`. `calls` has
 * room for vine_core_count() of them; by number of the core they also keep each value, for
 * vine_core_call_result. All of it is in use until `done` is called. */
VINE_API void vine_map_reduce(struct vine_map_reduce *map_reduce, struct vine_core_call *calls);

/* Two of them: the sum, which wraps; and the first that is below 0, else 0. */
VINE_API int64_t vine_reduce_sum(int64_t so_far, int64_t value);
VINE_API int64_t vine_reduce_error(int64_t so_far, int64_t value);

/* ---- a service on every core ----------------------------------------------------------------- */

struct vine_sharded;

/* Begins to start or to stop the instance of this core, on this core, and sees to it that
 * vine_core_call_reply is called once, at once or later, with 0 or a negative error. A start that
 * fails has given back by then what it had taken: that instance is not stopped, but freed. */
typedef void (*vine_sharded_fn)(void *instance, void *argument, struct vine_reply reply);
typedef void (*vine_sharded_done_fn)(struct vine_sharded *sharded, void *argument);

struct vine_sharded_options {
    size_t size_bytes;     /* sizeof this */
    size_t instance_bytes; /* of an instance, which is zeroed before it is started, and has cache
                              lines of its own */
    vine_sharded_fn start; /* NULL: there is nothing to do */
    vine_sharded_fn stop;  /* the same */
    void *argument;        /* of all functions here; the same on all cores */
};

/* Make a service without instances; `options` are copied. Any core, which is the service's from now
 * on. Returns 0, -EINVAL, or -ENOMEM. */
VINE_API VINE_MUST_CHECK int vine_sharded_create(struct vine_sharded **ret_sharded,
                                                 const struct vine_sharded_options *options);

/* On the core that made it. It runs nowhere: it was never started, or that failed, or it was
 * stopped. NULL is ignored. */
VINE_API void vine_sharded_destroy(struct vine_sharded *sharded);

/* Make and start an instance on each core, and call `done` here. If that fails on one, those that
 * have started are stopped before; vine_sharded_result says why. It must not run. The core that
 * made it. */
VINE_API void vine_sharded_start(struct vine_sharded *sharded, vine_sharded_done_fn done);

/* Stop all, beside each other; when all have stopped, well or not, free them, and call `done` here.
 * So the instance of a core that has stopped is still there for those that call from others which
 * have not; the calls that a core makes have to be over when its own stop is, for which it has a
 * gate (vine/gate.h). It must run, and is stopped once. The core that made it. */
VINE_API void vine_sharded_stop(struct vine_sharded *sharded, vine_sharded_done_fn done);

/* Of the last start or stop: 0, or the error of the first core that had one. -ENOMEM: there was no
 * memory for an instance. */
VINE_API int vine_sharded_result(const struct vine_sharded *sharded);

/* The calling core's instance; NULL where there is none. Any core: there is one from when it is
 * being started to when all cores have stopped theirs. */
VINE_API void *vine_sharded_local(const struct vine_sharded *sharded);

VINE_END_DECLARATIONS

#endif
