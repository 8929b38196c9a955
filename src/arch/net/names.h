/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/net/names.h - the system's resolver.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: for as long as name servers take to answer, or do not.
 * Trust:    what comes is cut to the room that there is.
 * Limits:   IPv4 and IPv6.
 */
#ifndef VINE_ARCH_NET_NAMES_H
#define VINE_ARCH_NET_NAMES_H

#include <netinet/in.h>
#include <stdint.h>

#include <vine/base.h>

#define VINE__NAME_BYTES 256U /* of a host, with its zero */

struct vine__name_address {
    union {
        struct sockaddr any;
        struct sockaddr_in ip4;
        struct sockaddr_in6 ip6;
    };
    uint32_t size_bytes;
};

/* The addresses of a host for streams, the best one first, with this port. Returns how many;
 * -ENOENT: there is no such host; -EAGAIN: that cannot be told now; -ENOMEM; -EIO. */
VINE_MUST_CHECK int vine__name_look_up(const char *host, uint16_t port,
                                       struct vine__name_address *ret_addresses,
                                       uint32_t count_max);

#endif
