/* SPDX-License-Identifier: Apache-2.0 */
/*
 * doorbell_socket.c - a doorbell for a process of the host: to its server, one more QEMU.
 */
#include "arch/wake/doorbell_internal.h"

#include "arch/clock/clock.h"
#include "arch/wake/ivshmem_protocol.h"
#include "utils/bits.h"

#include <vine/error.h>

#include <endian.h>
#include <errno.h>
#include <poll.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

/* What a server can have to say at once: everything about everybody, and that all have left. */
#define MESSAGES_PER_UPDATE (VINE__DOORBELL_PEERS_MAX * (VINE__DOORBELL_VECTORS_MAX + 1))

static void close_fd(int *fd)
{
    if (*fd >= 0)
        (void)close(*fd);
    *fd = -1;
}

static struct vine__doorbell_peer *find_peer(struct vine__doorbell *doorbell, uint32_t id)
{
    for (uint32_t i = 0; i < VINE__DOORBELL_PEERS_MAX; i++)
        if (doorbell->peers[i].event_count > 0 && doorbell->peers[i].id == id)
            return &doorbell->peers[i];
    return NULL;
}

static void forget_peer(struct vine__doorbell_peer *peer)
{
    for (uint32_t i = 0; i < peer->event_count; i++)
        (void)close(peer->events[i]);
    peer->event_count = 0;
}

/* One more vector of somebody. Returns whether the descriptor was kept. */
static bool add_event(struct vine__doorbell *doorbell, uint32_t id, int fd)
{
    struct vine__doorbell_peer *peer = find_peer(doorbell, id);

    for (uint32_t i = 0; i < VINE__DOORBELL_PEERS_MAX && peer == NULL; i++)
        if (doorbell->peers[i].event_count == 0)
            peer = &doorbell->peers[i];
    if (peer == NULL || peer->event_count == VINE__DOORBELL_VECTORS_MAX)
        return false;
    peer->id = id;
    peer->events[peer->event_count++] = fd;
    return true;
}

/* A whole message. A descriptor that is kept becomes -1. Returns 0 or -VINE_EPROTOCOL. */
static int take(struct vine__doorbell *doorbell, int64_t message, int *fd)
{
    if (message < VINE_IVSHMEM_MEMORY || message >= (int64_t)VINE_IVSHMEM_IDS)
        return -VINE_EPROTOCOL;
    switch (doorbell->said) {
    case 0:
        if (message != VINE_IVSHMEM_VERSION || *fd >= 0)
            return -VINE_EPROTOCOL;
        break;
    case 1:
        if (message < 0 || *fd >= 0)
            return -VINE_EPROTOCOL;
        doorbell->self = (uint32_t)message;
        break;
    case 2:
        if (message != VINE_IVSHMEM_MEMORY || *fd < 0)
            return -VINE_EPROTOCOL;
        close_fd(fd); /* nobody reads it */
        break;
    default:
        if (message < 0)
            return -VINE_EPROTOCOL;
        if ((uint32_t)message == doorbell->self) {
            if (*fd < 0 || doorbell->vector_count == VINE__DOORBELL_VECTORS_MAX)
                return -VINE_EPROTOCOL;
            doorbell->events[doorbell->vector_count++] = *fd;
            *fd = -1;
        } else if (*fd >= 0) {
            if (!add_event(doorbell, (uint32_t)message, *fd))
                return -VINE_EPROTOCOL;
            *fd = -1;
        } else {
            struct vine__doorbell_peer *const peer = find_peer(doorbell, (uint32_t)message);
            if (peer != NULL)
                forget_peer(peer);
        }
        return 0;
    }
    doorbell->said++;
    return 0;
}

/* Returns whether there was none, or the first of this message; others are closed. */
static bool keep_descriptor(struct vine__doorbell *doorbell, struct msghdr *header)
{
    bool is_good = true;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        for (size_t at = CMSG_LEN(0); at + sizeof(int) <= part->cmsg_len; at += sizeof(int)) {
            int fd;

            memcpy(&fd, (const char *)part + at, sizeof(fd));
            if (doorbell->partial_fd >= 0) {
                (void)close(fd);
                is_good = false;
            } else {
                doorbell->partial_fd = fd;
            }
        }
    }
    return is_good;
}

/* The bytes that are there of the next message. Returns 0 when it is whole, -EAGAIN when there are
 * none, or another negative error. */
static int receive(struct vine__doorbell *doorbell)
{
    union {
        char bytes[CMSG_SPACE(sizeof(int))];
        struct cmsghdr align;
    } control;

    while (doorbell->partial_bytes < sizeof(doorbell->partial)) {
        struct iovec part = {.iov_base = doorbell->partial + doorbell->partial_bytes,
                             .iov_len = sizeof(doorbell->partial) - doorbell->partial_bytes};
        struct msghdr header = {.msg_iov = &part,
                                .msg_iovlen = 1,
                                .msg_control = control.bytes,
                                .msg_controllen = sizeof(control.bytes)};
        const ssize_t size = recvmsg(doorbell->socket_fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

        if (size < 0 && errno == EINTR)
            continue;
        if (size < 0)
            return errno == ECONNRESET ? -VINE_EPEERLOST : -errno;
        if (!keep_descriptor(doorbell, &header))
            return -VINE_EPROTOCOL;
        if ((header.msg_flags & MSG_CTRUNC) != 0)
            return -VINE_EPROTOCOL;
        if (size == 0)
            return -VINE_EPEERLOST;
        doorbell->partial_bytes += (uint32_t)size;
    }
    return 0;
}

static int take_news(struct vine__doorbell *doorbell)
{
    for (uint32_t i = 0; i < MESSAGES_PER_UPDATE; i++) {
        int64_t message;
        int error = receive(doorbell);

        if (error == -EAGAIN)
            return 0;
        if (error == 0) {
            memcpy(&message, doorbell->partial, sizeof(message));
            error = take(doorbell, (int64_t)le64toh((uint64_t)message), &doorbell->partial_fd);
        }
        close_fd(&doorbell->partial_fd);
        doorbell->partial_bytes = 0;
        if (error != 0)
            return error;
    }
    return 0;
}

static int update(struct vine__doorbell *doorbell)
{
    (void)pthread_mutex_lock(&doorbell->lock);
    const int error = take_news(doorbell);
    (void)pthread_mutex_unlock(&doorbell->lock);
    return error;
}

/* Until all has been said that a server says first. */
static int open_socket(struct vine__doorbell *doorbell,
                       const struct vine__doorbell_options *options)
{
    struct pollfd poll_fd = {.fd = options->socket_fd, .events = POLLIN};
    uint64_t deadline_ns = VINE_FOREVER;

    if (options->vector_count == 0 || options->vector_count > VINE__DOORBELL_VECTORS_MAX)
        return -EINVAL;
    doorbell->peers = calloc(VINE__DOORBELL_PEERS_MAX, sizeof(*doorbell->peers));
    if (doorbell->peers == NULL)
        return -ENOMEM;
    /* QEMU has what we ring its guest by, and a guest may have broken out into it. */
    const int unsafe = vine__signaller_open(&doorbell->signaller);
    if (unsafe != 0)
        return vine__doorbell_refuse(options, unsafe, "nobody can be rung without waiting: %s",
                                     vine_error_text(unsafe));
    doorbell->socket_fd = options->socket_fd;
    (void)pthread_mutex_init(&doorbell->lock, NULL);
    (void)vine__add_overflows_u64(vine__clock_now_ns(), options->timeout_ns, &deadline_ns);
    for (;;) {
        const int error = update(doorbell);
        if (error != 0)
            return vine__doorbell_refuse(options, error, "the server of bells: %s",
                                         vine_error_text(error));
        if (doorbell->vector_count >= options->vector_count)
            return 0;

        const uint64_t now_ns = vine__clock_now_ns();
        if (now_ns >= deadline_ns)
            return vine__doorbell_refuse(options, -ETIMEDOUT,
                                         "the server of bells has said %u of %u vectors in time",
                                         doorbell->vector_count, options->vector_count);
        const struct timespec left = {
            .tv_sec = (time_t)((deadline_ns - now_ns) / VINE_NS_PER_SECOND),
            .tv_nsec = (long)((deadline_ns - now_ns) % VINE_NS_PER_SECOND)};
        if (ppoll(&poll_fd, 1, deadline_ns == VINE_FOREVER ? NULL : &left, NULL) < 0 &&
            errno != EINTR)
            return -errno;
    }
}

static int ring(struct vine__doorbell *doorbell, uint32_t id, uint32_t vector)
{
    int error = -ENOENT;

    (void)pthread_mutex_lock(&doorbell->lock);
    const struct vine__doorbell_peer *peer = find_peer(doorbell, id);

    if (peer == NULL || vector >= peer->event_count) {
        (void)take_news(doorbell); /* it may have joined since; if not, that is said below */
        peer = find_peer(doorbell, id);
    }
    if (peer != NULL && vector < peer->event_count)
        error = vine__signaller_signal(&doorbell->signaller, peer->events[vector]);
    (void)pthread_mutex_unlock(&doorbell->lock);
    return error;
}

static void close_socket(struct vine__doorbell *doorbell)
{
    if (doorbell->peers != NULL)
        for (uint32_t i = 0; i < VINE__DOORBELL_PEERS_MAX; i++)
            forget_peer(&doorbell->peers[i]);
    free(doorbell->peers);
    vine__signaller_close(&doorbell->signaller);
    close_fd(&doorbell->partial_fd);
    close_fd(&doorbell->socket_fd);
}

const struct vine__doorbell_ops vine__doorbell_socket_ops = {
    .open = open_socket,
    .ring = ring,
    .update = update,
    .close = close_socket,
};
