/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/abort.h>

#include "core/reactor/reactor.h"
#include "core/sync/waiting_internal.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#include <errno.h>

void vine_abort_source_init(struct vine_abort_source *source)
{
    *source = (struct vine_abort_source){.nodes = {&source->nodes, &source->nodes, NULL}};
}

void vine_abort_source_fini(struct vine_abort_source *source)
{
    VINE_ASSERT(source->nodes.next == &source->nodes);
    source->nodes.next = NULL;
}

int vine__abort_add(struct vine_abort_source *source, struct vine_abort_node *node)
{
    struct vine_abort_node *last = source->nodes.prev;

    VINE_ASSERT(node->prev == NULL);
    if (source->is_requested)
        return -ECANCELED;
    node->next = &source->nodes;
    node->prev = last;
    last->next = node;
    source->nodes.prev = node;
    return 0;
}

bool vine__abort_remove(struct vine_abort_node *node)
{
    if (node->prev == NULL)
        return false;
    node->prev->next = node->next;
    node->next->prev = node->prev;
    node->prev = NULL;
    return true;
}

void vine_abort_request(struct vine_abort_source *source)
{
    if (source->is_requested)
        return;
    /* First: who ends because of it cannot come back. */
    source->is_requested = true;
    while (source->nodes.next != &source->nodes) {
        struct vine_abort_node *node = source->nodes.next;

        (void)vine__abort_remove(node);
        node->fn(node);
    }
}

static void call_soon(struct vine_abort_node *node)
{
    vine__timer_call(&VINE_CONTAINER_OF(node, struct vine_abort_subscription, node)->call);
}

static void call(struct vine_timer *timer)
{
    struct vine_abort_subscription *subscription =
        VINE_CONTAINER_OF(timer, struct vine_abort_subscription, call);

    subscription->fn(subscription);
}

int vine_abort_subscribe(struct vine_abort_source *source,
                         struct vine_abort_subscription *subscription, vine_abort_fn fn)
{
    VINE_ASSERT(fn != NULL);
    *subscription = (struct vine_abort_subscription){.node.fn = call_soon, .fn = fn};
    vine_timer_init(&subscription->call, VINE_CLOCK_COARSE, call);
    return vine__abort_add(source, &subscription->node);
}

bool vine_abort_unsubscribe(struct vine_abort_subscription *subscription)
{
    return vine__abort_remove(&subscription->node) || vine_timer_cancel(&subscription->call);
}
