/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_turn.h"

#include "bench.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct {
    const struct server_kind *kind;
    char text[160];
} reasons[SERVE_REASONS_MAX];
static size_t reason_count;

static void keep_reason(const struct server *server)
{
    for (size_t i = 0; i < reason_count; i++)
        if (reasons[i].kind == server->kind)
            return;
    if (reason_count == SERVE_REASONS_MAX)
        return;
    reasons[reason_count].kind = server->kind;
    memcpy(reasons[reason_count].text, server->reason, sizeof(server->reason));
    reason_count++;
}

void serve_print_reasons(void)
{
    for (size_t i = 0; i < reason_count; i++)
        printf("- *%s* is left out: %s\n", reasons[i].kind->name, reasons[i].text);
    if (reason_count > 0)
        printf("\n");
    (void)fflush(stdout);
    reason_count = 0;
}

bool serve_start(struct server *server, const struct server_kind *kind, uint32_t processes)
{
    if (server_start(server, kind, processes))
        return true;
    keep_reason(server);
    return false;
}

double serve_number(const char *line, const char *name)
{
    const char *const at = strstr(line, name);

    bench_require(at != NULL, line);
    return strtod(at + strlen(name), NULL);
}

static void read_line(const char *line, struct serve_reading *ret_reading)
{
    *ret_reading = (struct serve_reading){.rate = serve_number(line, "rate "),
                                          .server_ns = serve_number(line, "server_ns "),
                                          .p50_us = serve_number(line, "p50_us "),
                                          .p99_us = serve_number(line, "p99_us "),
                                          .busy = serve_number(line, "busy "),
                                          .calls = serve_number(line, "calls "),
                                          .visits = serve_number(line, "visits "),
                                          .good = serve_number(line, "good "),
                                          .failed = serve_number(line, "failed "),
                                          .dropped = serve_number(line, "dropped ")};
}

bool serve_play(const struct serve_turn *turn, struct serve_reading *ret_reading)
{
    struct server server;
    struct bench_peer load;
    char port[16];
    char pid[16];
    char connections[16];
    char depth[16];
    char visit[64];
    char line[512];
    const char *arguments[10] = {port, pid, connections, depth, turn->time_ms, turn->what};
    size_t count = 6;

    if (!serve_start(&server, turn->kind, 1))
        return false;
    (void)snprintf(port, sizeof(port), "%u", server.port);
    (void)snprintf(pid, sizeof(pid), "%d", (int)server.pid);
    (void)snprintf(connections, sizeof(connections), "%u", turn->shape.connections);
    (void)snprintf(depth, sizeof(depth), "%u", turn->shape.depth);
    (void)snprintf(visit, sizeof(visit), "visit=%s", turn->visit != NULL ? turn->visit : "");
    if (turn->counts_calls)
        arguments[count++] = "calls";
    if (turn->visit != NULL)
        arguments[count++] = visit;
    bench_require(bench_peer_start_on(&load, "peer_serve_load", arguments, 1), "peer_serve_load");
    /* A load that fails has said why. */
    bench_require(fgets(line, sizeof(line), load.from) != NULL, turn->kind->name);
    bench_peer_stop(&load);
    server_stop(&server);
    read_line(line, ret_reading);
    return true;
}
