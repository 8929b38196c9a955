/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Sockets as arch/net/socket.h has them, in the simulated network: in a program with a world these
 * functions stand in for the kernel's.
 */
#include "sim/world_net.h"

#include "arch/net/socket.h"

#include <errno.h>
#include <netinet/in.h>
#include <stdlib.h>
#include <string.h>

#define PORT_FIRST  40000
#define BACKLOG_MAX 16

static struct world_socket *socket_at(int fd)
{
    struct world_socket *const socket = world_descriptor_find(fd)->socket;

    world_holds(socket != NULL, "descriptor %d is no socket", fd);
    return socket;
}

int vine__socket_create(int family, int type, const struct vine__socket_options *options,
                        int *ret_fd)
{
    struct world_socket *const socket =
        world_socket_create(type == SOCK_DGRAM ? WORLD_SOCKET_DATAGRAMS : WORLD_SOCKET_NEW);
    const int fd = world_descriptor_open(&(struct world_descriptor){.socket = socket});

    (void)options;
    if (family != AF_INET)
        world_break("no other sockets than those of IPv4 are simulated");
    if (fd < 0) {
        socket->is_closed = true;
        return fd;
    }
    *ret_fd = fd;
    return 0;
}

static int bind_to(struct world_socket *socket, const struct sockaddr *address,
                   socklen_t size_bytes)
{
    struct sockaddr_in wish;

    memcpy(&wish, address, sizeof(wish));
    if (size_bytes != sizeof(wish) || socket->address.size_bytes != 0)
        return -EINVAL;
    if (wish.sin_port == 0)
        wish.sin_port = htons((uint16_t)(PORT_FIRST + ++world_net.port));
    memcpy(&socket->address.any, &wish, sizeof(wish));
    socket->address.size_bytes = sizeof(wish);
    return 0;
}

int vine__socket_bind(int fd, const struct sockaddr *address, socklen_t size_bytes)
{
    return bind_to(socket_at(fd), address, size_bytes);
}

int vine__socket_bind_datagrams(int fd, const struct sockaddr *address, socklen_t size_bytes)
{
    for (const struct world_socket *at = world_net.sockets; at != NULL; at = at->next)
        if (at->kind == WORLD_SOCKET_DATAGRAMS && !at->is_closed &&
            world_address_is(&at->address, address, size_bytes))
            return -EADDRINUSE;
    return bind_to(socket_at(fd), address, size_bytes);
}

int vine__socket_share_port(int fd)
{
    socket_at(fd)->shares_port = true;
    return 0;
}

int vine__socket_listen(int fd, int backlog)
{
    struct world_socket *const socket = socket_at(fd);

    for (const struct world_socket *at = world_net.sockets; at != NULL; at = at->next)
        if (at->kind == WORLD_SOCKET_LISTENS && !at->is_closed &&
            world_address_is(&at->address, (const struct sockaddr *)&socket->address.any,
                             socket->address.size_bytes) &&
            !(at->shares_port && socket->shares_port))
            return -EADDRINUSE;
    socket->kind = WORLD_SOCKET_LISTENS;
    socket->backlog_max = (uint32_t)backlog < BACKLOG_MAX ? (uint32_t)backlog : BACKLOG_MAX;
    socket->backlog = calloc(socket->backlog_max, sizeof(struct world_socket *));
    return socket->backlog == NULL ? -ENOMEM : 0;
}

int vine__socket_adopt_listener(int fd, const struct vine__socket_options *options)
{
    (void)options;
    return socket_at(fd)->kind == WORLD_SOCKET_LISTENS ? 0 : -EINVAL;
}

int vine__socket_accept_now(int fd, int *ret_fd)
{
    const int32_t accepted = world_socket_accept(socket_at(fd));

    if (accepted < 0)
        return accepted == WORLD_NOT_NOW ? -EAGAIN : accepted;
    *ret_fd = accepted;
    return 0;
}

int vine__socket_bind_local(int fd, const struct sockaddr *address, socklen_t size_bytes,
                            uint32_t mode)
{
    (void)fd, (void)address, (void)size_bytes, (void)mode;
    return -EAFNOSUPPORT;
}

void vine__socket_unlink(const struct sockaddr *address, uint64_t device, uint64_t inode)
{
    (void)address, (void)device, (void)inode;
}

void vine__socket_identify(const struct sockaddr *address, uint64_t *ret_device,
                           uint64_t *ret_inode)
{
    (void)address;
    *ret_device = 0;
    *ret_inode = 0;
}

int vine__socket_connect_datagrams(int fd, const struct sockaddr *address, socklen_t size_bytes)
{
    struct world_socket *const socket = socket_at(fd);

    memset(&socket->peer, 0, sizeof(socket->peer));
    memcpy(&socket->peer.any, address, size_bytes);
    socket->peer.size_bytes = size_bytes;
    return 0;
}

int vine__socket_shutdown(int fd, int how)
{
    struct world_socket *const socket = socket_at(fd);

    if (socket->kind != WORLD_SOCKET_STREAM || socket->is_dead)
        return -ENOTCONN;
    if (how != SHUT_RD)
        world_stream_shut(socket);
    return 0;
}

int vine__socket_get_credentials(int fd, struct vine__socket_credentials *ret_credentials,
                                 uint32_t *ret_groups, uint32_t groups_max)
{
    (void)fd, (void)ret_credentials, (void)ret_groups, (void)groups_max;
    return -EOPNOTSUPP;
}

static int tell(const struct world_address *address, struct sockaddr *ret_address,
                socklen_t room_bytes, uint32_t *ret_size_bytes)
{
    if (address->size_bytes == 0 || address->size_bytes > room_bytes)
        return -ENOTCONN;
    memcpy(ret_address, &address->any, address->size_bytes);
    *ret_size_bytes = address->size_bytes;
    return 0;
}

int vine__socket_get_address(int fd, struct sockaddr *ret_address, socklen_t room_bytes,
                             uint32_t *ret_size_bytes)
{
    return tell(&socket_at(fd)->address, ret_address, room_bytes, ret_size_bytes);
}

int vine__socket_get_peer(int fd, struct sockaddr *ret_address, socklen_t room_bytes,
                          uint32_t *ret_size_bytes)
{
    return tell(&socket_at(fd)->peer, ret_address, room_bytes, ret_size_bytes);
}

int vine__socket_reserve(int *ret_fd)
{
    const int fd = world_descriptor_open(&(struct world_descriptor){0});

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

void vine__socket_close(int fd)
{
    world_descriptor_close(fd);
}
