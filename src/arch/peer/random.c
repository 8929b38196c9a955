/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/random.h"

#include <errno.h>
#include <stdint.h>
#include <sys/random.h>

int vine__random_bytes(void *buffer, size_t size_bytes)
{
    uint8_t *next = buffer;
    while (size_bytes > 0) {
        const ssize_t got = getrandom(next, size_bytes, 0);
        if (got < 0) {
            if (errno == EINTR)
                continue;
            return -errno;
        }
        next += got;
        size_bytes -= (size_t)got;
    }
    return 0;
}
