/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/serve_idle.h - what connections cost in memory: idle ones, after a request each, and those
 * whose micro-process waits in the middle of something.
 *
 * Owns:     nothing.
 * Threads:  one.
 * Blocking: seconds.
 * Trust:    as bench/server.h.
 * Limits:   where a process may have fewer descriptors than there are connections, several servers'
 *           processes share them, and those that cannot are left out; as do the clients.
 */
#ifndef VINE_BENCH_SERVE_IDLE_H
#define VINE_BENCH_SERVE_IDLE_H

#include "server_kinds.h"

/* Print the table of idle ones, with 10,000 connections and with 100,000. */
void serve_weigh(const struct server_kinds *kinds);

/* Print that of 10,000 which wait for the rest of a line. */
void serve_weigh_blocked(const struct server_kinds *kinds);

#endif
