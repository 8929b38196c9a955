/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/echo_socket.h - how the servers of bench_echo listen, and say where.
 *
 * Owns:     nothing.
 * Threads:  one.
 * Blocking: never.
 * Trust:    both sides are ours.
 * Limits:   TCP on the loopback, at a port that the kernel chooses.
 */
#ifndef VINE_BENCH_ECHO_SOCKET_H
#define VINE_BENCH_ECHO_SOCKET_H

/* A socket that listens, of whose address one line on standard output tells as examples/tcp_echo
 * does. Connections from it send at once (TCP_NODELAY), as ours do. `flags`: SOCK_NONBLOCK or 0. */
int echo_listen(int flags);

#endif
