/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/network/network.h - the network as those see it who start and measure reactors.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   none.
 */
#ifndef VINE_CORE_NETWORK_NETWORK_H
#define VINE_CORE_NETWORK_NETWORK_H

#include <stddef.h>

/* What a connection of the kernel's stack takes of memory while it is idle. */
size_t vine__network_connection_bytes(void);

#endif
