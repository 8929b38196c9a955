/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/server_kinds.h - whom bench_serve measures.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   SERVER_KINDS_MAX of each sort.
 *
 * The first one of each sort is the physical limit; ours come last, that without isolation first.
 */
#ifndef VINE_BENCH_SERVER_KINDS_H
#define VINE_BENCH_SERVER_KINDS_H

#include "server.h"

#include <stddef.h>

#define SERVER_KINDS_MAX 8

struct server_kinds {
    const struct server_kind *kinds;
    size_t count;
};

extern const struct server_kinds server_kinds_hello; /* HTTP: "hello" at each path */
extern const struct server_kinds server_kinds_file;  /* HTTP: SERVER_FILE_NAME */
extern const struct server_kinds server_kinds_ping;  /* RESP: PING */
extern const struct server_kinds server_kinds_store; /* RESP: SET and GET */
extern const struct server_kinds server_kinds_lines; /* examples/line_numbers.c; ours alone */

#endif
