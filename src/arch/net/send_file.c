/* SPDX-License-Identifier: Apache-2.0 */
/* Files by sockets: apart from socket.c, for which a simulated network stands in. */
#include "arch/net/socket.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/sendfile.h>

int64_t vine__socket_send_file(int fd, int file_fd, uint64_t offset, size_t size)
{
    off_t at = (off_t)offset;

    /* There is no flag that says so of one call. */
    if (fcntl(fd, F_SETFL, O_NONBLOCK) != 0)
        return -errno;
    const ssize_t sent = sendfile(fd, file_fd, &at, size);
    const int error = errno;

    (void)fcntl(fd, F_SETFL, 0);
    return sent < 0 ? -error : sent;
}
