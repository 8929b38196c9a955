/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/wake/eventfd.h"

#include <errno.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/uio.h>
#include <unistd.h>

int vine__eventfd_create(int *ret_fd)
{
    const int fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (fd < 0)
        return -errno;
    *ret_fd = fd;
    return 0;
}

int vine__eventfd_signal(int fd)
{
    const uint64_t one = 1;
    for (;;) {
        if (write(fd, &one, sizeof(one)) == (ssize_t)sizeof(one))
            return 0;
        if (errno == EAGAIN)
            return 0;
        if (errno != EINTR)
            return -errno;
    }
}

/* A read that does not sleep even if another holder made the descriptor a blocking one. */
static ssize_t read_now(int fd, uint64_t *count)
{
    const struct iovec into = {.iov_base = count, .iov_len = sizeof(*count)};
    const ssize_t size = preadv2(fd, &into, 1, -1, RWF_NOWAIT);
    if (size >= 0 || (errno != EOPNOTSUPP && errno != ENOSYS))
        return size;
    /* Kernels before 5.8. We are the only reader, so that what poll says stays true. */
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN};
    const int ready = poll(&poll_fd, 1, 0);
    if (ready < 0)
        return -1;
    if (ready == 0) {
        errno = EAGAIN;
        return -1;
    }
    return read(fd, count, sizeof(*count));
}

int vine__eventfd_drain(int fd, uint64_t *ret_count)
{
    uint64_t count;
    for (;;) {
        const ssize_t size = read_now(fd, &count);
        if (size == (ssize_t)sizeof(count)) {
            *ret_count = count;
            return 0;
        }
        if (size >= 0)
            return -EINVAL; /* not an eventfd */
        if (errno != EINTR)
            return -errno;
    }
}
