/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/process/notify.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

int vine__notify(const char *where, const char *lines)
{
    const struct timeval patience = {.tv_sec = VINE__NOTIFY_PATIENCE_S};
    const size_t length = strlen(where);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int error = 0;

    if ((where[0] != '/' && where[0] != '@') || length < 2 || length >= sizeof(address.sun_path))
        return -EINVAL;
    memcpy(address.sun_path, where, length);
    if (where[0] == '@')
        address.sun_path[0] = '\0';
    const int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    if (fd < 0)
        return -errno;
    (void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
    if (sendto(fd, lines, strlen(lines), MSG_NOSIGNAL, (const struct sockaddr *)&address,
               (socklen_t)(offsetof(struct sockaddr_un, sun_path) + length)) < 0)
        error = -errno;
    (void)close(fd);
    return error;
}
