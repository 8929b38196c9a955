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

VINE__INSIDE bool vine__connected(struct vine_coroutine *that)
{
    struct vine__further *further;

    if (that->on == NULL)
        return true; /* and the error is raised */
    further = VINE_CONTAINER_OF(that->on, struct vine__further, socket);
    if (that->operand_at++ > 0) {
        further->socket.place = further->beyond.at_end.place;
        return true;
    }
    vine__ask(that, VINE__ASK_CONNECT, further->beyond.at_end.place, (uintptr_t)further, NULL);
    return false;
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
    vine__beyond_leave(&VINE_CONTAINER_OF(socket, struct vine__further, socket)->beyond);
}

VINE__INSIDE bool vine__closed(struct vine_coroutine *that)
{
    return that->on == NULL || vine__drained(that);
}
