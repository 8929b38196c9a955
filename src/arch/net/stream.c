/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/net/stream.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#define STANDARD_MAX 2 /* standard input, output and errors */

/* One of the two. */
struct end {
    struct stat status;
    int flags;
};

static int get_option(int fd, int name, int *ret_value)
{
    socklen_t size = sizeof(*ret_value);

    return getsockopt(fd, SOL_SOCKET, name, ret_value, &size) == 0 ? 0 : -errno;
}

static int look(int fd, int unwanted_mode, struct end *end)
{
    int type = SOCK_STREAM;
    int listens = 0;
    int error = 0;

    end->flags = fcntl(fd, F_GETFL);
    if (end->flags < 0 || fstat(fd, &end->status) != 0)
        return -errno;
    if ((end->flags & O_ACCMODE) == unwanted_mode)
        return -EBADF;
    if (S_ISDIR(end->status.st_mode))
        return -EINVAL;
    if (S_ISSOCK(end->status.st_mode)) {
        error = get_option(fd, SO_TYPE, &type);
        if (error == 0)
            error = get_option(fd, SO_ACCEPTCONN, &listens);
    }
    return error != 0 ? error : (type != SOCK_STREAM || listens != 0 ? -EINVAL : 0);
}

/* A number of ours for it. */
static int copy(int fd, int *ret_fd)
{
    *ret_fd = fcntl(fd, F_DUPFD_CLOEXEC, STANDARD_MAX + 1);
    return *ret_fd >= 0 ? 0 : -errno;
}

static void leave(int fd, int nothing)
{
    if (fd > STANDARD_MAX || nothing < 0 || dup2(nothing, fd) < 0)
        (void)close(fd);
}

/* Without a reader, a pipe answers with EPIPE. */
static void block_signal(void)
{
    sigset_t set;

    (void)sigemptyset(&set);
    (void)sigaddset(&set, SIGPIPE);
    (void)pthread_sigmask(SIG_BLOCK, &set, NULL);
}

static void describe(const struct end *in, const struct end *out, struct vine__stream *stream)
{
    const bool is_same =
        in->status.st_dev == out->status.st_dev && in->status.st_ino == out->status.st_ino;
    int domain = 0;

    stream->is_out_socket = S_ISSOCK(out->status.st_mode);
    stream->is_socket = is_same && stream->is_out_socket;
    stream->is_out_special = S_ISCHR(out->status.st_mode);
    if (stream->is_socket && get_option(stream->out, SO_DOMAIN, &domain) == 0)
        stream->is_local = domain == AF_UNIX;
}

int vine__stream_take(int fd_in, int fd_out, struct vine__stream *ret_stream)
{
    struct vine__stream stream = {.in = -1, .out = -1};
    struct end in, out;
    int error = look(fd_in, O_WRONLY, &in);

    if (error == 0)
        error = look(fd_out, O_RDONLY, &out);
    if (error == 0)
        error = copy(fd_in, &stream.in);
    if (error == 0)
        error = copy(fd_out, &stream.out);
    if (error != 0) {
        if (stream.in >= 0)
            (void)close(stream.in);
        return error;
    }
    describe(&in, &out, &stream);
    if ((in.flags & O_NONBLOCK) != 0)
        (void)fcntl(stream.in, F_SETFL, in.flags & ~O_NONBLOCK);
    if ((out.flags & O_NONBLOCK) != 0)
        (void)fcntl(stream.out, F_SETFL, out.flags & ~O_NONBLOCK);
    block_signal();

    const int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

    leave(fd_in, nothing);
    if (fd_out != fd_in)
        leave(fd_out, nothing);
    if (nothing > STANDARD_MAX)
        (void)close(nothing);
    if (stream.is_socket) {
        (void)close(stream.out);
        stream.out = stream.in;
    }
    *ret_stream = stream;
    return 0;
}
