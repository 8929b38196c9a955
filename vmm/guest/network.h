/* SPDX-License-Identifier: Apache-2.0 */
/*
 * network.h - a static IPv4 address for an interface.
 */
#ifndef VINE_VMM_GUEST_NETWORK_H
#define VINE_VMM_GUEST_NETWORK_H

#include <stdint.h>

/* Read ADDRESS/PREFIX, both in network byte order. Returns 0 or -EINVAL. */
int network_parse(const char *text, uint32_t *ret_address, uint32_t *ret_mask);

/* Give the interface this address and raise it. Returns 0 or a negated errno. */
int network_set(const char *interface, const char *address);

#endif
