/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/condition.h>

#include "core/sync/waiting_internal.h"
#include "utils/assert.h"

#include <vine/error.h>

void vine_condition_init(struct vine_condition *condition)
{
    *condition = (struct vine_condition){.is_broken = false};
}

void vine_condition_fini(struct vine_condition *condition)
{
    VINE_ASSERT(condition->waiters.first == NULL);
    condition->is_broken = true;
}

void vine_condition_wait(struct vine_condition *condition, struct vine_waiting *waiting)
{
    if (!vine__waiting_begin(waiting))
        return;
    if (condition->is_broken)
        vine__waiting_end(waiting, -VINE_ECLOSED);
    else
        vine__waiting_enqueue(&condition->waiters, waiting);
}

void vine_condition_signal(struct vine_condition *condition)
{
    if (condition->waiters.first != NULL)
        vine__waiting_end(condition->waiters.first, 0);
}

void vine_condition_broadcast(struct vine_condition *condition)
{
    vine__waiters_end(&condition->waiters, 0);
}

void vine_condition_break(struct vine_condition *condition)
{
    condition->is_broken = true;
    vine__waiters_end(&condition->waiters, -VINE_ECLOSED);
}
