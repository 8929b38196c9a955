/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Idle connections for the servers of bench_serve: CONNECTIONS of them from 127.0.0.ADDRESS and
 * those that follow it, one after the other, each of which asks TIMES times. Then it says "ready",
 * and keeps them until its standard input ends. One process has as many as it may have descriptors.
 *
 *     peer_serve_idle PORT CONNECTIONS ADDRESS TIMES WHAT
 */
#include "asking.h"
#include "bench.h"
#include "server.h"

#include <stdio.h>
#include <stdlib.h>

#define PER_ADDRESS 5000 /* of them: the kernel looks long for a port where most are taken */

int main(int argument_count, char **arguments)
{
    struct asking asking;

    bench_require(argument_count == 6, "PORT CONNECTIONS ADDRESS TIMES WHAT");
    const uint32_t port = (uint32_t)strtoul(arguments[1], NULL, 10);
    const uint32_t count = (uint32_t)strtoul(arguments[2], NULL, 10);
    const uint32_t address = (uint32_t)strtoul(arguments[3], NULL, 10);
    const uint32_t times = (uint32_t)strtoul(arguments[4], NULL, 10);

    (void)server_raise_descriptors();
    asking_set(&asking, arguments[5]);
    asking_learn(&asking, port);
    for (uint32_t i = 0; i < count; i++) {
        const int fd = asking_connect(port, address + i / PER_ADDRESS);

        for (uint32_t time = 0; time < times; time++)
            asking_once(&asking, fd);
    }
    puts("ready");
    (void)fflush(stdout);
    while (getchar() != EOF)
        ;
    return 0;
}
