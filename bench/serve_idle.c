/* SPDX-License-Identifier: Apache-2.0 */
#include "serve_idle.h"

#include "bench.h"
#include "family.h"
#include "serve_turn.h"

#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define BAR_BYTES      600
#define SPARE          1000 /* descriptors that are used otherwise */
#define CLIENTS_MAX    32
#define ADDRESSES      5           /* that one of them may use */
#define CLIENT_MAX     20000       /* connections that one of them has */
#define WAIT_NS        1500000000L /* for what a server does when nobody asks */
#define SHARE_PER_CENT 80          /* full; chance decides which process has a connection */

/* What is weighed. Before it, other connections have warmed a server's process up: what all share,
 * buffers above all, is not weighed. */
struct weighing {
    const char *each; /* as rows have it */
    const char *what; /* that all of them ask, as peer_serve_idle has it */
    uint32_t warm_count;
    uint32_t warm_times; /* that those ask */
    uint32_t page_count; /* that each of ours has beside what is held against the bar */
};

static const struct weighing idle = {
    .each = "connections", .what = "/", .warm_count = 64, .warm_times = 200};
static const struct weighing blocked = {.each = "micro-processes",
                                        .what = "line",
                                        .warm_count = 1024,
                                        .warm_times = 1,
                                        .page_count = 1};

/* Returns what the family has when it has been quiet for a while. */
static double weigh_now(const struct server *server)
{
    const struct timespec quiet = {.tv_sec = WAIT_NS / 1000000000, .tv_nsec = WAIT_NS % 1000000000};
    struct family family;

    (void)nanosleep(&quiet, NULL);
    family_find(&family, server->pid);
    return (double)family_private_bytes(&family);
}

static void start_client(struct bench_peer *client, const struct server *server,
                         const struct weighing *weighing, uint32_t count, uint32_t address,
                         uint32_t times)
{
    char port[16];
    char connections[16];
    char from[16];
    char each[16];
    char line[64];
    const char *const arguments[] = {port, connections, from, each, weighing->what, NULL};

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

static bool is_ours(const struct server_kind *kind)
{
    return kind->side == SERVER_OURS || kind->side == SERVER_OURS_GUARDED;
}

static void show(const struct weighing *weighing, const struct server_kind *kind,
                 uint32_t connections, double bytes, double all_bytes, uint32_t processes)
{
    struct bench_row row = {.is_met = true};
    const double beside_pages = bytes - weighing->page_count * (double)sysconf(_SC_PAGESIZE);
    const char *const page = weighing->page_count != 0 ? "one page and " : "";

    (void)snprintf(row.what, sizeof(row.what), "%u %s: %s", connections, weighing->each,
                   kind->name);
    (void)snprintf(row.measured, sizeof(row.measured), "%s%.0f bytes, %.1f MiB", page, beside_pages,
                   all_bytes / (1 << 20));
    if (processes > 1)
        (void)snprintf(row.beside, sizeof(row.beside), "%u processes", processes);
    if (is_ours(kind)) {
        (void)snprintf(row.bar, sizeof(row.bar), "%sat most %d bytes", page, BAR_BYTES);
        row.is_met = beside_pages <= BAR_BYTES;
    }
    bench_table_row(&row);
}

static void weigh_one(const struct weighing *weighing, const struct server_kind *kind,
                      uint32_t connections, uint32_t processes)
{
    const uint32_t descriptors = server_raise_descriptors() - SPARE;
    const uint32_t each = descriptors < CLIENT_MAX ? descriptors : CLIENT_MAX;
    struct bench_peer clients[CLIENTS_MAX];
    uint32_t count = 0;
    struct server server;

    if (!serve_start(&server, kind, processes))
        return;
    start_client(&clients[count++], &server, weighing, weighing->warm_count * processes, 1,
                 weighing->warm_times);
    const double before = weigh_now(&server);

    for (uint32_t left = connections; left > 0 && count < CLIENTS_MAX; count++) {
        const uint32_t part = left < each ? left : each;

        start_client(&clients[count], &server, weighing, part, 1 + count * ADDRESSES, 1);
        left -= part;
    }
    const double after = weigh_now(&server);

    while (count > 0)
        bench_peer_stop(&clients[--count]);
    server_stop(&server);
    show(weighing, kind, connections, (after - before) / connections, after, processes);
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
                weigh_one(&idle, &kinds->kinds[i], sizes[size], processes);
        }
    bench_table_end();
    serve_print_reasons();
}

void serve_weigh_blocked(const struct server_kinds *kinds)
{
    static const uint32_t size = 10000;

    bench_table_begin("Memory of micro-processes that wait",
                      "Of connections to examples/line_numbers.c that have sent a line and a half "
                      "and had one answer, so that each has a micro-process with a frame of 1 KiB "
                      "in the middle of vine_readline: what the server's processes have resident, "
                      "and nobody else maps, of each beyond the first 1,024. The page is that of "
                      "its heap.");
    for (size_t i = 0; i < kinds->count; i++) {
        const uint32_t processes = processes_for(&kinds->kinds[i], size);

        if (processes > 0)
            weigh_one(&blocked, &kinds->kinds[i], size, processes);
    }
    bench_table_end();
    serve_print_reasons();
}
