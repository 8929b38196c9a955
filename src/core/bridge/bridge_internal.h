/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/bridge/bridge_internal.h - what a bridge is made of: an op cache between the two halves of a
 * submitter.
 *
 * Owns:     the structs.
 * Threads:  unlocked, the thread that submits is the cache's taker, the one that receives its
 *           finder. Locked, each use of the cache is behind `lock`, which makes any thread either
 *           of them.
 * Blocking: never, but for the lock.
 * Trust:    what completions say is looked up in the cache, and nowhere else.
 * Limits:   those of vine/bridge.h.
 *
 * Why there is a lock at all: an operation that any thread may abandon belongs to no thread, and
 * there is no core that could own it. It is held for some tens of instructions; rings and callbacks
 * stay outside.
 *
 * When the other side is lost, or nobody receives, `over` is set and what is pending is swept. A
 * submission that passed `over` unseen is registered after the sweep: whoever receives sweeps
 * again, and so does the handle that closes last, after which nobody submits.
 */
#ifndef VINE_CORE_BRIDGE_BRIDGE_INTERNAL_H
#define VINE_CORE_BRIDGE_BRIDGE_INTERNAL_H

#include <pthread.h>
#include <stdbool.h>

#include <vine/bridge.h>

#include "core/bridge/op_cache.h"
#include "utils/assert.h"

/* An id as users see it is the cache's with the kind between place and use. */
#define VINE__BRIDGE_KIND_SHIFT 24
#define VINE__BRIDGE_KIND_MASK  0xff000000ULL

/* An operation as it waits. Written by the taker before it is registered; atomic, because who wants
 * to end it reads first, and then finds out whether it was still that use. */
struct vine__pending {
    struct vine__op operation;
    void *callback; /* a vine_operation_fn */
    void *context;
    uint64_t deadline_ns; /* VINE_FOREVER: none */
} __attribute__((aligned(VINE_CACHE_LINE)));

struct vine__bridge {
    /* Written at creation. */
    vine_bridge_call_fn call;
    uint32_t operations_max;
    bool is_locked;
    pthread_mutex_t lock; /* of the cache and the counts, if is_locked */

    uint32_t handles;       /* atomic; the last one frees */
    uint32_t receivers;     /* atomic */
    uint32_t over;          /* atomic; 0 or the error, positive, that ends everything */
    uint64_t next_deadline; /* atomic; no pending operation has an earlier one */

    struct vine__op_cache cache;
    /* The taker's, then the finder's; atomic for readers. */
    uint64_t submitted __attribute__((aligned(VINE_CACHE_LINE)));
    uint64_t abandoned;
    uint64_t completed __attribute__((aligned(VINE_CACHE_LINE)));
    uint64_t timed_out;
    uint64_t lost;
};

struct vine_bridge_submit {
    struct vine__bridge *bridge;
    struct vine_sender out;
};

struct vine_bridge_receive {
    struct vine__bridge *bridge;
    struct vine_receiver in;
    bool is_calling; /* callbacks */
};

VINE__ALWAYS_INLINE void vine__bridge_enter(struct vine__bridge *bridge)
{
    if (bridge->is_locked)
        pthread_mutex_lock(&bridge->lock);
}

VINE__ALWAYS_INLINE void vine__bridge_leave(struct vine__bridge *bridge)
{
    if (bridge->is_locked)
        pthread_mutex_unlock(&bridge->lock);
}

/* One writer at a time: the count's thread, or who holds the lock. */
VINE__ALWAYS_INLINE void vine__bridge_count(uint64_t *counter)
{
    vine__store_relaxed_u64(counter, vine__load_relaxed_u64(counter) + 1);
}

/* The error that ends everything, or 0. E2 (acquire) pairs with E1 in vine__bridge_end. */
VINE__ALWAYS_INLINE int vine__bridge_over(const struct vine__bridge *bridge)
{
    return -(int)vine__load_acquire_u32(&bridge->over);
}

/* Any thread: there may be an earlier deadline than was known. D1 (release) pairs with D2 in
 * vine_bridge_expire: the operation was registered before. */
VINE__ALWAYS_INLINE void vine__bridge_lower_deadline(struct vine__bridge *bridge,
                                                     uint64_t deadline_ns)
{
    uint64_t known = vine__load_relaxed_u64(&bridge->next_deadline);

    while (deadline_ns < known &&
           !vine__compare_exchange_acq_rel_u64(&bridge->next_deadline, &known, deadline_ns))
        ;
}

/* ---- the end of an operation ----------------------------------------------------------------- */

struct vine__ending {
    void *callback;
    void *context;
};

VINE__ALWAYS_INLINE struct vine__ending vine__bridge_look(struct vine__pending *pending)
{
    return (struct vine__ending){
        .callback = vine__load_relaxed_pointer(&pending->callback),
        .context = vine__load_relaxed_pointer(&pending->context),
    };
}

VINE__ALWAYS_INLINE void vine__bridge_call(const struct vine__bridge *bridge,
                                           struct vine__ending ending, int status,
                                           const void *completion)
{
    vine_operation_fn callback = NULL;

    if (ending.callback == NULL)
        return;
    memcpy(&callback, &ending.callback, sizeof callback);
    bridge->call(callback, ending.context, status, completion);
}

/* End everything with this error, unless it is over already. */
void vine__bridge_end(struct vine__bridge *bridge, int error);

/* End with `status` whatever is pending, and let go of what was abandoned: no completion comes any
 * more. Returns how many were pending. The finder. */
int vine__bridge_sweep(struct vine__bridge *bridge, int status);

#endif
