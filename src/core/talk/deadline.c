/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Deadlines of tasks that have become jobs: one that is over ends a task that waits, and cancels
 * one that runs. What runs on the loop itself is looked at before it begins.
 *
 * Those that have one are in a list of their part, without an order: a turn looks at a few and puts
 * them behind the others. So a turn costs the same however many there are, and the list is gone
 * through in as many turns as it takes; a loop that wants to sleep does so until the next deadline,
 * or, where there are many, for a moment.
 */
#include "arch/clock/clock.h"
#include "core/talk/appliance_internal.h"
#include "utils/container_of.h"

#define AT_ONCE   32u
#define SLEEP_OF  64u     /* of so many the next deadline is looked for before a sleep */
#define MOMENT_NS 1000000 /* where there are more */

#define CALL_OF(node) VINE_CONTAINER_OF(node, struct vine_call, timed)

void vine__deadline_watch(struct vine_call *call)
{
    vine__list_push_back(&call->pipe->appliance->timed, &call->timed);
}

bool vine__deadlines_look(struct vine_appliance *appliance, uint64_t now_ticks)
{
    bool is_any_late = false;

    for (uint32_t i = 0; i < AT_ONCE && !vine__list_is_empty(&appliance->timed); i++) {
        struct vine_call *call = CALL_OF(vine__list_pop_front(&appliance->timed));

        if (!vine__is_late(call, now_ticks)) {
            vine__list_push_back(&appliance->timed, &call->timed);
            continue;
        }
        call->is_late = true;
        is_any_late = true;
        vine__job_cancel_call(call);
    }
    return is_any_late;
}

uint64_t vine__deadlines_rest_ns(struct vine_appliance *appliance, uint64_t limit_ns)
{
    const uint64_t now_ticks = vine__clock_ticks();
    uint32_t count = 0;

    VINE_LIST_FOR_EACH(node, &appliance->timed)
    {
        const uint64_t left_ns =
            vine__clock_ticks_to_ns(vine__elapsed(now_ticks, CALL_OF(node)->deadline_ticks));

        if (++count > SLEEP_OF)
            return vine__min_u64(limit_ns, MOMENT_NS);
        limit_ns = vine__min_u64(limit_ns, left_ns);
    }
    return limit_ns;
}
