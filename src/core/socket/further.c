/* SPDX-License-Identifier: Apache-2.0 */
/* core/socket/further.c - sockets of the outside that a coroutine asks for, inside. */

#include <string.h>

#include <vine/error.h>

#include "core/socket/socket.h"
#include "utils/container_of.h"

/* ---- connecting ------------------------------------------------------------------------------ */

VINE__INSIDE void vine__connect(struct vine_coroutine *that, const char *address_text)
{
    const size_t bytes = address_text != NULL ? strlen(address_text) + 1 : 0;
    struct vine__further *further;

    if (address_text == NULL)
        vine__misuse(that, "vine_connect to nowhere");
    that->on = NULL;
    that->operand_at = 0;
    if (bytes > VINE__FURTHER_TEXT_MAX) {
        vine__raise(that, -ENAMETOOLONG);
        return;
    }
    further = (void *)vine__beyond_create(that, sizeof(*further) + bytes);
    if (further == NULL)
        return;
    memcpy(further->text, address_text, bytes);
    that->on = &further->socket;
}

/* Ask for it, the first time. Returns whether it is over. */
VINE__INSIDE static bool ask_for(struct vine_coroutine *that, enum vine__ask_kind kind,
                                 uint16_t place)
{
    struct vine__further *further;

    if (that->on == NULL)
        return true; /* and the error is raised */
    further = VINE_CONTAINER_OF(that->on, struct vine__further, socket);
    if (that->operand_at++ > 0) {
        further->socket.place = further->beyond.at_end.place;
        return true;
    }
    vine__ask(that, kind, place, (uintptr_t)further, NULL);
    return false;
}

VINE__INSIDE bool vine__connected(struct vine_coroutine *that)
{
    return ask_for(that, VINE__ASK_CONNECT, 0);
}

VINE__INSIDE bool vine__connected_tls(struct vine_coroutine *that)
{
    return ask_for(that, VINE__ASK_CONNECT_TLS, 0);
}

VINE__INSIDE void vine__connect_remote(struct vine_coroutine *that, struct vine_remote remote,
                                       const char *procedure)
{
    vine__connect(that, procedure);
    /* Beyond what an ask can say there are none. */
    that->operand_size = remote.number <= UINT16_MAX ? remote.number : 0;
}

VINE__INSIDE bool vine__connected_remote(struct vine_coroutine *that)
{
    return ask_for(that, VINE__ASK_CONNECT_REMOTE, (uint16_t)that->operand_size);
}

/* ---- made outside ---------------------------------------------------------------------------- */

VINE__INSIDE void vine__make(struct vine_coroutine *that, const void *asked, size_t size_bytes)
{
    struct vine__further *further;

    VINE__INSIDE_CHECK(size_bytes <= VINE__MAKING_BYTES);
    that->on = NULL;
    that->operand_at = 0;
    further = (void *)vine__beyond_create(that, sizeof(*further) + size_bytes);
    if (further == NULL)
        return;
    if (size_bytes > 0)
        memcpy(further->text, asked, size_bytes);
    that->on = &further->socket;
}

VINE__INSIDE bool vine__made(struct vine_coroutine *that)
{
    return ask_for(that, VINE__ASK_MAKE, 0);
}

/* ---- listening ------------------------------------------------------------------------------- */

VINE__INSIDE bool vine__listened(struct vine_coroutine *that)
{
    if (!ask_for(that, VINE__ASK_LISTEN, 0))
        return false;
    if (that->on != NULL) {
        that->on->is_listener = true;
        that->on->port = (uint16_t)that->result;
        that->on->in.error = -ENOTCONN;
        that->on->out.error = -ENOTCONN;
    }
    return true;
}

VINE__INSIDE uint16_t vine__port(const struct vine_socket *listener)
{
    return listener->port;
}

VINE__INSIDE void vine__accept(struct vine_coroutine *that, struct vine_socket *listener)
{
    struct vine__further *further;

    if (listener == NULL || !listener->is_listener)
        vine__misuse(that, "vine_accept of what does not listen");
    that->on = NULL;
    that->operand = listener;
    that->operand_at = 0;
    further = (void *)vine__beyond_create(that, sizeof(*further) + 1);
    if (further != NULL)
        that->on = &further->socket;
}

VINE__INSIDE bool vine__accepted(struct vine_coroutine *that)
{
    const struct vine_socket *const listener = that->operand;

    return ask_for(that, VINE__ASK_ACCEPT, listener->place);
}

/* ---- the end --------------------------------------------------------------------------------- */

VINE__INSIDE static void cancel(struct vine_coroutine *waiting)
{
    if (waiting == NULL)
        return;
    if (waiting->error == 0)
        waiting->error = -ECANCELED;
    vine__wake(waiting, -ECANCELED);
}

VINE__INSIDE void vine__close(struct vine_coroutine *that, struct vine_socket *socket)
{
    if (socket == NULL)
        vine__misuse(that, "it has no socket");
    that->on = NULL;
    if (socket->place == 0) {
        vine__close_input(that, socket);
        vine__close_output(that, socket);
        return;
    }
    cancel(socket->reader);
    cancel(socket->writer);
    socket->in.error = -VINE_ECLOSED;
    socket->out.error = -VINE_ECLOSED;
    vine__pollers_wake(that->inside);
    vine__beyond_leave(&VINE_CONTAINER_OF(socket, struct vine__further, socket)->beyond);
}

VINE__INSIDE bool vine__closed(struct vine_coroutine *that)
{
    return that->on == NULL || vine__drained(that);
}
