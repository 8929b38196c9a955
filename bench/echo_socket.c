/* SPDX-License-Identifier: Apache-2.0 */
#include "echo_socket.h"

#include "bench.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <sys/socket.h>

int echo_listen(int flags)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(address);
    const int one = 1;
    const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | flags, 0);

    bench_require(fd >= 0 && setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) == 0 &&
                      bind(fd, (struct sockaddr *)&address, sizeof(address)) == 0 &&
                      listen(fd, 4096) == 0 &&
                      getsockname(fd, (struct sockaddr *)&address, &size) == 0,
                  "listen");
    printf("listening at 127.0.0.1:%u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}
