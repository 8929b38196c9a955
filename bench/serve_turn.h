/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/serve_turn.h - one turn of bench_serve: a server is started, loaded, and stopped.
 *
 * Owns:     the list of servers that are left out.
 * Threads:  one.
 * Blocking: until the turn is over.
 * Trust:    as bench/server.h.
 * Limits:   SERVE_REASONS_MAX servers are left out.
 */
#ifndef VINE_BENCH_SERVE_TURN_H
#define VINE_BENCH_SERVE_TURN_H

#include "peer.h"
#include "server.h"

#define SERVE_REASONS_MAX 32

struct serve_shape {
    uint32_t connections;
    uint32_t depth; /* requests on their way on each */
};

struct serve_turn {
    const struct server_kind *kind;
    struct serve_shape shape;
    const char *what; /* as peer_serve_load has it */
    const char *time_ms;
    bool counts_calls;
    const char *visit; /* what visitors ask for; NULL: there are none */
};

struct serve_reading {
    double rate;
    double server_ns; /* of processor time for a request */
    double p50_us, p99_us;
    double busy;  /* the part of the time in which the server used its processor */
    double calls; /* system calls for a request; below 0: not counted */
    double visits, good, failed, dropped;
};

/* Returns whether there is such a server, and has serve_print_reasons say why if not. */
bool serve_play(const struct serve_turn *turn, struct serve_reading *ret_reading);

/* As server_start, but that a reason is kept for serve_print_reasons. */
bool serve_start(struct server *server, const struct server_kind *kind, uint32_t processes);

/* Say who was left out since the last time, and why, in lines below a table. */
void serve_print_reasons(void);

/* What stands behind `name` in a line. */
double serve_number(const char *line, const char *name);

#endif
