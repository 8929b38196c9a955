/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/gate.h>

#include "core/sync/waiting_internal.h"
#include "utils/assert.h"

#include <vine/error.h>

void vine_gate_init(struct vine_gate *gate)
{
    *gate = (struct vine_gate){.is_closed = false};
}

void vine_gate_fini(struct vine_gate *gate)
{
    VINE_ASSERT(gate->count == 0);
    VINE_ASSERT(gate->waiters.first == NULL);
    gate->is_closed = true;
}

int vine_gate_enter(struct vine_gate *gate)
{
    if (gate->is_closed)
        return -VINE_ECLOSED;
    gate->count++;
    return 0;
}

void vine_gate_leave(struct vine_gate *gate)
{
    VINE_ASSERT(gate->count > 0);
    gate->count--;
    if (gate->count == 0)
        vine__waiters_end(&gate->waiters, 0);
}

void vine_gate_close(struct vine_gate *gate, struct vine_waiting *waiting)
{
    gate->is_closed = true;
    if (!vine__waiting_begin(waiting))
        return;
    if (gate->count == 0)
        vine__waiting_end(waiting, 0);
    else
        vine__waiting_enqueue(&gate->waiters, waiting);
}
