/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/sync/waiting_internal.h - beginning and ending a wait, for what can be waited for.
 *
 * Owns:     nothing.
 * Threads:  one core.
 * Blocking: never; nothing of a user's is called.
 * Trust:    not concerned.
 * Limits:   none.
 */
#ifndef VINE_CORE_SYNC_WAITING_INTERNAL_H
#define VINE_CORE_SYNC_WAITING_INTERNAL_H

#include <stdbool.h>

#include <vine/waiting.h>

/* Subscribe a node that is of no source. Returns 0, or -ECANCELED. */
int vine__abort_add(struct vine_abort_source *source, struct vine_abort_node *node);

/* Returns whether it was subscribed. */
bool vine__abort_remove(struct vine_abort_node *node);

/* An idle one begins a wait: whether it may go on. If not, because it has been aborted, its end is
 * on its way. To be followed by one of the next two. */
bool vine__waiting_begin(struct vine_waiting *waiting);

/* Put it behind those who wait, until its deadline or abort source takes it out, or its end. */
void vine__waiting_enqueue(struct vine_waiters *waiters, struct vine_waiting *waiting);

/* Its wait has ended, wherever it was: its function will be called with `result`. */
void vine__waiting_end(struct vine_waiting *waiting, int result);

/* The same for all who wait, in their order. */
void vine__waiters_end(struct vine_waiters *waiters, int result);

#endif
