/* SPDX-License-Identifier: Apache-2.0 */
#include "loopback.h"

#include "bench.h"

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

struct sockaddr_in loopback_address(uint32_t port)
{
    return (struct sockaddr_in){.sin_family = AF_INET,
                                .sin_port = htons((uint16_t)port),
                                .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

uint32_t loopback_find_port(void)
{
    struct sockaddr_in address = loopback_address(0);
    socklen_t size = sizeof(address);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    bench_require(fd >= 0 && bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                      getsockname(fd, (struct sockaddr *)&address, &size) == 0,
                  "a port");
    (void)close(fd);
    return ntohs(address.sin_port);
}

int loopback_listen(uint32_t port, int flags)
{
    const struct sockaddr_in address = loopback_address(port);
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    bench_require(fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
                      setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) == 0 &&
                      bind(fd, (const struct sockaddr *)&address, sizeof(address)) == 0 &&
                      listen(fd, 4096) == 0,
                  "listen");
    return fd;
}

int loopback_connect(uint32_t port)
{
    const struct sockaddr_in address = loopback_address(port);
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

    if (fd < 0 || connect(fd, (const struct sockaddr *)&address, sizeof(address)) == 0)
        return fd;
    (void)close(fd);
    return -1;
}
