/* SPDX-License-Identifier: Apache-2.0 */
/* core/future/future.c - futures, inside. */

#include <vine/future.h>

#include "core/state/state.h"

VINE__INSIDE void vine__future_init(struct vine_coroutine *that, struct vine_future *future)
{
    *future = (struct vine_future){.makers = 1};
    future->at_end = (struct vine__at_end){
        .count = &future->makers, .waiters = &future->waiting, .error = -EPIPE, .is_early = true};
    vine__at_end_add(that, &future->at_end);
}

VINE__INSIDE void vine__future_begin(struct vine_coroutine *that, struct vine_future *future)
{
    that->operand = future;
    that->operand_at = 0;
}

/* What it was given is in the waiting coroutine by then: the future may be gone. */
VINE__INSIDE static void give(struct vine_coroutine *that, void *value, int error)
{
    that->operand = value;
    that->operand_at = 1;
    if (error != 0)
        that->error = error;
}

VINE__INSIDE bool vine__future_await(struct vine_coroutine *that)
{
    struct vine_future *const future = that->operand;

    if (that->operand_at != 0)
        return true;
    if (!future->is_set && future->makers == 0)
        give(that, NULL, -EPIPE);
    else if (future->is_set)
        give(that, future->value, future->error);
    else
        vine__wait(that, &future->waiting);
    return that->operand_at != 0;
}

VINE__INSIDE void vine__future_set(struct vine_coroutine *that, struct vine_future *future,
                                   void *value, int error)
{
    if (error > 0)
        vine__misuse(that, "what a future fails with is a negative number");
    if (future->is_set)
        vine__misuse(that, "a future is set twice");
    future->is_set = true;
    future->value = value;
    future->error = error;
    while (future->waiting.first != NULL) {
        give(future->waiting.first, value, error);
        vine__wake(future->waiting.first, 0);
    }
}
