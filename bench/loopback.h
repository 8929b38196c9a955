/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/loopback.h - TCP sockets on the loopback, for servers that are measured.
 *
 * Owns:     nothing; descriptors are the caller's.
 * Threads:  any.
 * Blocking: loopback_connect, until it is connected or refused.
 * Trust:    both sides are ours.
 * Limits:   127.0.0.1.
 */
#ifndef VINE_BENCH_LOOPBACK_H
#define VINE_BENCH_LOOPBACK_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>

struct sockaddr_in loopback_address(uint32_t port);

/* A port that nobody has at the moment. */
uint32_t loopback_find_port(void);

/* A socket that listens; port 0: the kernel chooses. Connections from it send at once
 * (TCP_NODELAY), as ours do. `flags`: SOCK_NONBLOCK or 0. */
int loopback_listen(uint32_t port, int flags);

/* A connection, or -1. */
int loopback_connect(uint32_t port);

#endif
