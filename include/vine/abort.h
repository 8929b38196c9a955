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
    struct vine_work work;
    vine_abort_fn fn;
};

VINE_API void vine_abort_source_init(struct vine_abort_source *source);

/* Nobody may be subscribed any more, or wait with it. */
VINE_API void vine_abort_source_fini(struct vine_abort_source *source);

/* Post the functions of all who are subscribed, in the order in which they came, and end whatever
 * waits with this source, with -ECANCELED. The second request and later ones do nothing. */
VINE_API void vine_abort_request(struct vine_abort_source *source);

static inline bool vine_abort_is_requested(const struct vine_abort_source *source)
{
    return source->is_requested;
}

/*
 * Have `fn` called once, by vine_work_post, when it is requested, in the scheduling group of the
 * caller. `subscription` is used until then, or until it is unsubscribed.
 *
 * Returns 0, or -ECANCELED: it has been requested before, and `fn` will not be called.
 */
VINE_API VINE_MUST_CHECK int vine_abort_subscribe(struct vine_abort_source *source,
                                                  struct vine_abort_subscription *subscription,
                                                  vine_abort_fn fn);

/* Returns true: it was subscribed, its function will not be called, and its memory is the caller's.
 * False: a request came first. Its function has been called, or is about to be, and then the memory
 * is in use until it is: who frees it has to know which. (vine_waiting_set_abort has no such case,
 * and a list of those who can be told, vine/list.h, neither.) */
VINE_API bool vine_abort_unsubscribe(struct vine_abort_subscription *subscription);

VINE_END_DECLARATIONS

#endif
