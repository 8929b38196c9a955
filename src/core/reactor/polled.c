/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a core has to look at by itself, since who writes there tells nobody: rings of other
 * processes. It is looked at in each turn, and between turns of a core that is idle.
 */
#include "core/reactor/reactor_internal.h"

#include "utils/bits.h"

#define LOOKS 16 /* between two turns of a core that is idle */

void vine__polled_begin(struct vine__polled *polled)
{
    struct vine__reactor *const reactor = vine__reactor_here();

    VINE_ASSERT(polled->poll != NULL && polled->look != NULL);
    VINE_ASSERT(polled->lie_down != NULL && polled->get_up != NULL);
    polled->next = reactor->polled;
    reactor->polled = polled;
}

void vine__polled_end(struct vine__polled *polled)
{
    struct vine__polled **link = &vine__reactor_here()->polled;

    while (*link != polled) {
        VINE_ASSERT(*link != NULL); /* it has been begun, here */
        link = &(*link)->next;
    }
    *link = polled->next;
}

bool vine__polled_poll(struct vine__reactor *reactor, uint64_t now_ticks)
{
    struct vine__polled *next;
    bool is_busy = false;

    for (struct vine__polled *polled = reactor->polled; polled != NULL; polled = next) {
        next = polled->next; /* it may end itself */
        is_busy |= polled->poll(polled, now_ticks);
    }
    return is_busy;
}

bool vine__polled_look(struct vine__reactor *reactor)
{
    for (uint32_t i = 0; i < LOOKS; i++) {
        const uint64_t now_ticks = vine__reactor_ticks(reactor);
        bool is_busy = false;

        for (struct vine__polled *polled = reactor->polled; polled != NULL; polled = polled->next)
            is_busy |= polled->look(polled, now_ticks);
        if (is_busy || reactor->active != 0)
            return true;
        if (vine__poller_has_news(reactor->poller))
            return false;
        if (vine__calls_look(reactor, 1))
            return true;
    }
    return false;
}

bool vine__polled_lie_down(struct vine__reactor *reactor)
{
    bool may_sleep = true;

    reactor->polled_limit_ns = VINE_FOREVER;
    reactor->has_polled_down = true;
    for (struct vine__polled *polled = reactor->polled; polled != NULL && may_sleep;
         polled = polled->next) {
        uint64_t limit_ns = VINE_FOREVER;

        may_sleep = polled->lie_down(polled, &limit_ns);
        reactor->polled_limit_ns = vine__min_u64(reactor->polled_limit_ns, limit_ns);
    }
    return may_sleep && reactor->active == 0;
}

void vine__polled_get_up(struct vine__reactor *reactor)
{
    for (struct vine__polled *polled = reactor->polled; polled != NULL; polled = polled->next)
        polled->get_up(polled);
    reactor->has_polled_down = false;
}
