/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/serve_idle.h - what idle connections cost in memory, after a request each.
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

/* Print the table, with 10,000 connections and with 100,000. */
void serve_weigh(const struct server_kinds *kinds);

#endif
