/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/park.c - connections between two requests that hold no heap.
 *
 * A parked one is its connection and a record here. The first byte brings it a micro-process anew,
 * of the same colour, since that is what its buffers have.
 */

#include <stdlib.h>

#include "core/process/process_internal.h"

struct parked {
    struct vine__list link;
    struct vine_connection *connection;
    struct vine__process_options options;
    uint32_t colour;
    bool was_seen; /* while the core drains */
    bool is_over;
    union {
        struct vine_receive receive;
        struct vine_work closed; /* when that is over */
    };
};

/* With what the network has of a connection, 600 bytes. */
VINE_STATIC_ASSERT(sizeof(struct parked) <= 184, "a parked connection is small");

static void forget(struct parked *parked)
{
    vine__list_remove(&parked->link);
    vine__processes_here()->parked_count--;
    free(parked);
}

static void closed(struct vine_work *work)
{
    struct parked *const parked = VINE_CONTAINER_OF(work, struct parked, closed);
    struct processes *const core = vine__processes_here();
    const vine__process_gone_fn gone = parked->options.gone;
    void *const context = parked->options.context;

    forget(parked);
    if (gone != NULL)
        gone(context);
    vine__processes_let_go(core);
}

/* It came to its end while it was parked. */
static void end(struct parked *parked, int error)
{
    const struct vine__process_end process_end = {.error = error, .type = parked->options.type};

    if (parked->options.ended != NULL)
        parked->options.ended(parked->options.context, &process_end);
    parked->is_over = true;
    vine_work_init(&parked->closed, closed);
    vine_connection_close(parked->connection, &parked->closed);
}

static void received(struct vine_receive *receive)
{
    struct parked *const parked = VINE_CONTAINER_OF(receive, struct parked, receive);
    int error;

    if (receive->size <= 0) {
        end(parked, (int)receive->size);
        return;
    }
    error = vine__process_begin(vine__processes_here(), parked->connection, &parked->options,
                                parked->colour, receive);
    if (error != 0)
        end(parked, error);
    else
        forget(parked);
}

bool vine__process_park(struct vine__process *process)
{
    struct outlet *const outlet = &process->io;
    struct parked *parked;

    if (outlet->is_sending || outlet->written != NULL || outlet->error != 0 ||
        outlet->is_receiving || outlet->has_received || outlet->has_end || process->cancel != 0 ||
        process->raise != 0 || !vine__furthers_are_none(process))
        return false;
    parked = calloc(1, sizeof(*parked));
    if (parked == NULL)
        return false;
    parked->connection = outlet->connection;
    parked->options = process->options;
    parked->colour = process->colour;
    parked->receive.deadline_ns = outlet->park_until_ns;
    vine__list_push_back(&process->core->parked, &parked->link);
    process->core->parked_count++;
    outlet->connection = NULL;
    process->options.ended = NULL;
    process->options.gone = NULL;
    vine__process_end(process, &(struct vine__process_end){.error = 0}, true);
    vine_receive(parked->connection, &parked->receive, received);
    return true;
}

void vine__parked_look(struct processes *core)
{
    VINE_LIST_FOR_EACH(node, &core->parked)
    {
        struct parked *const parked = VINE_LIST_OBJECT(node, struct parked, link);

        if (parked->was_seen && !parked->is_over)
            vine_receive_cancel(&parked->receive);
        parked->was_seen = true;
    }
}
