/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/console/console.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

static bool is_file(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 && S_ISREG(status.st_mode);
}

/* Files are written to at once, or nearly; of the rest poll(2) knows. */
static int write_if_there_is_room(int fd, const char *text, size_t size_bytes)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};
    ssize_t written;

    if (poll(&look, 1, 0) != 1 || (look.revents & (POLLOUT | POLLERR | POLLHUP)) == 0)
        return -EAGAIN;
    do
        written = write(fd, text, size_bytes);
    while (written < 0 && errno == EINTR);
    return written < 0 ? -errno : 0;
}

static int write_at_once(int fd, const char *text, size_t size_bytes)
{
    const struct iovec vector = {.iov_base = (void *)(uintptr_t)text, .iov_len = size_bytes};

    if (pwritev2(fd, &vector, 1, -1, RWF_NOWAIT) >= 0)
        return 0; /* a socket may have taken a part; the rest has no place to wait in */
    if (errno == EOPNOTSUPP || errno == ENOSYS || errno == EINVAL ||
        (errno == EAGAIN && is_file(fd)))
        return write_if_there_is_room(fd, text, size_bytes);
    return -errno;
}

void vine__console_wait(int fd, int timeout_ms)
{
    struct pollfd look = {.fd = fd, .events = POLLOUT};

    (void)poll(&look, 1, timeout_ms);
}

int vine__console_write(int fd, const char *text, size_t size_bytes)
{
    const struct timespec at_once = {0};
    sigset_t pipe_signal, before, pending;
    int error;

    if (size_bytes > VINE__CONSOLE_BYTES_MAX)
        return -EINVAL;
    /* A pipe without a reader must not end a program that only wants to say something. The signal
     * would come to this thread: kept away, and taken if it was not there before. */
    (void)sigemptyset(&pipe_signal);
    (void)sigaddset(&pipe_signal, SIGPIPE);
    (void)sigpending(&pending);
    (void)pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
    error = write_at_once(fd, text, size_bytes);
    if (error == -EPIPE && sigismember(&pending, SIGPIPE) == 0)
        (void)sigtimedwait(&pipe_signal, NULL, &at_once);
    (void)pthread_sigmask(SIG_SETMASK, &before, NULL);
    return error;
}
