/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams. What may go wrong, by the chances of the options: one is lost, or arrives twice; each
 * takes its own time, so that they overtake; where too many wait the rest is dropped.
 */
#include "sim/world_net.h"

#include "utils/assert.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define PACKETS_MAX 64

static void arrive(struct world_event *event)
{
    struct world_packet *const packet = VINE_CONTAINER_OF(event, struct world_packet, event);
    struct world_socket *const to = world_socket_find(WORLD_SOCKET_DATAGRAMS, &packet->to);

    if (to == NULL) {
        struct world_socket *const from = world_socket_find(WORLD_SOCKET_DATAGRAMS, &packet->from);

        if (from != NULL && from->peer.size_bytes != 0) {
            from->error = ECONNREFUSED;
            world_socket_changed(from);
        }
        return;
    }
    if (to->packet_count == PACKETS_MAX ||
        (to->peer.size_bytes != 0 && memcmp(&to->peer, &packet->from, sizeof(to->peer)) != 0))
        return;
    packet->next = NULL;
    *to->last = packet;
    to->last = &packet->next;
    to->packet_count++;
    world_socket_changed(to);
}

static void launch(const struct world_socket *from, const struct world_address *to,
                   const struct iovec *piece)
{
    struct world_packet *const packet = calloc(1, sizeof(*packet) + piece->iov_len);

    VINE_ASSERT(packet != NULL);
    packet->from = from->address;
    packet->to = *to;
    packet->size = (uint32_t)piece->iov_len;
    if (packet->size > 0)
        memcpy(packet->bytes, piece->iov_base, packet->size);
    packet->next_of_all = world_net.packets;
    world_net.packets = packet;
    world_after(&packet->event, 20 * US, world_chance(20) == 0 ? 20 * MS : 300 * US, arrive);
}

static int32_t send_out(struct world_socket *socket, const struct msghdr *message)
{
    struct world_address to = socket->peer;

    if (socket->error != 0) {
        const int error = socket->error;

        socket->error = 0;
        return -error;
    }
    if (message->msg_name != NULL) {
        memset(&to, 0, sizeof(to));
        memcpy(&to.any, message->msg_name, message->msg_namelen);
        to.size_bytes = message->msg_namelen;
    }
    if (to.size_bytes == 0)
        return -EDESTADDRREQ;
    if (!world_happens(world.options.net_lost))
        launch(socket, &to, message->msg_iov);
    if (world_happens(world.options.net_twice))
        launch(socket, &to, message->msg_iov);
    return (int32_t)message->msg_iov->iov_len;
}

static int32_t receive(struct world_socket *socket, struct msghdr *message)
{
    const struct world_packet *const packet = socket->first;
    const struct iovec *const piece = message->msg_iov;

    if (packet == NULL && socket->error != 0) {
        const int error = socket->error;

        socket->error = 0;
        return -error;
    }
    if (packet == NULL)
        return WORLD_NOT_NOW;
    socket->first = packet->next;
    if (socket->first == NULL)
        socket->last = &socket->first;
    socket->packet_count--;
    const bool is_cut = packet->size > piece->iov_len;
    const uint32_t size = is_cut ? (uint32_t)piece->iov_len : packet->size;

    if (size > 0)
        memcpy(piece->iov_base, packet->bytes, size);
    message->msg_flags = is_cut ? MSG_TRUNC : 0;
    memcpy(message->msg_name, &packet->from.any, packet->from.size_bytes);
    message->msg_namelen = packet->from.size_bytes;
    return (int32_t)size;
}

int32_t world_datagram_try(struct world_socket *socket, struct world_request *request)
{
    const struct vine__operation *const operation = request->operation;

    if (operation->kind == VINE__POLL_SEND_MESSAGE)
        return send_out(socket, operation->message);
    world_holds(operation->kind == VINE__POLL_RECEIVE_MESSAGE,
                "an operation of kind %d on a socket for datagrams", operation->kind);
    return receive(socket, operation->message);
}
