/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime liburing */
/*
 * Echo over TCP on the loopback: examples/tcp_echo on one core, beside a bare io_uring loop and a
 * bare epoll loop; and the same runtime beside nginx, both asked for the same few bytes by HTTP.
 * Each server is a process on the first processor, the load another one on the last: every
 * connection has one request on its way at all times. Rates, the server's processor time, times
 * until the answer; and what idle connections cost in memory.
 *
 * $VINE_BENCH_CONNECTIONS=64,1000: other numbers of connections, of which the first is the one that
 * the others are compared with.
 */
#include "bench.h"
#include "loopback.h"
#include "peer.h"

#include <arpa/inet.h>
#include <limits.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define ROUNDS     5
#define ROUNDS_MAX 99
#define SIZES_MAX  4
#define TIME_MS    "700"
#define IDLE_COUNT 10000
#define TRIES_MAX  500 /* of 10 ms, until nginx answers */

enum server {
    OURS,
    URING,
    EPOLL,
    OURS_HTTP,
    NGINX,
    SERVER_COUNT,
};

static const struct {
    const char *name;
    const char *program;
    const char *kind;
    bool takes_options; /* of vine_main */
} servers[SERVER_COUNT] = {
    [OURS] = {"ours (examples/tcp_echo)", "../examples/tcp_echo", "echo", true},
    [URING] = {"a bare io_uring loop", "peer_echo_uring", "echo", false},
    [EPOLL] = {"a bare epoll loop", "peer_echo_epoll", "echo", false},
    [OURS_HTTP] = {"ours, HTTP", "peer_echo_http", "http", true},
    [NGINX] = {"nginx, HTTP", "/usr/sbin/nginx", "http", false},
};

struct reading {
    double rate;
    double server_ns;
    double p50_us, p99_us;
    double busy; /* the part of the time in which the server used its processor */
    double lost; /* packets that found no room in the loopback's queue */
};

static uint32_t rounds = ROUNDS;
static uint32_t sizes[SIZES_MAX] = {64, 1000, 10000};
static uint32_t size_count = 3;
static struct reading readings[SERVER_COUNT][SIZES_MAX][ROUNDS_MAX];
static bool is_here[SERVER_COUNT];
static char beside_us[PATH_MAX];
static char folder[] = "/tmp/vine-bench-XXXXXX";

/* ---- servers --------------------------------------------------------------------------------- */

static void write_nginx_configuration(uint32_t port)
{
    char path[sizeof(folder) + 16];

    (void)snprintf(path, sizeof(path), "%s/nginx.conf", folder);
    FILE *const file = fopen(path, "w");

    bench_require(file != NULL, path);
    fprintf(file,
            "daemon off;\nmaster_process off;\nworker_processes 1;\npid %s/pid;\n"
            "error_log stderr crit;\n"
            "events { worker_connections 16384; multi_accept on; use epoll; }\n"
            "http {\n  access_log off;\n  server_tokens off;\n  keepalive_timeout 600;\n"
            "  keepalive_requests 1000000000;\n  client_body_temp_path %s/b;\n"
            "  proxy_temp_path %s/p;\n  fastcgi_temp_path %s/f;\n  uwsgi_temp_path %s/u;\n"
            "  scgi_temp_path %s/s;\n  default_type text/plain;\n"
            "  server { listen 127.0.0.1:%u backlog=4096; location / { return 200 \"ok\\n\"; } }\n"
            "}\n",
            folder, folder, folder, folder, folder, folder, port);
    bench_require(fclose(file) == 0, path);
}

/* It says nothing when it listens. */
static void wait_for(uint32_t port)
{
    const struct timespec moment = {.tv_nsec = 10000000};

    for (int tries = 0; tries < TRIES_MAX; tries++) {
        const int fd = loopback_connect(port);

        if (fd >= 0) {
            (void)close(fd);
            return;
        }
        (void)nanosleep(&moment, NULL);
    }
    bench_require(false, "nginx does not listen");
}

/* Returns its port, or 0: it is not installed. */
static uint32_t start(enum server which, struct bench_peer *peer)
{
    static const char *const options[] = {"--smp=1", "--listen=127.0.0.1:0", NULL};
    static const char *const fewer[] = {"--smp=1", NULL};
    const char *const nginx[] = {"-p", folder, "-c", "nginx.conf", "-e", "stderr", NULL};
    char path[PATH_MAX + 64];
    char line[256] = "";

    (void)snprintf(path, sizeof(path), "%s%s%s", servers[which].program[0] == '/' ? "" : beside_us,
                   servers[which].program[0] == '/' ? "" : "/", servers[which].program);
    if (which == NGINX) {
        const uint32_t port = loopback_find_port();

        write_nginx_configuration(port);
        if (!bench_peer_start_on(peer, path, nginx, 0))
            return 0;
        wait_for(port);
        return port;
    }
    if (!bench_peer_start_on(peer, path,
                             !servers[which].takes_options ? &options[2]
                             : which == OURS               ? options
                                                           : fewer,
                             0))
        return 0;
    bench_require(fgets(line, sizeof(line), peer->from) != NULL, servers[which].name);
    const char *const at = strstr(line, "127.0.0.1:");

    bench_require(at != NULL, line);
    return (uint32_t)strtoul(at + strlen("127.0.0.1:"), NULL, 10);
}

/* ---- one turn -------------------------------------------------------------------------------- */

static double number_of(const char *line, const char *name)
{
    const char *const at = strstr(line, name);

    bench_require(at != NULL, line);
    return strtod(at + strlen(name), NULL);
}

/* Returns whether there is such a server; then `line` is what the load said. */
static bool play(enum server which, uint32_t connections, const char *time, char *line, int size)
{
    struct bench_peer server;
    struct bench_peer load;
    char port[16];
    char count[16];
    char pid[16];
    const uint32_t number = start(which, &server);
    const char *const arguments[] = {port, count, servers[which].kind, pid, time, NULL};

    if (number == 0)
        return false;
    (void)snprintf(port, sizeof(port), "%u", number);
    (void)snprintf(count, sizeof(count), "%u", connections);
    (void)snprintf(pid, sizeof(pid), "%d", (int)server.pid);
    bench_require(bench_peer_start_on(&load, "peer_echo_load", arguments, 1), "peer_echo_load");
    bench_require(fgets(line, size, load.from) != NULL, "the load ended early");
    bench_peer_stop(&load);
    (void)kill(server.pid, SIGKILL);
    bench_peer_stop(&server);
    return true;
}

/* Packets that had no room in the queue of a processor, since the machine started: what is lost on
 * the loopback, which has net.core.netdev_max_backlog of room. They are sent again, by a timer. */
static double lost_packets(void)
{
    FILE *const file = fopen("/proc/net/softnet_stat", "r");
    char line[256];
    double sum = 0;

    while (file != NULL && fgets(line, sizeof(line), file) != NULL) {
        const char *const second = strchr(line, ' ');

        sum += second != NULL ? (double)strtoul(second, NULL, 16) : 0;
    }
    if (file != NULL)
        (void)fclose(file);
    return sum;
}

static void measure(enum server which, uint32_t size, uint32_t round)
{
    const double lost_before = lost_packets();
    char line[256];

    is_here[which] = play(which, sizes[size], TIME_MS, line, sizeof(line));
    if (!is_here[which])
        return;
    readings[which][size][round] = (struct reading){.rate = number_of(line, "rate "),
                                                    .server_ns = number_of(line, "server_ns "),
                                                    .p50_us = number_of(line, "p50_us "),
                                                    .p99_us = number_of(line, "p99_us "),
                                                    .busy = number_of(line, "busy "),
                                                    .lost = lost_packets() - lost_before};
}

/* ---- tables ---------------------------------------------------------------------------------- */

typedef double (*figure_fn)(const struct reading *reading);

static double rate_of(const struct reading *reading)
{
    return reading->rate;
}

static double cost_of(const struct reading *reading)
{
    return reading->server_ns;
}

static double p50_of(const struct reading *reading)
{
    return reading->p50_us;
}

static double p99_of(const struct reading *reading)
{
    return reading->p99_us;
}

static double busy_of(const struct reading *reading)
{
    return reading->busy;
}

static double lost_of(const struct reading *reading)
{
    return reading->lost;
}

static double median(enum server which, uint32_t size, figure_fn figure)
{
    double values[ROUNDS_MAX];

    for (uint32_t i = 0; i < rounds; i++)
        values[i] = figure(&readings[which][size][i]);
    return bench_median(values, rounds);
}

struct side {
    enum server which;
    uint32_t size;
};

/* A row of ratios, round by round. */
struct comparison {
    const char *what;
    const char *beside;
    struct side ours, theirs;
    figure_fn figure;
    double bar; /* 0: none; below: at most so much; else at least */
    const char *limit;
};

static void compare(const struct comparison *comparison)
{
    const double bar = comparison->bar;
    const struct side ours = comparison->ours;
    const struct side theirs = comparison->theirs;
    struct bench_row row = {.is_met = true, .limit = comparison->limit};
    double ratios[ROUNDS_MAX];

    if (!is_here[theirs.which])
        return;
    for (uint32_t i = 0; i < rounds; i++)
        ratios[i] = comparison->figure(&readings[ours.which][ours.size][i]) /
                    comparison->figure(&readings[theirs.which][theirs.size][i]);
    const double middle = bench_median(ratios, rounds);

    (void)snprintf(row.what, sizeof(row.what), "%u connections: %s", sizes[ours.size],
                   comparison->what);
    (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f (%.2f .. %.2f)", middle, ratios[rounds / 4],
                   ratios[3 * rounds / 4]);
    (void)snprintf(row.beside, sizeof(row.beside), "%s", comparison->beside);
    if (bar > 0) {
        (void)snprintf(row.bar, sizeof(row.bar), "at least %.2f", bar);
        row.is_met = middle >= bar;
    } else if (bar < 0) {
        (void)snprintf(row.bar, sizeof(row.bar), "at most %.2f", -bar);
        row.is_met = middle <= -bar;
    }
    bench_table_row(&row);
}

static void show_figures(uint32_t size)
{
    for (enum server which = 0; which < SERVER_COUNT; which++) {
        struct bench_row row = {.is_met = true};

        if (!is_here[which])
            continue;
        (void)snprintf(row.what, sizeof(row.what), "%u connections: %s", sizes[size],
                       servers[which].name);
        (void)snprintf(row.measured, sizeof(row.measured),
                       "%.0f/s, %.2f us, %.0f and %.0f us, %.0f %%, %.0f lost",
                       median(which, size, rate_of), median(which, size, cost_of) / 1e3,
                       median(which, size, p50_of), median(which, size, p99_of),
                       100 * median(which, size, busy_of), median(which, size, lost_of));
        bench_table_row(&row);
    }
}

/* What of its rate with the fewest connections the bare loop keeps, and so whose the limit is where
 * ours keeps less than `bar`. NULL: it has not run. */
static const char *find_limit(uint32_t size, double bar)
{
    static char text[SIZES_MAX][BENCH_TEXT_MAX];
    double ratios[ROUNDS_MAX];

    if (!is_here[URING])
        return NULL;
    for (uint32_t i = 0; i < rounds; i++)
        ratios[i] = readings[URING][size][i].rate / readings[URING][0][i].rate;
    const double kept = bench_median(ratios, rounds);

    (void)snprintf(text[size], sizeof(text[size]),
                   "%s: the bare io_uring loop keeps %.2f of its own",
                   kept < bar ? "the kernel" : "our code", kept);
    return text[size];
}

/* With the first number of connections ours is held against the bare loop, with more of them
 * against what it was itself, and against others. */
static void show_ratios(uint32_t size)
{
    static const char rate[] = "requests a second";
    static const char cost[] = "processor time of a request";
    const bool is_first = size == 0;
    const struct side ours = {OURS, size}, http = {OURS_HTTP, size};
    const struct side uring = {URING, size}, epoll = {EPOLL, size}, nginx = {NGINX, size};
    const double above = is_first ? 0 : 1;
    const double kept = sizes[size] <= 1000 ? 0.8 : 0.6;
    const struct comparison all[] = {
        {rate, "io_uring loop", ours, uring, rate_of, is_first ? 1 : 0, NULL},
        {cost, "io_uring loop", ours, uring, cost_of, is_first ? -1.03 : 0, NULL},
        {"p99", "io_uring loop", ours, uring, p99_of, is_first ? -1 : 0, NULL},
        {rate, "epoll loop", ours, epoll, rate_of, above, NULL},
        {cost, "epoll loop", ours, epoll, cost_of, 0, NULL},
        {"requests a second, HTTP", "nginx", http, nginx, rate_of, above, NULL},
        {"processor time of a request, HTTP", "nginx", http, nginx, cost_of, 0, NULL},
        {rate, "ours with fewest", ours, {OURS, 0}, rate_of, kept, find_limit(size, kept)},
        {"the io_uring loop's own", "with fewest", uring, {URING, 0}, rate_of, 0, NULL},
    };
    const size_t count = sizeof(all) / sizeof(all[0]);

    for (size_t i = 0; i < (is_first ? count - 2 : count); i++)
        compare(&all[i]);
}

static void weigh(void)
{
    bench_table_begin("Memory of idle connections",
                      "Of 10,000 that have had an answer each: what the server's process has "
                      "resident of each beyond the first 64, and all of it. What nginx allots when "
                      "it starts is in the second figure alone.");
    for (enum server which = 0; which < SERVER_COUNT; which++) {
        struct bench_row row = {.is_met = true};
        char line[256];

        if (!play(which, IDLE_COUNT, "idle", line, sizeof(line)))
            continue;
        const double bytes = number_of(line, "each_bytes ");

        (void)snprintf(row.what, sizeof(row.what), "%s", servers[which].name);
        (void)snprintf(row.measured, sizeof(row.measured), "%.0f bytes, %.1f MiB", bytes,
                       number_of(line, "process_bytes ") / (1 << 20));
        if (which == OURS) {
            (void)snprintf(row.bar, sizeof(row.bar), "below 1 KiB");
            row.is_met = bytes < 1024;
        }
        bench_table_row(&row);
    }
    bench_table_end();
}

/* ---- the program ----------------------------------------------------------------------------- */

static void read_wishes(void)
{
    const char *const asked = getenv("VINE_BENCH_ROUNDS");
    char *at = getenv("VINE_BENCH_CONNECTIONS");

    if (asked != NULL)
        rounds = (uint32_t)strtoul(asked, NULL, 10);
    bench_require(rounds >= 1 && rounds <= ROUNDS_MAX, "rounds");
    for (size_count = at != NULL ? 0 : size_count; at != NULL && *at != '\0'; size_count++) {
        bench_require(size_count < SIZES_MAX, "connections");
        sizes[size_count] = (uint32_t)strtoul(at, &at, 10);
        bench_require(sizes[size_count] > 0 && (*at == ',' || *at == '\0'), "connections");
        at += *at == ',';
    }
}

/* Each connection is a descriptor here and there. Leaves out what cannot be had, and says so. */
static void have_descriptors(void)
{
    struct rlimit limit;

    bench_require(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    (void)setrlimit(RLIMIT_NOFILE, &limit);
    while (size_count > 0 && sizes[size_count - 1] + 100 > limit.rlim_cur) {
        printf("%u connections are left out: this process may have %llu descriptors.\n\n",
               sizes[--size_count], (unsigned long long)limit.rlim_cur);
    }
    bench_require(size_count > 0, "descriptors");
}

static void find_ourselves(void)
{
    const ssize_t size = readlink("/proc/self/exe", beside_us, sizeof(beside_us) - 1);

    bench_require(size > 0, "/proc/self/exe");
    beside_us[size] = '\0';
    *strrchr(beside_us, '/') = '\0';
    bench_require(mkdtemp(folder) != NULL, folder);
}

static void tidy_up(void)
{
    static const char *const names[] = {"nginx.conf", "pid", "b", "p", "f", "u", "s", ""};
    char path[sizeof(folder) + 16];

    for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
        (void)snprintf(path, sizeof(path), "%s/%s", folder, names[i]);
        (void)remove(path);
    }
}

int main(void)
{
    char note[512];

    read_wishes();
    have_descriptors();
    find_ourselves();
    for (uint32_t round = 0; round < rounds; round++)
        for (uint32_t size = 0; size < size_count; size++)
            for (uint32_t i = 0; i < SERVER_COUNT; i++)
                /* Who is before whom changes with the round. */
                measure(round % 2 == 0 ? i : SERVER_COUNT - 1 - i, size, round);
    (void)snprintf(
        note, sizeof(note),
        "Medians of %u rounds of %s ms: requests a second; processor time of the server "
        "for each; p50 and p99 until the answer; how much of the time the server "
        "was not idle; and packets for which the loopback's queue had no room. Requests and "
        "answers are of 64 bytes; by HTTP, of 29 and 142.%s",
        rounds, TIME_MS, is_here[NGINX] ? "" : " nginx is not installed.");
    bench_table_begin("Echo over TCP, one core", note);
    for (uint32_t size = 0; size < size_count; size++)
        show_figures(size);
    for (uint32_t size = 0; size < size_count; size++)
        show_ratios(size);
    bench_table_end();
    if (size_count == 3)
        weigh();
    tidy_up();
    return 0;
}
