/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/gate.h - who is inside of something, so that its end can wait for the last to leave.
 *
 * Owns:     nothing but a count.
 * Threads:  one core.
 * Blocking: never; see vine/waiting.h.
 * Trust:    not concerned.
 * Limits:   closed for good.
 */
#ifndef VINE_GATE_H
#define VINE_GATE_H

#include <vine/waiting.h>

VINE_BEGIN_DECLARATIONS

/* Private fields. */
struct vine_gate {
    struct vine_waiters waiters;
    size_t count;
    bool is_closed;
};

VINE_API void vine_gate_init(struct vine_gate *gate);

/* Nobody may be inside any more, and nobody wait. */
VINE_API void vine_gate_fini(struct vine_gate *gate);

/* Returns 0: the caller is inside until it calls vine_gate_leave, or -VINE_ECLOSED. */
VINE_API VINE_MUST_CHECK int vine_gate_enter(struct vine_gate *gate);

/* Once for each time that somebody entered. */
VINE_API void vine_gate_leave(struct vine_gate *gate);

/* Let nobody in any more, and have `waiting` called when the last has left. It stays closed if
 * waiting ends before, with another result, and can be waited for by calling this again. */
VINE_API void vine_gate_close(struct vine_gate *gate, struct vine_waiting *waiting);

static inline bool vine_gate_is_closed(const struct vine_gate *gate)
{
    return gate->is_closed;
}

/* How many are inside. */
static inline size_t vine_gate_count(const struct vine_gate *gate)
{
    return gate->count;
}

VINE_END_DECLARATIONS

#endif
