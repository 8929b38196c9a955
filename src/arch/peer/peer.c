/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/peer.h"

#include "arch/clock/clock.h"
#include "arch/peer/peer_internal.h"
#include "utils/assert.h"
#include "utils/bits.h"

#include <vine/error.h>

#include <errno.h>
#include <stdbool.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

/* The kernel passes at most this many descriptors in one message (SCM_MAX_FD). Room for all of
 * them means that none is lost in a truncation, and that we can close them ourselves. */
#define KERNEL_FDS_MAX 253

/* Since Linux 6.5; Debian 12's headers do not have it. */
#ifndef SO_PEERPIDFD
#define SO_PEERPIDFD 77
#endif

VINE_STATIC_ASSERT(sizeof(((struct sockaddr_un *)0)->sun_path) == VINE__PEER_PATH_BYTES,
                   "a listener's path is a socket's path");
VINE_STATIC_ASSERT(VINE__PEER_FDS_MAX <= KERNEL_FDS_MAX, "a message of ours can be sent");

int vine__peer_address(const char *path, struct sockaddr_un *ret_address)
{
    const size_t length = strlen(path);
    if (length == 0)
        return -EINVAL;
    if (length >= sizeof(ret_address->sun_path))
        return -ENAMETOOLONG;
    *ret_address = (struct sockaddr_un){.sun_family = AF_UNIX};
    memcpy(ret_address->sun_path, path, length);
    return 0;
}

uint64_t vine__peer_deadline(uint64_t timeout_ns)
{
    uint64_t deadline_ns = VINE_FOREVER;
    if (timeout_ns == 0)
        return 0;
    (void)vine__add_overflows_u64(vine__clock_now_ns(), timeout_ns, &deadline_ns);
    return deadline_ns;
}

int vine__peer_poll(int fd, short events, uint64_t deadline_ns)
{
    struct pollfd poll_fd = {.fd = fd, .events = events};
    for (;;) {
        if (deadline_ns == 0)
            return -EAGAIN;
        struct timespec timeout = {0};
        const uint64_t now_ns = vine__clock_now_ns();
        if (now_ns >= deadline_ns)
            return -EAGAIN;
        timeout.tv_sec = (time_t)((deadline_ns - now_ns) / VINE_NS_PER_SECOND);
        timeout.tv_nsec = (long)((deadline_ns - now_ns) % VINE_NS_PER_SECOND);
        const int ready = ppoll(&poll_fd, 1, deadline_ns == VINE_FOREVER ? NULL : &timeout, NULL);
        if (ready > 0)
            return 0;
        if (ready < 0 && errno != EINTR)
            return -errno;
    }
}

int vine__peer_connect(const char *path, uint64_t timeout_ns, int *ret_fd)
{
    struct sockaddr_un address;
    int error = vine__peer_address(path, &address);
    if (error != 0)
        return error;
    const uint64_t deadline_ns = vine__peer_deadline(timeout_ns);
    /* Blocking while it connects: a non-blocking one is told EAGAIN when the queue is full, and
     * there is nothing to poll for. */
    const int type = SOCK_SEQPACKET | SOCK_CLOEXEC | (timeout_ns == 0 ? SOCK_NONBLOCK : 0);
    const int fd = socket(AF_UNIX, type, 0);
    if (fd < 0)
        return -errno;
    for (;;) {
        if (deadline_ns != 0 && deadline_ns != VINE_FOREVER) {
            const uint64_t now_ns = vine__clock_now_ns();
            if (now_ns >= deadline_ns) {
                error = -ETIMEDOUT;
                break;
            }
            /* Rounded up: 0 would mean for ever. */
            const uint64_t left_us = (deadline_ns - now_ns) / 1000 + 1;
            const struct timeval left = {.tv_sec = (time_t)(left_us / 1000000),
                                         .tv_usec = (suseconds_t)(left_us % 1000000)};
            if (setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &left, sizeof(left)) != 0) {
                error = -errno;
                break;
            }
        }
        if (connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0) {
            *ret_fd = fd;
            return 0;
        }
        if (errno != EINTR) {
            error = errno == EAGAIN ? -ETIMEDOUT : -errno;
            break;
        }
    }
    close(fd);
    return error;
}

int vine__peer_check(int fd)
{
    int value;
    socklen_t size = sizeof(value);
    if (getsockopt(fd, SOL_SOCKET, SO_DOMAIN, &value, &size) != 0)
        return -errno;
    if (value != AF_UNIX)
        return -EAFNOSUPPORT;
    size = sizeof(value);
    if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &size) != 0)
        return -errno;
    return value == SOCK_SEQPACKET ? 0 : -EPROTOTYPE;
}

/* What a descriptor says when nobody is at its other end, in Vine's words. */
static int peer_error(int error)
{
    return error == EPIPE || error == ECONNRESET || error == ENOTCONN ? -VINE_EPEERLOST : -error;
}

int vine__peer_send(int fd, const void *bytes, size_t size_bytes, const int *fds, uint32_t fd_count,
                    uint64_t timeout_ns)
{
    /* An empty message would look like a close. */
    if (size_bytes == 0 || fd_count > VINE__PEER_FDS_MAX)
        return -EINVAL;

    union {
        char bytes[CMSG_SPACE(sizeof(int) * VINE__PEER_FDS_MAX)];
        struct cmsghdr align;
    } control;
    /* sendmsg reads only; its structure has no const. */
    struct iovec part = {.iov_base = (void *)(uintptr_t)bytes, .iov_len = size_bytes};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1};
    if (fd_count > 0) {
        memset(&control, 0, sizeof(control));
        header.msg_control = control.bytes;
        header.msg_controllen = CMSG_SPACE(sizeof(int) * fd_count);
        struct cmsghdr *first = CMSG_FIRSTHDR(&header);
        first->cmsg_level = SOL_SOCKET;
        first->cmsg_type = SCM_RIGHTS;
        first->cmsg_len = CMSG_LEN(sizeof(int) * fd_count);
        memcpy(CMSG_DATA(first), fds, sizeof(int) * fd_count);
    }

    const uint64_t deadline_ns = vine__peer_deadline(timeout_ns);
    for (;;) {
        const ssize_t sent = sendmsg(fd, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (sent >= 0) {
            VINE_ASSERT((size_t)sent == size_bytes);
            return 0;
        }
        if (errno == EINTR)
            continue;
        if (errno != EAGAIN)
            return peer_error(errno);
        const int error = vine__peer_poll(fd, POLLOUT, deadline_ns);
        if (error != 0)
            return error;
    }
}

static void take_sender(struct msghdr *header, struct vine__peer_message *message)
{
    struct ucred sender;

    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_CREDENTIALS ||
            part->cmsg_len != CMSG_LEN(sizeof(sender)))
            continue;
        memcpy(&sender, CMSG_DATA(part), sizeof(sender));
        message->has_sender = true;
        message->sender = (struct vine__peer_credentials){
            .pid = sender.pid, .uid = sender.uid, .gid = sender.gid};
    }
}

int vine__peer_ask_senders(int fd)
{
    const int on = 1;

    return setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) != 0 ? -errno : 0;
}

/* Take the descriptors out of a control block: the first `keep_max` into `fds`, the others closed.
 * Returns how many there were. */
static uint32_t take_fds(struct msghdr *header, int *fds, uint32_t keep_max)
{
    uint32_t count = 0;
    for (struct cmsghdr *part = CMSG_FIRSTHDR(header); part != NULL;
         part = CMSG_NXTHDR(header, part)) {
        if (part->cmsg_level != SOL_SOCKET || part->cmsg_type != SCM_RIGHTS)
            continue;
        const size_t bytes = part->cmsg_len - CMSG_LEN(0);
        for (size_t at = 0; at + sizeof(int) <= bytes; at += sizeof(int)) {
            int fd;
            memcpy(&fd, CMSG_DATA(part) + at, sizeof(fd));
            if (count < keep_max)
                fds[count] = fd;
            else
                close(fd);
            count++;
        }
    }
    return count;
}

int vine__peer_receive(int fd, struct vine__peer_message *message, uint64_t timeout_ns)
{
    VINE_ASSERT(message->fd_count_max <= VINE__PEER_FDS_MAX);
    VINE_ASSERT(message->capacity_bytes > 0);
    message->size_bytes = 0;
    message->fd_count = 0;
    message->has_sender = false;
    int error = vine__peer_check(fd);
    if (error != 0)
        return error;

    union {
        char bytes[CMSG_SPACE(sizeof(int) * KERNEL_FDS_MAX) + CMSG_SPACE(sizeof(struct ucred))];
        struct cmsghdr align;
    } control;
    struct iovec part = {.iov_base = message->bytes, .iov_len = message->capacity_bytes};
    struct msghdr header;
    ssize_t size;
    bool was_reset = false;
    const uint64_t deadline_ns = vine__peer_deadline(timeout_ns);
    for (;;) {
        header = (struct msghdr){.msg_iov = &part,
                                 .msg_iovlen = 1,
                                 .msg_control = control.bytes,
                                 .msg_controllen = sizeof(control.bytes)};
        size = recvmsg(fd, &header, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
        if (size >= 0)
            break;
        if (errno == EINTR)
            continue;
        /* The other side closed without reading all of ours. That is told once, before what it sent
         * last, which is still in our queue and may say why it closed. */
        if (errno == ECONNRESET && !was_reset) {
            was_reset = true;
            continue;
        }
        if (errno != EAGAIN)
            return peer_error(errno);
        error = vine__peer_poll(fd, POLLIN, deadline_ns);
        if (error != 0)
            return error;
    }

    const uint32_t came = take_fds(&header, message->fds, message->fd_count_max);
    message->fd_count = came < message->fd_count_max ? came : message->fd_count_max;
    if ((header.msg_flags & MSG_TRUNC) != 0 || came > message->fd_count_max)
        error = -VINE_EPROTOCOL;
    else if ((header.msg_flags & MSG_CTRUNC) != 0)
        error = -EMFILE; /* there was room for all: it is our table of descriptors that is full */
    else if (size == 0)
        error = came > 0 ? -VINE_EPROTOCOL : -VINE_EPEERLOST;
    else
        error = 0;
    if (error != 0) {
        vine__peer_message_close(message);
        return error;
    }
    message->size_bytes = (size_t)size;
    take_sender(&header, message);
    return 0;
}

void vine__peer_message_close(struct vine__peer_message *message)
{
    for (uint32_t i = 0; i < message->fd_count; i++)
        close(message->fds[i]);
    message->fd_count = 0;
}

int vine__peer_credentials(int fd, struct vine__peer_credentials *ret_credentials)
{
    struct ucred found;
    socklen_t size = sizeof(found);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &found, &size) != 0)
        return -errno;
    if (size != sizeof(found))
        return -EINVAL;
    *ret_credentials =
        (struct vine__peer_credentials){.pid = found.pid, .uid = found.uid, .gid = found.gid};
    return 0;
}

/* Clock ticks since boot, the unit of process start times. */
static uint64_t boot_ticks(void)
{
    struct timespec now;
    clock_gettime(CLOCK_BOOTTIME, &now);
    const uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
    return (uint64_t)now.tv_sec * hz + (uint64_t)now.tv_nsec * hz / VINE_NS_PER_SECOND;
}

int vine__peer_pidfd_by_number(const struct vine__peer_credentials *credentials, int *ret_pidfd)
{
    /* It lives where we do not see it; a number would be somebody else's. */
    if (credentials->pid <= 0)
        return -ENOSYS;
    /* A pid that was reused after this moment belongs to a process that started after it. */
    const uint64_t asked_ticks = boot_ticks();
    int pidfd;
    int error = vine__process_pidfd(credentials->pid, &pidfd);
    if (error != 0)
        return error == -ESRCH ? -VINE_EPEERLOST : error;

    uint64_t start_ticks;
    struct stat folder;
    char path[32];
    vine__process_folder(credentials->pid, path, sizeof(path));
    error = vine__process_start_time(credentials->pid, &start_ticks);
    if (error == -ESRCH)
        error = -VINE_EPEERLOST;
    else if (error == 0 && start_ticks > asked_ticks)
        error = -VINE_EPEERLOST;
    else if (error == 0 && stat(path, &folder) != 0)
        error = -VINE_EPEERLOST;
    else if (error == 0 && folder.st_uid != credentials->uid && folder.st_uid != 0)
        error = -VINE_EPEERLOST; /* root owns the folders of processes that are not dumpable */
    else if (error != 0)
        error = 0; /* no /proc to ask: the pidfd is as good as it gets */

    /* What /proc said is about our pidfd's process only if that still lives. */
    if (error == 0 && vine__peer_is_dead(pidfd) != 0)
        error = -VINE_EPEERLOST;
    if (error != 0) {
        close(pidfd);
        return error;
    }
    *ret_pidfd = pidfd;
    return 0;
}

int vine__peer_pidfd(int fd, int *ret_pidfd)
{
    int pidfd;
    socklen_t size = sizeof(pidfd);
    if (getsockopt(fd, SOL_SOCKET, SO_PEERPIDFD, &pidfd, &size) == 0) {
        const int dead = vine__peer_is_dead(pidfd);
        if (dead == 0) {
            *ret_pidfd = pidfd;
            return 0;
        }
        close(pidfd);
        return dead < 0 ? dead : -VINE_EPEERLOST;
    }
    /* The kernel has no pidfd of a process that was reaped. */
    if (errno == ESRCH || errno == EINVAL)
        return -VINE_EPEERLOST;
    if (errno != ENOPROTOOPT)
        return -errno;
    struct vine__peer_credentials credentials;
    const int error = vine__peer_credentials(fd, &credentials);
    if (error != 0)
        return error;
    return vine__peer_pidfd_by_number(&credentials, ret_pidfd);
}
