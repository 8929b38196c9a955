/* SPDX-License-Identifier: Apache-2.0 */
/* How many I/O queues, and whose. See plan.h. */
#include "core/launch/plan_internal.h"
#include "utils/assert.h"

#define REQUESTS_EACH 128 /* of a queue, if nobody says: as the table of options has it */

void vine__plan_count_queues(struct vine__planner *planner)
{
    const struct vine__launch_value *const queues = &planner->options->num_io_queues;
    const struct vine__launch_value *const requests = &planner->options->max_io_requests;
    struct vine__plan *const plan = planner->plan;
    uint64_t count = plan->core_count;

    VINE_ASSERT(count > 0);
    if (vine__is_asked(queues) && queues->number > plan->core_count)
        vine__mistakes_add(planner->mistakes,
                           "--num-io-queues %llu: there %s %u core%s; right would be at most %u",
                           (unsigned long long)queues->number, plan->core_count == 1 ? "is" : "are",
                           plan->core_count, plan->core_count == 1 ? "" : "s", plan->core_count);
    else if (vine__is_asked(queues))
        count = queues->number;
    if (vine__is_asked(requests) && requests->number < count) {
        if (vine__is_asked(queues))
            vine__mistakes_add(planner->mistakes,
                               "--max-io-requests %llu: there are %llu I/O queues, and each needs "
                               "one; right would be at least %llu",
                               (unsigned long long)requests->number, (unsigned long long)count,
                               (unsigned long long)count);
        count = requests->number;
    }
    VINE_ASSERT(count > 0); /* of requests that are asked for, too, there is at least one */
    plan->io_queue_count = (uint32_t)count;
    plan->io_requests_max =
        vine__is_asked(requests) ? (uint32_t)(requests->number / count) : REQUESTS_EACH;
}

/* The node whose queues are fewest for its cores, of those that have a core without one: by it the
 * next queue is given. */
static uint32_t poorest_node(const struct vine__planner *planner)
{
    const uint32_t *const cores = planner->scratch.on_node, *const queued = planner->scratch.queued;
    uint32_t poorest = VINE__TOPOLOGY_NONE;

    for (uint32_t i = 0; i < planner->topology->node_count; i++)
        if (queued[i] < cores[i] &&
            (poorest == VINE__TOPOLOGY_NONE ||
             (uint64_t)queued[i] * cores[poorest] < (uint64_t)queued[poorest] * cores[i]))
            poorest = i;
    return poorest;
}

/* How many queues each node has. Where there are fewer than nodes, groups of neighbours have one
 * each, on the first of them; else each node has some by the number of its cores. */
static void share_queues(struct vine__planner *planner)
{
    const uint32_t queue_count = planner->plan->io_queue_count;
    const uint32_t *const cores = planner->scratch.on_node;
    uint32_t *const queued = planner->scratch.queued;
    uint32_t node_count = 0, place = 0, given = 0;

    for (uint32_t i = 0; i < planner->topology->node_count; i++)
        node_count += cores[i] > 0;
    for (uint32_t i = 0; queue_count < node_count && i < planner->topology->node_count; i++) {
        /* Of the nodes with cores number i of k belongs to queue number i * m / k of m. */
        if (cores[i] == 0 || (uint64_t)place++ * queue_count / node_count < given)
            continue;
        queued[i] = 1;
        given++;
    }
    for (; given < queue_count; given++) {
        const uint32_t node = poorest_node(planner);

        VINE_ASSERT(node != VINE__TOPOLOGY_NONE);
        queued[node]++;
    }
}

/* Who has the queue for cores of a node that has none: a core of the nearest node before it that
 * has one. The first node with cores has. */
static uint32_t find_before(const struct vine__planner *planner, uint32_t node)
{
    const struct vine__plan *const plan = planner->plan;

    while (planner->scratch.queued[node] == 0)
        node--;
    for (uint32_t i = 0; i < plan->core_count; i++)
        if (plan->cores[i].node == node)
            return plan->cores[i].io_core;
    return 0;
}

void vine__plan_assign_queues(struct vine__planner *planner)
{
    struct vine__plan *const plan = planner->plan;
    uint32_t *const cores = planner->scratch.on_node, *const queued = planner->scratch.queued;

    for (uint32_t i = 0; i < planner->topology->node_count; i++)
        cores[i] = 0;
    for (uint32_t i = 0; i < plan->core_count; i++)
        cores[plan->cores[i].node]++;
    share_queues(planner);
    /* On each node core number j of k belongs to queue number j * m / k of m, whose first core has
     * it. Cores of one node need not be neighbours by number. */
    for (uint32_t i = 0; i < plan->core_count; i++) {
        const uint32_t node = plan->cores[i].node;
        uint32_t place = 0, leader = i;

        for (uint32_t j = 0; j < i; j++)
            place += plan->cores[j].node == node;

        const uint64_t mine = (uint64_t)place * queued[node] / cores[node];

        for (uint32_t j = i, other = place; j-- > 0;)
            if (plan->cores[j].node == node &&
                (uint64_t)--other * queued[node] / cores[node] == mine)
                leader = j;
        plan->cores[i].io_core = leader;
    }
    for (uint32_t i = 0; i < plan->core_count; i++)
        if (queued[plan->cores[i].node] == 0)
            plan->cores[i].io_core = find_before(planner, plan->cores[i].node);
}
