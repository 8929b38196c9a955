/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/socket/poll.c - waiting for several sockets, and for the end of a peer, inside.
 *
 * Who polls looks at its sockets whenever something has happened that may concern it, and asks
 * outside, without blocking there, for what is not under way yet.
 */

#include "core/socket/socket.h"

VINE__INSIDE static struct vine_socket *source_of(struct vine_socket *socket)
{
    return socket->source != NULL ? socket->source : socket;
}

/* What there is. */
VINE__INSIDE static uint8_t look_at(const struct vine_socket *socket)
{
    uint8_t told = 0;

    if (socket->input != NULL) {
        if (vine__flow_is_at_end(socket->input))
            told = VINE_POLL_READABLE | VINE_POLL_HUNG_UP;
        return socket->input->ring.size > 0 ? told | VINE_POLL_READABLE : told;
    }
    if (vine__incoming_left(&socket->in) > 0)
        told = VINE_POLL_READABLE;
    if (socket->in.is_end || socket->in.error != 0)
        told = VINE_POLL_READABLE | VINE_POLL_HUNG_UP;
    return socket->has_hung_up ? told | VINE_POLL_HUNG_UP : told;
}

/* Nothing of that is there: see to it that it is told. */
VINE__INSIDE static void prompt(struct vine_socket *socket)
{
    if (socket->input != NULL)
        return;
    if (vine__incoming_left(&socket->in) > 0) {
        if (!socket->is_watched)
            socket->wants |= VINE__WANTS_END;
        socket->is_watched = true;
    } else if (!socket->is_receiving) {
        socket->is_receiving = true;
        socket->wants |= VINE__WANTS_MORE;
    }
}

VINE__INSIDE void vine__poll(struct vine_coroutine *that, struct vine_poll *polls, size_t count)
{
    if (vine__is_local(that, polls))
        vine__misuse(that, "it polls by a local variable, which is gone once it has to wait");
    for (size_t i = 0; i < count; i++)
        if (polls[i].socket == NULL || polls[i].wanted == 0)
            vine__misuse(that, "vine_poll of nothing");
    if (count == 0)
        vine__misuse(that, "vine_poll of nothing");
    that->on = NULL;
    that->operand = polls;
    that->operand_size = count;
}

VINE__INSIDE void vine__hang_up(struct vine_coroutine *that, struct vine_socket *socket)
{
    if (socket == NULL)
        vine__misuse(that, "it has no socket");
    that->on = source_of(socket);
    that->operand_size = 0;
}

/* The first of several that has what is wanted, or their count. */
VINE__INSIDE static size_t first_told(struct vine_poll *polls, size_t count)
{
    size_t first = count;

    for (size_t i = count; i-- > 0;) {
        polls[i].told = look_at(source_of(polls[i].socket)) & polls[i].wanted;
        if (polls[i].told != 0)
            first = i;
    }
    return first;
}

VINE__INSIDE bool vine__polled(struct vine_coroutine *that)
{
    struct vine_poll *const polls = that->operand;

    if (that->on != NULL) {
        if ((look_at(that->on) & VINE_POLL_HUNG_UP) != 0)
            return true;
        prompt(that->on);
    } else {
        that->result = (int64_t)first_told(polls, that->operand_size);
        if ((uint64_t)that->result < that->operand_size)
            return true;
        for (size_t i = 0; i < that->operand_size; i++)
            prompt(source_of(polls[i].socket));
    }
    vine__wait(that, &that->inside->pollers);
    return false;
}

VINE__INSIDE void vine__socket_hung_up(struct vine_socket *socket)
{
    socket->has_hung_up = true;
}
