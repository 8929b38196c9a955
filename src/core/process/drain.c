/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/drain.c - how the micro-processes of a core end when the reactors stop.
 *
 * Whose connection waits for a first byte is cancelled soon; who is in the middle of something has
 * the drain time, then is cancelled, too; and who does not end then is ended. What a peer has sent
 * already was accepted, though nobody may have read it yet: so a connection counts as waiting when
 * it was found so twice, and is at vine_park where the service has that. Who has no connection is
 * there for those who have, and ends behind them.
 */

#include "core/process/process_internal.h"

#define LOOK_NS (20 * 1000 * 1000ULL)
#define KILL_NS (1 * VINE_NS_PER_SECOND) /* after the drain time */

void vine__process_cancel(struct vine__process *process)
{
    if (process->polling.has_ended)
        return;
    process->polling.cancel = -ECANCELED;
    vine_work_post(&process->polling.work);
}

void vine__process_kill(struct vine__process *process)
{
    const struct vine__process_end end = {.error = -ECANCELED};

    if (process->polling.has_ended)
        vine__polling_hurry(&process->polling);
    else
        vine__process_end(process, &end, true);
}

static bool has_connections(struct processes *core)
{
    VINE_LIST_FOR_EACH(node, &core->all)
    {
        if (VINE_LIST_OBJECT(node, struct vine__process, link)->polling.io.connection != NULL)
            return true;
    }
    return core->parked_count > 0;
}

static void look_at(struct vine__process *process, bool is_last)
{
    if (process->polling.has_ended)
        return;
    if (process->polling.io.connection == NULL) {
        if (is_last)
            vine__process_cancel(process);
        return;
    }
    if (process->polling.is_resting) {
        vine__process_leave_rest(process);
        return;
    }
    /* Who waits for more of a body has a request, though all that came of it is taken. */
    if (vine__polling_is_still_idle(&process->polling) &&
        (process->polling.is_parking || !process->origin->has_parkers))
        vine__process_cancel(process);
}

static void look(struct vine_timer *timer)
{
    struct processes *const core = VINE_CONTAINER_OF(timer, struct processes, drain_timer);
    const uint64_t now_ns = vine_clock_now(VINE_CLOCK_COARSE);
    const bool is_last = !has_connections(core);

    VINE_LIST_FOR_EACH(node, &core->all)
    {
        struct vine__process *const process = VINE_LIST_OBJECT(node, struct vine__process, link);

        if (now_ns >= core->drain_until_ns + KILL_NS)
            vine__process_kill(process);
        else if (now_ns < core->drain_until_ns)
            look_at(process, is_last);
        else if (!process->polling.has_ended)
            vine__process_cancel(process);
    }
    vine__parked_look(core);
    vine_timer_arm_after(&core->drain_timer, LOOK_NS);
}

void vine__processes_drain(struct processes *core)
{
    if (core->is_draining)
        return;
    core->is_draining = true;
    core->page->record.is_draining = true;
    core->drain_until_ns = vine_clock_now(VINE_CLOCK_COARSE) + core->drain_ns;
    vine_timer_init(&core->drain_timer, VINE_CLOCK_COARSE, look);
    vine_timer_arm_after(&core->drain_timer, LOOK_NS);
}

void vine__processes_drained(struct processes *core)
{
    if (core->is_draining)
        (void)vine_timer_cancel(&core->drain_timer);
}
