/* SPDX-License-Identifier: Apache-2.0 */
/* core/socket/park.c - waiting for a next request with nothing that has to stay, inside. */

#include "core/socket/socket.h"

VINE__INSIDE void vine__park(struct vine_coroutine *that)
{
    struct vine_socket *const socket = that->socket;

    if (that != that->inside->first || that->inside->coroutine_count != 1)
        vine__misuse(that, "vine_park with other coroutines");
    if (that->blocks != NULL)
        vine__misuse(that, "vine_park with memory of its own");
    for (const struct vine__at_end *at_end = that->at_end; at_end != NULL; at_end = at_end->next)
        if (at_end->is_beyond)
            vine__misuse(that, "vine_park with sockets of its own");
    if (that->inside->mailbox_count != 0)
        vine__misuse(that, "vine_park with an open mailbox");
    if (socket == NULL || socket->output != NULL)
        vine__misuse(that, "vine_park without a connection");
    that->on = socket;
    that->operand_at = 0;
}

VINE__INSIDE bool vine__parked(struct vine_coroutine *that)
{
    struct vine_socket *const socket = that->on;
    bool *const sign = socket->is_receiving ? NULL : &socket->is_receiving;

    if (that->operand_at++ > 0 || vine__incoming_left(&socket->in) > 0 || socket->in.is_end ||
        socket->in.error != 0)
        return true;
    socket->reader = that;
    that->waits = &socket->reader;
    socket->is_receiving = true;
    vine__ask(that, VINE__ASK_PARK, socket->place, that->deadline_ns, sign);
    return false;
}
