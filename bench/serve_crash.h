/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/serve_crash.h - a load beside connections that crash what serves them.
 *
 * Owns:     nothing.
 * Threads:  one.
 * Blocking: seconds.
 * Trust:    as bench/server.h.
 * Limits:   1,000 such connections a second.
 */
#ifndef VINE_BENCH_SERVE_CRASH_H
#define VINE_BENCH_SERVE_CRASH_H

#include "server_kinds.h"

/* Print the table. All servers are visited by connections that ask for what the load asks, and
 * those with a `crash_path` by others that ask for that. */
void serve_crash(const struct server_kinds *kinds, uint32_t rounds, const char *time_ms);

#endif
