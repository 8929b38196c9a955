/* SPDX-License-Identifier: Apache-2.0 */
/* core/state/state_internal.h - between the scheduler and those who make, join and end
 * coroutines. */
#ifndef VINE_CORE_STATE_STATE_INTERNAL_H
#define VINE_CORE_STATE_STATE_INTERNAL_H

#include "core/state/state.h"

/* NULL: no memory. It is not queued. */
struct vine_coroutine *vine__coroutine_create(struct vine__inside *inside,
                                              const struct vine_coroutine_type *type,
                                              void *argument, struct vine_coroutine *parent);

/* It has ended, and an answer may name it still: its place is the next one's that is created. */
void vine__coroutine_keep(struct vine_coroutine *that);

/* Its turn is next. */
void vine__queue_first(struct vine__inside *inside, struct vine_coroutine *that);

/* Its function has ended: so has it, unless it has children, for which it waits then. */
void vine__coroutine_left(struct vine_coroutine *that);

/* Raise `error` where it blocks, whoever asked for that. Returns false: it is leaving anyway. */
bool vine__cancel_from_outside(struct vine_coroutine *that, int error);

/* memory.c: give back what it has of vine_alloc, and what goes with it. */
void vine__blocks_free(struct vine_coroutine *that);
void vine__owned_free(struct vine_coroutine *that);

/* It is not one that waits any more, wherever it was known as that. */
void vine__unblock(struct vine_coroutine *that);

/* beyond.c: outside has been told of those that left. */
void vine__beyond_free(struct vine__inside *inside);

/* Tell who waits for its end; for the end of its function alone, or of all. */
void vine__at_end_tell(struct vine_coroutine *that, bool is_early);

#define VINE__COROUTINE_MAGIC 0x56636f72U

#endif
