/* SPDX-License-Identifier: Apache-2.0 */
/*
 * procedures/charged.h - memory of a session that counts in its pipe's quota: an allocator for
 * libraries that take one.
 *
 * Owns:     nothing; who allocates frees.
 * Threads:  one at a time, as a session's tasks run.
 * Blocking: never.
 * Trust:    the application's data decides how much is asked for; its quota decides how much it
 *           gets.
 * Limits:   the pipe's quota.
 */
#ifndef VINE_CHARGED_H
#define VINE_CHARGED_H

#include <vine/procedure.h>

/* Lies in the session's state, zeroed at first. `call` is set by whoever allocates before it calls
 * the library, and NULL in between and at the session's end, when all is given back by itself. */
struct vine__charged {
    struct vine_call *call;
    bool refused; /* the quota did, since it was last set to false */
};

/* Allocate, or return NULL if there is no memory or no quota left. `context` is the struct. Handler
 * only. */
void *vine__charged_allocate(void *context, size_t size);

/* Free, and give back to the quota if a call is set. NULL is allowed. */
void vine__charged_free(void *context, void *memory);

#endif
