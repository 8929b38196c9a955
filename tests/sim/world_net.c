/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets, what is asked of them, and who waits there. Connecting and accepting are here; bytes are
 * moved by world_stream.c and world_datagram.c.
 */
#include "sim/world_net.h"

#include "utils/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CONNECT_TRIES 3

struct world_net world_net;

/* ---- sockets --------------------------------------------------------------------------------- */

struct world_socket *world_socket_create(enum world_socket_kind kind)
{
    struct world_socket *const socket = calloc(1, sizeof(*socket));

    VINE_ASSERT(socket != NULL);
    socket->kind = (uint8_t)kind;
    socket->last = &socket->first;
    socket->next = world_net.sockets;
    world_net.sockets = socket;
    return socket;
}

bool world_address_is(const struct world_address *address, const struct sockaddr *other,
                      uint32_t size_bytes)
{
    return address->size_bytes == size_bytes && memcmp(&address->any, other, size_bytes) == 0;
}

/* Of several that share it, one by chance. */
struct world_socket *world_socket_find(enum world_socket_kind kind,
                                       const struct world_address *address)
{
    struct world_socket *found = NULL;
    uint64_t count = 0;

    for (struct world_socket *socket = world_net.sockets; socket != NULL; socket = socket->next) {
        if (socket->kind != (uint8_t)kind || socket->is_closed || socket->address.size_bytes == 0 ||
            !world_address_is(&socket->address, (const struct sockaddr *)&address->any,
                              address->size_bytes))
            continue;
        if (++count == 1 || world_chance(count) == 0)
            found = socket;
    }
    return found;
}

void world_socket_close(struct world_socket *socket)
{
    VINE_ASSERT(socket->waiting == NULL);
    socket->is_closed = true;
    if (socket->kind == WORLD_SOCKET_STREAM)
        world_stream_close(socket);
    for (uint32_t i = 0; i < socket->backlog_count; i++) {
        socket->backlog[i]->is_closed = true;
        world_stream_reset(socket->backlog[i], ECONNRESET);
    }
    socket->backlog_count = 0;
}

void world_net_clear(void)
{
    while (world_net.sockets != NULL) {
        struct world_socket *const socket = world_net.sockets;

        world_net.sockets = socket->next;
        world_never(&socket->segment);
        free(socket->in.at);
        free(socket->out.at);
        free(socket->backlog);
        free(socket);
    }
    while (world_net.packets != NULL) {
        struct world_packet *const packet = world_net.packets;

        world_net.packets = packet->next_of_all;
        world_never(&packet->event);
        free(packet);
    }
    world_net = (struct world_net){.port = 0};
}

/* ---- connecting ------------------------------------------------------------------------------ */

static void connect_again(struct world_event *event);

static int32_t try_connect(struct world_socket *socket, struct world_request *request)
{
    const struct vine__operation *const operation = request->operation;
    struct world_address address = {.size_bytes = operation->size};

    if (socket->kind != WORLD_SOCKET_NEW)
        return -EISCONN;
    memcpy(&address.any, operation->address, operation->size);
    struct world_socket *const listener = world_socket_find(WORLD_SOCKET_LISTENS, &address);

    if (listener == NULL || world_happens(world.options.net_refuse))
        return -ECONNREFUSED;
    if (listener->backlog_count == listener->backlog_max || world_happens(world.options.net_lost)) {
        if (++request->tries > CONNECT_TRIES)
            return -ETIMEDOUT;
        world_after(&request->event, 50 * MS, 100 * MS, connect_again);
        return WORLD_NOT_NOW;
    }
    struct world_socket *const there = world_socket_create(WORLD_SOCKET_STREAM);

    there->address = listener->address;
    there->peer = socket->address;
    socket->peer = listener->address;
    world_stream_pair(socket, there);
    listener->backlog[listener->backlog_count++] = there;
    world_socket_changed(listener);
    return 0;
}

int32_t world_socket_accept(struct world_socket *listener)
{
    if (listener->backlog_count == 0)
        return WORLD_NOT_NOW;
    struct world_socket *const socket = listener->backlog[0];
    const int fd = world_descriptor_open(&(struct world_descriptor){.socket = socket});

    if (fd < 0)
        return fd;
    listener->backlog_count--;
    memmove(listener->backlog, listener->backlog + 1,
            listener->backlog_count * sizeof(struct world_socket *));
    return fd;
}

static int32_t try_accept(struct world_socket *listener, struct world_request *request)
{
    for (;;) {
        const int32_t fd = world_socket_accept(listener);

        if (fd < 0 || !request->operation->is_multishot || world_chance(20) == 0)
            return fd;
        world_tell(request, fd, VINE__POLL_MORE, 0);
    }
}

/* ---- requests -------------------------------------------------------------------------------- */

static int32_t try_request(struct world_socket *socket, struct world_request *request)
{
    switch (request->operation->kind) {
    case VINE__POLL_CONNECT:
        return try_connect(socket, request);
    case VINE__POLL_ACCEPT:
        return try_accept(socket, request);
    default:
        break;
    }
    if (socket->kind == WORLD_SOCKET_DATAGRAMS)
        return world_datagram_try(socket, request);
    return socket->kind == WORLD_SOCKET_STREAM ? world_stream_try(socket, request) : -ENOTCONN;
}

static struct world_socket *socket_of(const struct world_request *request)
{
    return world_descriptor_find(request->operation->fd)->socket;
}

/* A receive that ends with a buffer has noted which one. */
static void end(struct world_request *request, int32_t result)
{
    struct vine__operation *const operation = request->operation;

    if (operation->kind == VINE__POLL_RECEIVE && request->mark != 0) {
        world_end_with(request, result, VINE__POLL_BUFFER, (uint16_t)(request->mark - 1));
        return;
    }
    world_end(request, result);
}

static void remove_waiting(struct world_socket *socket, struct world_request *request)
{
    struct world_request **link = &socket->waiting;

    while (*link != NULL && *link != request)
        link = &(*link)->next;
    if (*link != NULL)
        *link = request->next;
}

static int32_t cancelled(const struct world_request *request)
{
    const bool has_count = request->operation->kind == VINE__POLL_SEND && request->done > 0;

    return has_count ? (int32_t)request->done : -ECANCELED;
}

static void try_first(struct world_event *event)
{
    struct world_request *const request = VINE_CONTAINER_OF(event, struct world_request, event);
    struct world_socket *const socket = socket_of(request);
    struct world_request **link = &socket->waiting;
    int32_t result = try_request(socket, request);

    if (result == WORLD_NOT_NOW && request->is_cancelled)
        result = cancelled(request);
    if (result != WORLD_NOT_NOW) {
        end(request, result);
        return;
    }
    while (*link != NULL)
        link = &(*link)->next;
    request->next = NULL;
    *link = request;
}

static void try_waiting(struct world_request *request)
{
    struct world_socket *const socket = socket_of(request);
    const int32_t result = try_request(socket, request);

    if (result == WORLD_NOT_NOW)
        return;
    remove_waiting(socket, request);
    end(request, result);
}

static void connect_again(struct world_event *event)
{
    try_waiting(VINE_CONTAINER_OF(event, struct world_request, event));
}

void world_socket_changed(struct world_socket *socket)
{
    struct world_request *next;

    for (struct world_request *request = socket->waiting; request != NULL; request = next) {
        next = request->next;
        if (request->operation->kind != VINE__POLL_CONNECT)
            try_waiting(request);
    }
}

void world_net_begin(struct world_request *request)
{
    const bool is_far = request->operation->kind == VINE__POLL_CONNECT;

    world_after(&request->event, 0, is_far ? 300 * US : 5 * US, try_first);
}

static void end_cancelled(struct world_event *event)
{
    struct world_request *const request = VINE_CONTAINER_OF(event, struct world_request, event);

    remove_waiting(socket_of(request), request);
    world_end(request, cancelled(request));
}

/* It may take a while in which things go on, so that it comes too late. */
void world_net_cancel(struct world_request *request)
{
    struct world_socket *const socket = socket_of(request);

    for (struct world_request *at = socket->waiting; at != NULL; at = at->next) {
        if (at == request) {
            world_after(&request->event, 0, world_chance(4) == 0 ? 50 * US : 0, end_cancelled);
            return;
        }
    }
    if (world_chance(2) == 0) /* else it is tried first, as if it had been begun before */
        world_after(&request->event, 0, 0, end_cancelled);
}
