/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_idle.h"

#include "bench.h"
#include "family.h"
#include "serve_turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define BAR_BYTES      600
#define WARM_COUNT     64 /* connections that have warmed a server's process up */
#define WARM_TIMES     200
#define SPARE          1000 /* descriptors that are used otherwise */
#define CLIENTS_MAX    32
#define ADDRESSES      5           /* that one of them may use */
#define CLIENT_MAX     20000       /* connections that one of them has */
#define WAIT_NS        1500000000L /* for what a server does when nobody asks */
#define SHARE_PER_CENT 80          /* full; chance decides which process has a connection */

/* Returns what the family has when it has been quiet for a while. */
static double weigh_now(const struct server *server)
{
    const struct timespec quiet = {.tv_sec = WAIT_NS / 1000000000, .tv_nsec = WAIT_NS % 1000000000};
    struct family family;

    (void)nanosleep(&quiet, NULL);
    family_find(&family, server->pid);
    return (double)family_private_bytes(&family);
}

static void start_client(struct bench_peer *client, const struct server *server, uint32_t count,
                         uint32_t address, uint32_t times)
{
    char port[16];
    char connections[16];
    char from[16];
    char each[16];
    char line[64];
    const char *const arguments[] = {port, connections, from, each, "/", NULL};

    (void)snprintf(port, sizeof(port), "%u", server->port);
    (void)snprintf(connections, sizeof(connections), "%u", count);
    (void)snprintf(from, sizeof(from), "%u", address);
    (void)snprintf(each, sizeof(each), "%u", times);
    bench_require(bench_peer_start_on(client, "peer_serve_idle", arguments, 1), "peer_serve_idle");
    bench_require(fgets(line, sizeof(line), client->from) != NULL, server->kind->name);
}

/* Returns the number of processes that share them, or 0. */
static uint32_t processes_for(const struct server_kind *kind, uint32_t connections)
{
    const uint32_t each = server_raise_descriptors() - SPARE;

    if (connections <= each)
        return 1;
    return kind->has_processes ? connections / (each / 100 * SHARE_PER_CENT) + 1 : 0;
}

static void weigh_one(const struct server_kind *kind, uint32_t connections, uint32_t processes)
{
    const uint32_t descriptors = server_raise_descriptors() - SPARE;
    const uint32_t each = descriptors < CLIENT_MAX ? descriptors : CLIENT_MAX;
    struct bench_peer clients[CLIENTS_MAX];
    uint32_t count = 0;
    struct server server;
    struct bench_row row = {.is_met = true};

    if (!serve_start(&server, kind, processes))
        return;
    start_client(&clients[count++], &server, WARM_COUNT * processes, 1, WARM_TIMES);
    const double before = weigh_now(&server);

    for (uint32_t left = connections; left > 0 && count < CLIENTS_MAX; count++) {
        const uint32_t part = left < each ? left : each;

        start_client(&clients[count], &server, part, 1 + count * ADDRESSES, 1);
        left -= part;
    }
    const double after = weigh_now(&server);
    const double bytes = (after - before) / connections;

    while (count > 0)
        bench_peer_stop(&clients[--count]);
    server_stop(&server);
    (void)snprintf(row.what, sizeof(row.what), "%u connections: %s", connections, kind->name);
    (void)snprintf(row.measured, sizeof(row.measured), "%.0f bytes, %.1f MiB", bytes,
                   after / (1 << 20));
    if (processes > 1)
        (void)snprintf(row.beside, sizeof(row.beside), "%u processes", processes);
    if (kind->side == SERVER_OURS || kind->side == SERVER_OURS_GUARDED) {
        (void)snprintf(row.bar, sizeof(row.bar), "at most %d bytes", BAR_BYTES);
        row.is_met = bytes <= BAR_BYTES;
    }
    bench_table_row(&row);
}

void serve_weigh(const struct server_kinds *kinds)
{
    static const uint32_t sizes[] = {10000, 100000};

    bench_table_begin("Memory of idle connections by HTTP",
                      "Of connections that have asked once and had their answer: what the server's "
                      "processes have resident, and nobody else maps, of each beyond the first 64, "
                      "and all of it. What a server allots when it starts is in the second figure "
                      "alone. Where a process may not have so many descriptors, several share "
                      "them, and who cannot is left out.");
    for (size_t size = 0; size < sizeof(sizes) / sizeof(sizes[0]); size++)
        for (size_t i = 0; i < kinds->count; i++) {
            const uint32_t processes = processes_for(&kinds->kinds[i], sizes[size]);

            if (processes > 0)
                weigh_one(&kinds->kinds[i], sizes[size], processes);
        }
    bench_table_end();
    serve_print_reasons();
}
