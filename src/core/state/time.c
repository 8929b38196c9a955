/* SPDX-License-Identifier: Apache-2.0 */
/* core/state/time.c - deadlines, sleep, and what a run knows of the time. */

#include "core/state/state.h"

VINE__INSIDE uint64_t vine__now(const struct vine_coroutine *that)
{
    return that->inside->record->now_ns;
}

VINE__INSIDE bool vine__is_draining(const struct vine_coroutine *that)
{
    return that->inside->record->is_draining;
}

VINE__INSIDE static uint64_t after(const struct vine_coroutine *that, uint64_t duration_ns)
{
    const uint64_t now = vine__now(that);

    return duration_ns > VINE_FOREVER - now ? VINE_FOREVER : now + duration_ns;
}

VINE__INSIDE void vine__deadline(struct vine_coroutine *that, uint64_t duration_ns)
{
    const uint64_t at = after(that, duration_ns);

    that->deadline_ns = at == VINE_FOREVER ? 0 : at;
    /* Who calls waits for this one, and wants to be back by its own. */
    if (that->is_called && that->parent->deadline_ns != 0 &&
        (that->deadline_ns == 0 || that->deadline_ns > that->parent->deadline_ns))
        that->deadline_ns = that->parent->deadline_ns;
}

VINE__INSIDE void vine__sleep(struct vine_coroutine *that, uint64_t duration_ns)
{
    const uint64_t at = after(that, duration_ns);

    that->status = VINE__COROUTINE_BLOCKED;
    if (that->deadline_ns != 0 && that->deadline_ns < at)
        vine__due(that, that->deadline_ns, -ETIMEDOUT);
    else if (at != VINE_FOREVER)
        vine__due(that, at, 0);
}
