/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/condition.h - waiting until something of one core has changed.
 *
 * Owns:     nothing.
 * Threads:  one core.
 * Blocking: never; see vine/waiting.h.
 * Trust:    not concerned.
 * Limits:   what changed may have changed again when the function is called: it looks, and waits
 *           anew.
 */
#ifndef VINE_CONDITION_H
#define VINE_CONDITION_H

#include <vine/waiting.h>

VINE_BEGIN_DECLARATIONS

/* Private fields. */
struct vine_condition {
    struct vine_waiters waiters;
    bool is_broken;
};

VINE_API void vine_condition_init(struct vine_condition *condition);

/* Nobody may wait any more. */
VINE_API void vine_condition_fini(struct vine_condition *condition);

/* Have `waiting` called at the next signal that reaches it. */
VINE_API void vine_condition_wait(struct vine_condition *condition, struct vine_waiting *waiting);

/* Call the one who has waited longest, or all. A signal that nobody waits for is lost. */
VINE_API void vine_condition_signal(struct vine_condition *condition);
VINE_API void vine_condition_broadcast(struct vine_condition *condition);

/* All who wait, and whoever comes later, get -VINE_ECLOSED. */
VINE_API void vine_condition_break(struct vine_condition *condition);

static inline bool vine_condition_has_waiters(const struct vine_condition *condition)
{
    return condition->waiters.first != NULL;
}

VINE_END_DECLARATIONS

#endif
