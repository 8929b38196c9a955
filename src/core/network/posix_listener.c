/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Listening on the kernel's sockets: a socket for each part that accepts, all of the same port; or
 * one that was given to us, from which all of them accept, and other processes perhaps.
 */
#include "core/network/posix_internal.h"

#include <errno.h>

#include "arch/guard/closed.h"
#include "arch/net/socket.h"

#define BACKLOG_DEFAULT 4096
#define MODE_DEFAULT    0600

struct posix_listener {
    uint64_t device, inode; /* of a Unix socket's name */
    struct posix_part parts[];
};

/* The first of a listener is bound as if it were to be the only one: so whoever has the port is
 * found out. The others share it. */
static int open_part(struct vine_listener *listener, const struct vine_listen_options *options,
                     bool is_first, int *ret_fd)
{
    const struct vine__socket_options wish = {
        .gathers_small_writes = options->gathers_small_writes,
        .is_ip6_only = options->is_ip6_only,
        .keepalive_s = options->keepalive_s,
        .receive_bytes = options->receive_bytes,
        .send_bytes = options->send_bytes,
    };
    const struct sockaddr *const address = &listener->address.any;
    const uint32_t size_bytes = listener->address.size_bytes;
    const bool is_shared = listener->balance == VINE_BALANCE_REUSE_PORT;
    int fd;
    int error = vine__socket_create(address->sa_family, SOCK_STREAM, &wish, &fd);

    if (error != 0)
        return error;
    if (!is_first)
        error = vine__socket_share_port(fd);
    if (error == 0 && address->sa_family == AF_UNIX)
        error = vine__socket_bind_local(fd, address, size_bytes,
                                        options->mode != 0 ? options->mode : MODE_DEFAULT);
    else if (error == 0)
        error = vine__socket_bind(fd, address, size_bytes);
    if (error == 0 && is_first && is_shared)
        error = vine__socket_share_port(fd);
    if (error == 0)
        error = vine__socket_listen(fd, options->backlog != 0 ? (int)options->backlog
                                                              : BACKLOG_DEFAULT);
    if (error == 0 && is_first)
        error =
            vine__socket_get_address(fd, &listener->address.any, sizeof(listener->address.local),
                                     &listener->address.size_bytes);
    if (error != 0)
        vine__socket_close(fd);
    else
        *ret_fd = fd;
    return error;
}

void vine__posix_unlisten(struct vine_listener *listener)
{
    struct posix_listener *const posix = listener->state;

    for (uint32_t i = 0; i < listener->part_count && listener->given < 0; i++)
        if (posix->parts[i].fd >= 0)
            vine__socket_close(posix->parts[i].fd);
    if (listener->given >= 0)
        vine__socket_close(listener->given);
    else if (listener->address.any.sa_family == AF_UNIX)
        vine__socket_unlink(&listener->address.any, posix->device, posix->inode);
    vine__closed_free(posix);
    listener->state = NULL;
}

/* Parts that accept: each, or that of the core which made the listener. */
static bool accepts(const struct vine_listener *listener, uint32_t index)
{
    return listener->balance == VINE_BALANCE_REUSE_PORT ||
           listener->parts[index].core == listener->network->core;
}

static void set_part(struct vine_listener *listener, uint32_t index)
{
    struct posix_listener *const posix = listener->state;
    struct vine__listener_part *const part = &listener->parts[index];

    posix->parts[index].part = part;
    part->state = &posix->parts[index];
    part->accepts = true;
}

static int open_parts(struct vine_listener *listener, const struct vine_listen_options *options)
{
    struct posix_listener *const posix = listener->state;
    bool is_first = true;

    for (uint32_t i = 0; i < listener->part_count; i++) {
        if (!accepts(listener, i))
            continue;
        const int error = open_part(listener, options, is_first, &posix->parts[i].fd);

        if (error != 0)
            return error;
        set_part(listener, i);
        is_first = false;
    }
    if (listener->address.any.sa_family == AF_UNIX)
        vine__socket_identify(&listener->address.any, &posix->device, &posix->inode);
    return 0;
}

static int adopt(struct vine_listener *listener, const struct vine_listen_options *options)
{
    struct posix_listener *const posix = listener->state;
    const struct vine__socket_options wish = {
        .gathers_small_writes = options->gathers_small_writes,
        .keepalive_s = options->keepalive_s,
        .receive_bytes = options->receive_bytes,
        .send_bytes = options->send_bytes,
    };
    int error = vine__socket_adopt_listener(listener->given, &wish);

    if (error == 0 && options->backlog != 0)
        error = vine__socket_listen(listener->given, (int)options->backlog);
    if (error == 0)
        error = vine__socket_get_address(listener->given, &listener->address.any,
                                         sizeof(listener->address.local),
                                         &listener->address.size_bytes);
    for (uint32_t i = 0; error == 0 && i < listener->part_count; i++) {
        if (!accepts(listener, i))
            continue;
        posix->parts[i].fd = listener->given;
        set_part(listener, i);
    }
    if (error != 0)
        listener->given = -1; /* it stays the caller's */
    return error;
}

int vine__posix_listen(struct vine_listener *listener, const struct vine_listen_options *options)
{
    struct posix_listener *const posix =
        vine__closed_alloc(sizeof(*posix) + listener->part_count * sizeof(posix->parts[0]));

    if (posix == NULL)
        return -ENOMEM;
    if (options->backlog > INT32_MAX) {
        vine__closed_free(posix);
        return -EINVAL;
    }
    listener->state = posix;
    for (uint32_t i = 0; i < listener->part_count; i++) {
        posix->parts[i].fd = -1;
        posix->parts[i].spare = -1;
    }
    const int error =
        listener->given >= 0 ? adopt(listener, options) : open_parts(listener, options);

    if (error != 0)
        vine__posix_unlisten(listener);
    return error;
}

void vine__posix_part_drop(struct vine__listener_part *part)
{
    struct posix_part *const posix = part->state;

    if (part->listener->given < 0)
        vine__socket_close(posix->fd);
    posix->fd = -1;
}
