/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/server.h - servers that bench_serve measures: a table of how each is started, and the
 * process of one that runs.
 *
 * Owns:     the process, its group, and a folder of its own under /tmp.
 * Threads:  one.
 * Blocking: server_start until it answers or has ended; server_stop until it has ended.
 * Trust:    all are programs that whoever runs the benchmark has installed.
 * Limits:   a server listens on the loopback, at a port that it is told, on the first processor.
 *
 * What a server is not here for is a line that is printed, not an error: its program is missing, or
 * it ended before it answered anything, with the last line of what it said.
 */
#ifndef VINE_BENCH_SERVER_H
#define VINE_BENCH_SERVER_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define SERVER_ARGUMENTS_MAX 20
#define SERVER_BARS_MAX      3
#define SERVER_FILE_BYTES    (1u << 20) /* of the file that those that serve one are asked for */
#define SERVER_FILE_NAME     "file"

enum server_side {
    SERVER_LIMIT, /* a bare loop that looks at nothing and knows its answer */
    SERVER_PEER,
    SERVER_OURS,         /* without isolation: what the peers are held against */
    SERVER_OURS_GUARDED, /* ours with isolation: held against ours without */
};

/* In `program`, `arguments` and `file_text` these are replaced:
 *   {port}         where it shall listen
 *   {folder}       its folder, where it may write; it starts there
 *   {beside}       the folder of the benchmarks' programs
 *   {processes}    how many processes shall share the connections
 *   {descriptors}  how many descriptors each of them may have */
struct server_kind {
    const char *name; /* as tables have it */
    enum server_side side;
    const char *from; /* what brings it, said where it is missing */
    const char *program;
    const char *arguments[SERVER_ARGUMENTS_MAX];
    const char *file_name; /* in its folder, written before it starts; NULL: none */
    const char *file_text;
    bool has_processes;           /* {processes} may be more than 1 */
    const char *crash_path;       /* a path that makes a connection's process crash; NULL: none */
    double bars[SERVER_BARS_MAX]; /* with isolation: to ours without, of each shape; 0: none */
};

struct server {
    const struct server_kind *kind;
    pid_t pid;
    uint32_t port;
    char folder[32];
    char reason[160]; /* why it is not here */
};

/* Returns whether it serves; otherwise `reason` says why not, and there is nothing to stop. */
bool server_start(struct server *server, const struct server_kind *kind, uint32_t processes);
void server_stop(struct server *server);

/* Let this process and those it starts have as many descriptors as they may. Returns how many. */
uint32_t server_raise_descriptors(void);

#endif
