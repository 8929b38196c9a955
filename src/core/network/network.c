/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A core's part of the network: it starts with the first listener or connection there, and stops
 * with the reactors, after all that the program stops on this core, when all that it has made has
 * let go of the kernel.
 */
#include "core/network/network_internal.h"

#include <errno.h>

#include "arch/guard/closed.h"
#include "utils/container_of.h"

struct vine__network_load vine__network_loads[VINE_CORES_MAX];

/* Each slot is its core's own. Cores are of one mesh, whose reactors have all stopped before those
 * of another one begin. */
static struct slot {
    struct vine__network *network;
    struct vine_stopper stopper;
} slots[VINE_CORES_MAX];

static bool is_empty(struct vine__network *network)
{
    return vine__list_is_empty(&network->connections) && vine__list_is_empty(&network->listeners) &&
           vine__list_is_empty(&network->parts) && vine__list_is_empty(&network->udps);
}

/* Whether the kernel has something of this core's. */
static bool has_let_go(struct vine__network *network)
{
    if (!vine__list_is_empty(&network->parts))
        return false;
    VINE_LIST_FOR_EACH(node, &network->connections)
    {
        if (!VINE_LIST_OBJECT(node, struct vine_connection, link)->has_let_go)
            return false;
    }
    VINE_LIST_FOR_EACH(node, &network->listeners)
    {
        if (!VINE_LIST_OBJECT(node, struct vine_listener, link)->has_ended)
            return false;
    }
    VINE_LIST_FOR_EACH(node, &network->udps)
    {
        if (!VINE_LIST_OBJECT(node, struct vine_udp, link)->has_let_go)
            return false;
    }
    return true;
}

void vine__network_look(struct vine__network *network)
{
    if (!network->is_stopping)
        return;
    if (!network->has_stopped && has_let_go(network)) {
        network->has_stopped = true;
        vine__network_metrics_stop(network);
        network->stack->stop(network);
        slots[network->core].network = NULL;
        vine_stopper_done(&slots[network->core].stopper);
    }
    /* What its owners have not closed yet keeps the memory. */
    if (network->has_stopped && is_empty(network))
        vine__closed_free(network);
}

static void stop(struct vine_stopper *stopper)
{
    struct vine__network *const network = VINE_CONTAINER_OF(stopper, struct slot, stopper)->network;

    network->is_stopping = true;
    VINE_LIST_FOR_EACH(node, &network->listeners)
    {
        vine__listener_end(VINE_LIST_OBJECT(node, struct vine_listener, link));
    }
    VINE_LIST_FOR_EACH(node, &network->connections)
    {
        vine__connection_abort(VINE_LIST_OBJECT(node, struct vine_connection, link));
    }
    VINE_LIST_FOR_EACH(node, &network->udps)
    {
        vine__udp_abort(VINE_LIST_OBJECT(node, struct vine_udp, link));
    }
    vine__network_look(network);
}

static int start(struct vine__network **ret_network)
{
    struct vine__network *const network = vine__closed_alloc(sizeof(*network));

    if (network == NULL)
        return -ENOMEM;
    network->stack = vine__network_stack();
    network->poller = vine__reactor_poller();
    network->core = vine_core();
    vine__list_init(&network->connections);
    vine__list_init(&network->listeners);
    vine__list_init(&network->parts);
    vine__list_init(&network->udps);
    int error = network->stack->start(network);

    if (error != 0) {
        vine__closed_free(network);
        return error;
    }
    error = vine__network_metrics_start(network);
    /* Last: what is registered to be stopped cannot be taken back. */
    if (error == 0 && !vine__at_stop_last(&slots[network->core].stopper, stop)) {
        vine__network_metrics_stop(network);
        error = -VINE_ECLOSED;
    }
    if (error != 0) {
        network->stack->stop(network);
        vine__closed_free(network);
        return error;
    }
    slots[network->core].network = network;
    *ret_network = network;
    return 0;
}

int vine__network_here(struct vine__network **ret_network)
{
    struct vine__network *const network = slots[vine_core()].network;

    if (network == NULL)
        return start(ret_network);
    if (network->is_stopping)
        return -VINE_ECLOSED;
    *ret_network = network;
    return 0;
}

void vine_network_get_counts(struct vine_network_counts *ret_counts)
{
    const struct vine__network *const network = slots[vine_core()].network;

    *ret_counts = (struct vine_network_counts){0};
    if (network == NULL)
        return;
    *ret_counts = network->counts;
    ret_counts->buffers_used = network->stack->buffers_used(network);
}
