/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/abort.h - a request to give something up, and those who want to hear of it.
 *
 * Owns:     nothing: sources and subscriptions are the caller's.
 * Threads:  one core; another one is told by vine_submit_to.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   any number of subscriptions. A request is for good.
 */
#ifndef VINE_ABORT_H
#define VINE_ABORT_H

#include <stdbool.h>

#include <vine/reactor.h>
#include <vine/timer.h>

VINE_BEGIN_DECLARATIONS

/* One who hears of a request, within the call that makes it: for what does so on behalf of others
 * and runs nothing of theirs. Private fields. */
struct vine_abort_node {
    struct vine_abort_node *next, *prev; /* `prev` is NULL: of no source */
    void (*fn)(struct vine_abort_node *node);
};

struct vine_abort_source {
    struct vine_abort_node nodes; /* the head of a ring */
    bool is_requested;
};

struct vine_abort_subscription;
typedef void (*vine_abort_fn)(struct vine_abort_subscription *subscription);

/* Private fields. */
struct vine_abort_subscription {
    struct vine_abort_node node;
    struct vine_timer call; /* which can be taken back */
    vine_abort_fn fn;
};

VINE_API void vine_abort_source_init(struct vine_abort_source *source);

/* Nobody may be subscribed any more, or wait with it. */
VINE_API void vine_abort_source_fini(struct vine_abort_source *source);

/* Have the functions of all who are subscribed called, in the order in which they came, and end
 * whatever waits with this source, with -ECANCELED. Later requests do nothing. */
VINE_API void vine_abort_request(struct vine_abort_source *source);

static inline bool vine_abort_is_requested(const struct vine_abort_source *source)
{
    return source->is_requested;
}

/*
 * Have `fn` called once when it is requested, later and never within the request, in the scheduling
 * group of the caller. `subscription` is used until then, or until it is unsubscribed.
 *
 * Returns 0, or -ECANCELED: it has been requested before, and `fn` will not be called.
 */
VINE_API VINE_MUST_CHECK int vine_abort_subscribe(struct vine_abort_source *source,
                                                  struct vine_abort_subscription *subscription,
                                                  vine_abort_fn fn);

/* Its function will not be called any more, also where the request has come already, and its memory
 * is the caller's. Returns whether that changed anything: false where its function was called, or
 * is the one that asks, or vine_abort_subscribe said that it never would be. */
VINE_API bool vine_abort_unsubscribe(struct vine_abort_subscription *subscription);

VINE_END_DECLARATIONS

#endif
