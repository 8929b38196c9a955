/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <limits.h>

#include <vine/mpmc.h>

#include "arch/wake/futex.h"
#include "core/ring/mpmc_layout.h"
#include "core/ring/wait_internal.h"
#include "utils/atomic.h"
#include "utils/bits.h"

/* Whether a consumer at the head would find a message, or somebody's slot to step over. M2 pairs
 * with M1, here and below, as in mpmc.c. */
static int look_for_message(void *end)
{
    const struct vine_mpmc *queue = (const struct vine_mpmc *)end;
    const uint64_t head = vine__mpmc_head(queue);
    const uint64_t stamp =
        vine__load_acquire_u64(&queue->slots[head & (queue->slot_count - 1)].stamp);

    return stamp > (head << 2 | VINE__MPMC_FREE);
}

/* Whether a producer at the tail would find its slot free, or void, or one to step over. */
static int look_for_space(void *end)
{
    const struct vine_mpmc *queue = (const struct vine_mpmc *)end;
    /* M4 pairs with M3, M2 with M1. */
    const uint64_t tail = vine__load_acquire_u64(&queue->control->tail.value);
    const uint64_t stamp =
        vine__load_acquire_u64(&queue->slots[tail & (queue->slot_count - 1)].stamp);

    return stamp >= tail << 2 || (stamp & 3) == VINE__MPMC_STUCK;
}

/* A position was taken, and its owner has not finished. */
static bool is_message_held(void *end)
{
    return vine_mpmc_used((const struct vine_mpmc *)end) > 0;
}

static bool is_space_held(void *end)
{
    const struct vine_mpmc *queue = (const struct vine_mpmc *)end;

    return vine_mpmc_used(queue) < queue->slot_count;
}

static int wait_on(struct vine_mpmc *queue, struct vine_waiter *waiter,
                   struct vine__wait_target target, uint64_t timeout_ns)
{
    if (waiter->line)
        return -EINVAL; /* made for a ring of another kind */
    target.end = queue;
    target.word = &target.sleepers->epoch;
    return vine__wait_for(waiter, timeout_ns, &target);
}

int vine_mpmc_wait_message(struct vine_mpmc *queue, struct vine_waiter *waiter, uint64_t timeout_ns)
{
    const struct vine__wait_target target = {
        .look = look_for_message,
        .is_held = is_message_held,
        .sleepers = &queue->control->for_message,
    };

    return wait_on(queue, waiter, target, timeout_ns);
}

int vine_mpmc_wait_space(struct vine_mpmc *queue, struct vine_waiter *waiter, uint64_t timeout_ns)
{
    const struct vine__wait_target target = {
        .look = look_for_space,
        .is_held = is_space_held,
        .sleepers = &queue->control->for_space,
    };

    return wait_on(queue, waiter, target, timeout_ns);
}

static bool somebody_sleeps(const struct vine_mpmc_sleepers *sleepers)
{
    /* Stands between the stamp that was just stored and the sleepers' count; on the other side it
     * is vine__wait_raise's. */
    vine__fence_full();
    return vine__load_relaxed_u32(&sleepers->count) != 0;
}

static void wake(struct vine_mpmc_sleepers *sleepers, uint64_t count)
{
    /* Pairs with the acquire in vine__wait_raise. */
    (void)vine__fetch_add_acq_rel_u32(&sleepers->epoch, 1);
    (void)vine__futex_wake(&sleepers->epoch, count > INT_MAX ? INT_MAX : (int)count);
}

/* Both wake as many as there is something for, and not only for the caller's own: messages behind
 * its slot were of no use to those who were woken for them while it was not done, and may be more
 * than one sleeper should take. */

void vine_mpmc_wake_consumers(struct vine_mpmc *queue, uint32_t count)
{
    if (somebody_sleeps(&queue->control->for_message))
        wake(&queue->control->for_message, vine__max_u64(count, vine_mpmc_used(queue)));
}

void vine_mpmc_wake_producers(struct vine_mpmc *queue, uint32_t count)
{
    if (somebody_sleeps(&queue->control->for_space))
        wake(&queue->control->for_space,
             vine__max_u64(count, queue->slot_count - vine_mpmc_used(queue)));
}
