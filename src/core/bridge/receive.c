/* SPDX-License-Identifier: Apache-2.0 */
/* The side of a bridge that receives: completions, deadlines, and the loss of the other side. */
#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "core/bridge/bridge_internal.h"

#define BURST 16u

/* Completions as they lie in slots, aligned so that callbacks can read them where they are. */
struct burst {
    unsigned char slots[BURST][VINE_SPSC_BYTES] __attribute__((aligned(8)));
};

/* The operation that a completion names ends, if there is one. */
static void complete(struct vine_bridge_receive *handle, const unsigned char *slot)
{
    struct vine__bridge *bridge = handle->bridge;
    struct vine__ending ending = {0};
    struct vine_operation_id id;

    memcpy(&id, slot, sizeof id);
    vine__bridge_enter(bridge);

    struct vine__op *operation =
        vine__op_complete(&bridge->cache, id.value & ~VINE__BRIDGE_KIND_MASK,
                          (uint8_t)(id.value >> VINE__BRIDGE_KIND_SHIFT));

    if (operation != NULL) {
        ending = vine__bridge_look((struct vine__pending *)(void *)operation);
        vine__bridge_count(&bridge->completed);
        vine__op_give(&bridge->cache, operation);
    }
    vine__bridge_leave(bridge);
    vine__bridge_call(bridge, ending, 0, slot + sizeof id);
}

/* At most as many as may be pending: a callback may submit as fast as the other side completes. */
static int receive(struct vine_bridge_receive *handle, uint32_t taken)
{
    const uint32_t most = handle->bridge->operations_max;
    struct burst burst;

    handle->is_calling = true;
    while (taken < most) {
        const uint32_t wanted = most - taken < BURST ? most - taken : BURST;
        const int count = vine_receiver_receive_burst(&handle->in, burst.slots, wanted);

        if (count <= 0) {
            handle->is_calling = false;
            return taken == 0 ? count : (int)taken;
        }
        for (int i = 0; i < count; i++)
            complete(handle, burst.slots[i]);
        taken += (uint32_t)count;
    }
    handle->is_calling = false;
    return (int)taken;
}

static int sweep(struct vine_bridge_receive *handle, int status)
{
    handle->is_calling = true;

    const int ended = vine__bridge_sweep(handle->bridge, status);

    handle->is_calling = false;
    return ended;
}

/* 0: there may be something to receive. */
static int check(struct vine_bridge_receive *handle)
{
    const int error = vine__bridge_over(handle->bridge);

    if (handle->is_calling)
        return -EDEADLK;
    if (error)
        (void)sweep(handle, error);
    return error;
}

int vine_bridge_receive(struct vine_bridge_receive *handle)
{
    const int error = check(handle);

    return error ? error : receive(handle, 0);
}

int vine_bridge_receive_wait(struct vine_bridge_receive *handle, uint64_t timeout_ns)
{
    struct burst burst;
    int error = check(handle);

    if (!error)
        error = vine_receiver_receive_wait(&handle->in, burst.slots[0], timeout_ns);
    if (error)
        return error;
    handle->is_calling = true;
    complete(handle, burst.slots[0]);
    handle->is_calling = false;
    return receive(handle, 1);
}

int vine_bridge_arm(struct vine_bridge_receive *handle)
{
    return vine_receiver_arm(&handle->in);
}

void vine_bridge_disarm(struct vine_bridge_receive *handle)
{
    vine_receiver_disarm(&handle->in);
}

/* ---- deadlines ------------------------------------------------------------------------------- */

/* Whether this operation's time is over; if not, `earliest` takes its deadline into account. */
static bool expire(struct vine__bridge *bridge, struct vine__pending *pending, uint64_t now_ns,
                   uint64_t *earliest, struct vine__ending *ret_ending)
{
    /* O2 pairs with O1: the deadline is this use's, or an older one's. */
    const uint64_t word = vine__load_acquire_u64(&pending->operation.word);
    const uint64_t deadline_ns = vine__load_relaxed_u64(&pending->deadline_ns);
    bool is_ours;

    if (vine__op_word_state(word) != VINE__OP_PENDING)
        return false;
    if (deadline_ns > now_ns) {
        if (deadline_ns < *earliest)
            *earliest = deadline_ns;
        return false;
    }
    vine__bridge_enter(bridge);
    /* Read before: once it is abandoned, its submitter may retract and reuse it. If it was another
     * use already, it does not become ours. */
    *ret_ending = vine__bridge_look(pending);
    is_ours = vine__op_abandon(&pending->operation, word);
    if (is_ours)
        vine__bridge_count(&bridge->timed_out);
    vine__bridge_leave(bridge);
    return is_ours;
}

int vine_bridge_expire(struct vine_bridge_receive *handle, uint64_t now_ns)
{
    struct vine__bridge *bridge = handle->bridge;
    const uint32_t total = vine__load_acquire_u32(&bridge->cache.count); /* O6 pairs with O5 */
    uint64_t earliest = VINE_FOREVER;
    int expired = 0;

    if (handle->is_calling)
        return -EDEADLK;
    if (now_ns < vine__load_relaxed_u64(&bridge->next_deadline))
        return 0;
    /* D2 pairs with D1: who lowers it before this registered before, and the walk sees that
     * operation; who lowers it afterwards is not forgotten. */
    (void)vine__exchange_acq_rel_u64(&bridge->next_deadline, VINE_FOREVER);
    handle->is_calling = true;
    for (uint32_t i = 0; i < total; i++) {
        struct vine__pending *pending =
            (struct vine__pending *)(void *)vine__op_at(&bridge->cache, i);
        struct vine__ending ending;

        if (expire(bridge, pending, now_ns, &earliest, &ending)) {
            expired++;
            vine__bridge_call(bridge, ending, -ETIMEDOUT, NULL);
        }
    }
    handle->is_calling = false;
    vine__bridge_lower_deadline(bridge, earliest);
    return expired;
}

uint64_t vine_bridge_next_deadline(const struct vine_bridge_receive *handle)
{
    return vine__load_relaxed_u64(&handle->bridge->next_deadline);
}

/* ---- loss, and what was counted -------------------------------------------------------------- */

int vine_bridge_lost(struct vine_bridge_receive *handle)
{
    if (handle->is_calling)
        return -EDEADLK;
    vine__bridge_end(handle->bridge, -VINE_EPEERLOST);
    return sweep(handle, vine__bridge_over(handle->bridge));
}

void vine_bridge_get_stats(const struct vine_bridge_receive *handle,
                           struct vine_bridge_stats *ret_stats)
{
    const struct vine__bridge *bridge = handle->bridge;
    const struct vine__op_refusals *refused = &bridge->cache.refused;
    struct vine_bridge_stats stats = {
        .completed = vine__load_relaxed_u64(&bridge->completed),
        .abandoned = vine__load_relaxed_u64(&bridge->abandoned),
        .timed_out = vine__load_relaxed_u64(&bridge->timed_out),
        .lost = vine__load_relaxed_u64(&bridge->lost),
        .late = vine__load_relaxed_u64(&refused->late),
        .duplicate = vine__load_relaxed_u64(&refused->duplicate),
        .unknown = vine__load_relaxed_u64(&refused->unknown),
        .forged = vine__load_relaxed_u64(&refused->forged),
        .wrong_kind = vine__load_relaxed_u64(&refused->wrong_kind),
    };
    const uint64_t ended = stats.completed + stats.abandoned + stats.timed_out + stats.lost;

    stats.submitted = vine__load_relaxed_u64(&bridge->submitted);
    stats.pending = stats.submitted > ended ? stats.submitted - ended : 0;
    *ret_stats = stats;
}
