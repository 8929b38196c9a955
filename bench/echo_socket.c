/* SPDX-License-Identifier: Apache-2.0 */
#include "echo_socket.h"

#include "bench.h"
#include "loopback.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <sys/socket.h>

int echo_listen(int flags)
{
    const int fd = loopback_listen(0, flags);
    struct sockaddr_in address;
    socklen_t size = sizeof(address);

    bench_require(getsockname(fd, (struct sockaddr *)&address, &size) == 0, "getsockname");
    printf("listening at 127.0.0.1:%u\n", ntohs(address.sin_port));
    (void)fflush(stdout);
    return fd;
}
