/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/net/names.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <string.h>

static int error_of(int error)
{
    switch (error) {
    case EAI_NONAME:
    case EAI_NODATA:
    case EAI_ADDRFAMILY:
    case EAI_SERVICE:
    case EAI_FAIL:
        return -ENOENT;
    case EAI_AGAIN:
        return -EAGAIN;
    case EAI_MEMORY:
        return -ENOMEM;
    case EAI_SYSTEM:
        return errno > 0 ? -errno : -EIO;
    default:
        return -EIO;
    }
}

int vine__name_look_up(const char *host, uint16_t port, struct vine__name_address *ret_addresses,
                       uint32_t count_max)
{
    const struct addrinfo hints = {.ai_family = AF_UNSPEC, .ai_socktype = SOCK_STREAM};
    struct addrinfo *list;
    uint32_t count = 0;
    const int error = getaddrinfo(host, NULL, &hints, &list);

    if (error != 0)
        return error_of(error);
    for (const struct addrinfo *at = list; at != NULL && count < count_max; at = at->ai_next) {
        struct vine__name_address *const address = &ret_addresses[count];

        if ((at->ai_family != AF_INET && at->ai_family != AF_INET6) ||
            at->ai_addrlen > sizeof(address->ip6))
            continue;
        memcpy(&address->any, at->ai_addr, at->ai_addrlen);
        address->size_bytes = (uint32_t)at->ai_addrlen;
        if (at->ai_family == AF_INET)
            address->ip4.sin_port = htons(port);
        else
            address->ip6.sin6_port = htons(port);
        count++;
    }
    freeaddrinfo(list);
    return count > 0 ? (int)count : -ENOENT;
}
