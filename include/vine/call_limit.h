/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/call_limit.h - a bound of how many calls of a kind a core has on their way to another one.
 *
 * Owns:     a limit: its counts, and a queue for each core that is called.
 * Threads:  one core: who limits the calls of all cores makes a limit on each.
 * Blocking: never; what exceeds the limit waits for its turn.
 * Trust:    not concerned.
 * Limits:   as many calls as one likes may wait; their memory is the caller's.
 *
 * A core that is asked for much by many gives each kind of request its part in this way: at most
 * `in_flight_max` times as many are with it as there are cores that call.
 *
 * Limits may nest, where a call that was made under one is answered only when others that it makes
 * have been: put all limits of the program into an order, and under one make calls of later ones
 * alone. Then none waits for ever: who has the latest limit waits for nobody, so its calls end, and
 * then those before it. Two calls that wait for each other under one limit are the same mistake
 * as two threads that take one lock twice; nobody can tell it from a slow answer.
 */
#ifndef VINE_CALL_LIMIT_H
#define VINE_CALL_LIMIT_H

#include <vine/reactor.h>
#include <vine/waiting.h>

VINE_BEGIN_DECLARATIONS

struct vine_call_limit;
struct vine_limited_call;
typedef void (*vine_limited_call_fn)(struct vine_limited_call *call);

/* One call, from when it is made to when its end is called. Private fields. */
struct vine_limited_call {
    struct vine_core_call call;
    struct vine_call_limit *limit;
    struct vine_limited_call *next;
    vine_core_call_fn fn;
    void *argument;
    vine_limited_call_fn done;
    uint32_t core;
    struct vine_group group;
};

/*
 * Make a limit for calls of this core: at most `in_flight_max` at once to each other one, and to
 * itself. It is counted in metrics that have its name as their label `limit`, which is copied;
 * NULL: in none.
 *
 * Returns 0; -EINVAL: no call at all is allowed, or the name is none for a label; -EEXIST: there is
 *         one of this name on this core; -ENOMEM.
 */
VINE_API VINE_MUST_CHECK int vine_call_limit_create(struct vine_call_limit **ret_limit,
                                                    const char *name, uint32_t in_flight_max);

/* While its core runs, when all that it took has ended: close it before. NULL is ignored. */
VINE_API void vine_call_limit_destroy(struct vine_call_limit *limit);

/* Take no more calls, and have `waiting` called when the last that was taken has ended: those that
 * wait are still made. */
VINE_API void vine_call_limit_close(struct vine_call_limit *limit, struct vine_waiting *waiting);

/*
 * Have `fn(argument)` called on `core`, as vine_core_call does, once fewer than so many are on
 * their way there and all that came before it have gone; then `done` here, in the group of the
 * caller. `call` is used until then.
 *
 * Returns 0, or -VINE_ECLOSED, and nothing will be called.
 */
VINE_API VINE_MUST_CHECK int vine_limited_call(struct vine_call_limit *limit,
                                               struct vine_limited_call *call, uint32_t core,
                                               vine_core_call_fn fn, void *argument,
                                               vine_limited_call_fn done);

/* The same, but without waiting. Returns 0, -VINE_ECLOSED, or -EAGAIN: it would have to wait. */
VINE_API VINE_MUST_CHECK int vine_limited_call_try(struct vine_call_limit *limit,
                                                   struct vine_limited_call *call, uint32_t core,
                                                   vine_core_call_fn fn, void *argument,
                                                   vine_limited_call_fn done);

static inline int64_t vine_limited_call_result(const struct vine_limited_call *call)
{
    return vine_core_call_result(&call->call);
}

/* What a limit has counted, over all cores that are called. */
struct vine_call_limit_counts {
    int64_t in_flight; /* now */
    int64_t waiting;   /* now */
    uint64_t calls;    /* that were taken */
    uint64_t waited;   /* of these, those that had to wait */
    uint64_t refused;  /* by vine_limited_call_try, for they would have had to wait */
};
VINE_API void vine_call_limit_get_counts(const struct vine_call_limit *limit,
                                         struct vine_call_limit_counts *ret_counts);

VINE_END_DECLARATIONS

#endif
