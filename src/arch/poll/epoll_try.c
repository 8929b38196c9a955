/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Each kind of operation on a descriptor, tried once and without waiting, though the descriptor is
 * a blocking one. Sockets have a flag for that, and so have many reads and writes; else the
 * descriptor is made a non-blocking one for the moment, which whoever shares it may notice.
 */
#include "arch/poll/epoll_internal.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/uio.h>
#include <unistd.h>

/* Begins what may wait, and says so if it would have to. */
static int leave_blocking(int fd, int *ret_flags)
{
    const int flags = fcntl(fd, F_GETFL);

    if (flags < 0)
        return -errno;
    if ((flags & O_NONBLOCK) == 0 && fcntl(fd, F_SETFL, flags | O_NONBLOCK) != 0)
        return -errno;
    *ret_flags = flags;
    return 0;
}

static void restore_blocking(int fd, int flags)
{
    if ((flags & O_NONBLOCK) == 0)
        (void)fcntl(fd, F_SETFL, flags);
}

static int32_t result_of(ssize_t result)
{
    if (result >= 0)
        return (int32_t)result;
    return errno == EAGAIN || errno == EINTR ? VINE__EPOLL_NOT_NOW : -errno;
}

static ssize_t transfer(const struct vine__operation *operation, const struct iovec *vector,
                        int count, int flags)
{
    const bool is_read = operation->kind == VINE__POLL_READ || operation->kind == VINE__POLL_READV;

    return is_read ? preadv2(operation->fd, vector, count, -1, flags)
                   : pwritev2(operation->fd, vector, count, -1, flags);
}

/* Reads and writes of what is no file: there is no offset. */
static int32_t try_transfer(const struct vine__operation *operation)
{
    const struct iovec whole = {.iov_base = operation->bytes, .iov_len = operation->size};
    const bool is_vector =
        operation->kind == VINE__POLL_READV || operation->kind == VINE__POLL_WRITEV;
    const struct iovec *vector = is_vector ? operation->vector : &whole;
    const int count = is_vector ? (int)operation->size : 1;
    int flags = 0;
    ssize_t result = transfer(operation, vector, count, RWF_NOWAIT);

    if (result >= 0 || errno != EOPNOTSUPP)
        return result_of(result);

    const int error = leave_blocking(operation->fd, &flags);

    if (error != 0)
        return error;
    const int32_t outcome = result_of(transfer(operation, vector, count, 0));

    restore_blocking(operation->fd, flags);
    return outcome;
}

/* A listener that is not ready must not hold us, though it said that it was: it stays non-blocking.
 * What it accepts is not. */
static int32_t try_accept(const struct vine__operation *operation)
{
    int flags;
    const int error = leave_blocking(operation->fd, &flags);

    if (error != 0)
        return error;
    const int fd = accept4(operation->fd, NULL, NULL, (int)operation->flags);

    return result_of(fd);
}

static int32_t try_connect(struct vine__operation *operation)
{
    struct pollfd ready = {.fd = operation->fd, .events = POLLOUT};
    socklen_t size = sizeof(int);
    int error;
    int flags = 0;

    if (operation->result == 0) {
        error = leave_blocking(operation->fd, &flags);
        if (error != 0)
            return error;
        error = connect(operation->fd, operation->address, operation->size) == 0 ? 0 : -errno;
        restore_blocking(operation->fd, flags);
        if (error != -EINPROGRESS)
            return error;
        operation->result = 1; /* it is on its way */
    }
    if (poll(&ready, 1, 0) <= 0)
        return VINE__EPOLL_NOT_NOW;
    if (getsockopt(operation->fd, SOL_SOCKET, SO_ERROR, &error, &size) != 0)
        return -errno;
    return -error;
}

static bool is_datagram(int fd)
{
    int type = 0;
    socklen_t size = sizeof(type);

    return getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) == 0 && type == SOCK_DGRAM;
}

/* Send or receive; with MSG_WAITALL on a stream until all of it has gone or come, which `result`
 * counts. */
static int32_t try_stream(struct vine__operation *operation)
{
    const bool is_receive = operation->kind == VINE__POLL_RECEIVE;
    const bool is_all = (operation->flags & MSG_WAITALL) != 0;
    const int flags = (int)(operation->flags & ~(uint32_t)MSG_WAITALL) | MSG_DONTWAIT;

    for (;;) {
        const uint32_t done = (uint32_t)operation->result;
        unsigned char *bytes = (unsigned char *)operation->bytes + done;
        const uint32_t size = operation->size - done;
        const int32_t result =
            result_of(is_receive ? recv(operation->fd, bytes, size, flags)
                                 : send(operation->fd, bytes, size, flags | MSG_NOSIGNAL));

        if (result == VINE__EPOLL_NOT_NOW && (operation->flags & MSG_DONTWAIT) == 0)
            return result;
        if (result <= 0)
            return done > 0 ? (int32_t)done : (result == VINE__EPOLL_NOT_NOW ? -EAGAIN : result);
        if (!is_all || (uint32_t)result == size || is_datagram(operation->fd))
            return (int32_t)(done + (uint32_t)result);
        operation->result += result;
    }
}

static int32_t try_receive_provided(struct vine__operation *operation, uint32_t *ret_flags)
{
    struct vine__poll_buffers *buffers = operation->buffers;
    uint16_t index;

    if (!vine__poll_buffers_take(buffers, &index))
        return -ENOBUFS;
    const int32_t result =
        result_of(recv(operation->fd, vine__poll_buffer(buffers, index), buffers->size_bytes,
                       (int)operation->flags | MSG_DONTWAIT));

    if (result <= 0) {
        vine__poll_buffers_untake(buffers);
        return result;
    }
    operation->buffer = index;
    *ret_flags = VINE__POLL_MORE | VINE__POLL_BUFFER;
    return result;
}

static int32_t try_message(const struct vine__operation *operation)
{
    const int flags = (int)operation->flags | MSG_DONTWAIT;
    const int32_t result =
        result_of(operation->kind == VINE__POLL_RECEIVE_MESSAGE
                      ? recvmsg(operation->fd, operation->message, flags)
                      : sendmsg(operation->fd, operation->message, flags | MSG_NOSIGNAL));

    if (result == VINE__EPOLL_NOT_NOW && (operation->flags & MSG_DONTWAIT) != 0)
        return -EAGAIN;
    return result;
}

static int32_t try_ready(const struct vine__operation *operation)
{
    struct pollfd ready = {.fd = operation->fd, .events = (short)operation->flags};

    if (poll(&ready, 1, 0) <= 0)
        return VINE__EPOLL_NOT_NOW;
    return (ready.revents & POLLNVAL) != 0 ? -EBADF : ready.revents;
}

int32_t vine__epoll_try(struct vine__operation *operation, uint32_t *ret_flags)
{
    int32_t result;

    *ret_flags = 0;
    switch (operation->kind) {
    case VINE__POLL_ACCEPT:
        result = try_accept(operation);
        break;
    case VINE__POLL_CONNECT:
        return try_connect(operation);
    case VINE__POLL_RECEIVE:
        if (operation->is_multishot)
            return try_receive_provided(operation, ret_flags);
        return try_stream(operation);
    case VINE__POLL_SEND:
        return try_stream(operation);
    case VINE__POLL_RECEIVE_MESSAGE:
    case VINE__POLL_SEND_MESSAGE:
        return try_message(operation);
    case VINE__POLL_READY:
        result = try_ready(operation);
        break;
    default:
        return try_transfer(operation);
    }
    if (operation->is_multishot && result >= 0)
        *ret_flags = VINE__POLL_MORE;
    return result;
}
