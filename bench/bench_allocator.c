/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs of free and alloc on a mixed trace, and memory over live bytes: our strategies, boxes, and
 * the peers whose programs lie beside this one, all in turns.
 *
 *   bench_allocator [ROUNDS]       the table (5 rounds)
 *   bench_allocator --serve NAME   one of ours, for the driver
 *
 * The bars were set where mimalloc took 45 ns a pair with a p99 of 240. Where it takes longer,
 * because a miss of the second cache does, they are read as ratios to it: general 60 / 45, tlsf
 * 100 / 45 with a p99 of 300 / 240.
 */
#include "allocator_trace.h"

#include "arch/clock/clock.h"

#include <vine/box.h>

#include <fcntl.h>
#include <libgen.h>
#include <sched.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define EXTENT_BYTES (UINT64_C(2) << 30)

enum {
    ROUNDS_MAX = 101,
    PAIRS = 300000,
    MEMORY_PAIRS = 2000000,
    SERVED_MAX = 8,
};

/* ---- ours, as they are served ---------------------------------------------------------------- */

static struct vine_allocator *allocator;
static struct vine_box_book *book;
static unsigned char *extent;
static struct vine_token tokens[TRACE_BLOCKS + 1];
static uint32_t token_free[TRACE_BLOCKS + 1];
static uint32_t token_free_count;

static int open_strategy(enum vine_allocator_strategy strategy, uint32_t granule_bytes)
{
    const struct vine_allocator_options options = {
        .size_bytes = sizeof(options),
        .strategy = strategy,
        .granule_bytes = granule_bytes,
        .extent_bytes = EXTENT_BYTES,
        .blocks_max = strategy == VINE_ALLOCATOR_TLSF ? 160000 : 0,
    };
    extent = mmap(NULL, EXTENT_BYTES, PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    return extent == MAP_FAILED ? 1 : vine_allocator_create(&options, &allocator);
}

static int open_general(void)
{
    return open_strategy(VINE_ALLOCATOR_GENERAL, 64);
}

static int open_general_16(void)
{
    return open_strategy(VINE_ALLOCATOR_GENERAL, 16);
}

static int open_tlsf(void)
{
    return open_strategy(VINE_ALLOCATOR_TLSF, 64);
}

static uint64_t alloc(size_t size_bytes)
{
    uint64_t offset;
    return vine_allocator_alloc(allocator, size_bytes, &offset) == 0 ? offset : UINT64_MAX;
}

static void give(uint64_t handle, size_t index)
{
    (void)index;
    if (vine_allocator_free(allocator, handle) != 0)
        abort();
}

static unsigned char *memory_of(uint64_t handle)
{
    return extent + handle;
}

static int open_boxes(void)
{
    struct vine_extent_index index;
    if (open_general() != 0 || vine_box_book_create(1, &book) != 0)
        return 1;
    const struct vine_box_extent box_extent = {
        .base = extent, .size_bytes = EXTENT_BYTES, .allocator = allocator};
    for (uint32_t i = 0; i <= TRACE_BLOCKS; i++)
        token_free[token_free_count++] = i;
    return vine_box_book_add_extent(book, &box_extent, &index);
}

static uint64_t alloc_box(size_t size_bytes)
{
    struct vine_box box;
    if (vine_box_create(book, (struct vine_box_type){1}, (uint32_t)size_bytes, &box) != 0)
        return UINT64_MAX;
    const uint32_t place = token_free[--token_free_count];
    tokens[place] = box.token;
    return place;
}

static void give_box(uint64_t handle, size_t index)
{
    (void)index;
    if (vine_box_free(book, &tokens[handle]) != 0)
        abort();
    token_free[token_free_count++] = (uint32_t)handle;
}

static unsigned char *memory_of_box(uint64_t handle)
{
    return extent + (uint64_t)tokens[handle].offset_units * VINE_TOKEN_UNIT_BYTES;
}

static const struct trace_allocator ours[] = {
    {"general", open_general, alloc, give, memory_of},
    {"general, granules of 16", open_general_16, alloc, give, memory_of},
    {"tlsf", open_tlsf, alloc, give, memory_of},
    {"boxes over general", open_boxes, alloc_box, give_box, memory_of_box},
};

/* ---- the driver ------------------------------------------------------------------------------ */

struct served {
    const char *name;
    const char *program; /* NULL: this one, with --serve */
    double bar_ns;       /* at mimalloc's 45 */
    double bar_p99_ns;   /* 0: none */
    double bar_memory;
    pid_t pid;
    FILE *to;
    FILE *from;
    uint32_t rounds;
    double ns[ROUNDS_MAX];
    double p99_ns[ROUNDS_MAX];
    double memory;
};

static struct served served[SERVED_MAX] = {
    {.name = "mimalloc", .program = "bench_allocator_mimalloc"},
    {.name = "libc malloc", .program = "bench_allocator_libc"},
    {.name = "Boost rbtree_best_fit", .program = "bench_allocator_boost"},
    {.name = "general", .bar_ns = 60, .bar_memory = 1.09},
    {.name = "general, granules of 16", .bar_memory = 1.09},
    {.name = "tlsf", .bar_ns = 100, .bar_p99_ns = 300, .bar_memory = 1.09},
    {.name = "boxes over general"},
};

static int serve(const char *name)
{
    for (size_t i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
        if (strcmp(ours[i].name, name) == 0)
            return trace_serve(&ours[i]);
    }
    return 2;
}

static int start(struct served *peer, const char *self)
{
    char folder[4096];
    char path[4200];
    int to[2];
    int from[2];
    (void)snprintf(folder, sizeof(folder), "%s", self);
    (void)snprintf(path, sizeof(path), "%s/%s", dirname(folder),
                   peer->program != NULL ? peer->program : "bench_allocator");
    if (access(path, X_OK) != 0 || pipe2(to, O_CLOEXEC) != 0 || pipe2(from, O_CLOEXEC) != 0)
        return -1;
    (void)fflush(stdout);
    peer->pid = fork();
    if (peer->pid == 0) {
        (void)dup2(to[0], 0);
        (void)dup2(from[1], 1);
        (void)close(to[1]);
        (void)close(from[0]);
        if (peer->program != NULL)
            (void)execl(path, peer->program, "--serve", (char *)NULL);
        else
            (void)execl(path, "bench_allocator", "--serve", peer->name, (char *)NULL);
        _exit(127);
    }
    (void)close(to[0]);
    (void)close(from[1]);
    peer->to = fdopen(to[1], "w");
    peer->from = fdopen(from[0], "r");
    return peer->pid > 0 && peer->to != NULL && peer->from != NULL ? 0 : -1;
}

static void stop(struct served *peer)
{
    (void)fclose(peer->to);
    (void)fclose(peer->from);
    (void)waitpid(peer->pid, NULL, 0);
    peer->pid = 0;
}

static int round_of(struct served *peer, uint32_t seed)
{
    double p50_ns;
    (void)fprintf(peer->to, "pairs %u %u\n", seed, PAIRS);
    (void)fflush(peer->to);
    if (fscanf(peer->from, "%lf %lf %lf", &peer->ns[peer->rounds], &p50_ns,
               &peer->p99_ns[peer->rounds]) != 3)
        return -1;
    peer->rounds++;
    return 0;
}

static int memory_of_served(struct served *peer, const char *self)
{
    if (start(peer, self) != 0)
        return -1;
    (void)fprintf(peer->to, "memory 7 %u\n", MEMORY_PAIRS);
    (void)fflush(peer->to);
    const int found = fscanf(peer->from, "%lf", &peer->memory);
    stop(peer);
    return found == 1 ? 0 : -1;
}

static int compare_double(const void *left, const void *right)
{
    const double a = *(const double *)left;
    const double b = *(const double *)right;
    return (a > b) - (a < b);
}

static double median(const double *values, uint32_t count)
{
    double sorted[ROUNDS_MAX];
    memcpy(sorted, values, count * sizeof(double));
    qsort(sorted, count, sizeof(double), compare_double);
    return sorted[count / 2];
}

/* The median of the ratios within a round: what the machine does to a round, it does to both. */
static double ratio(const struct served *peer, const struct served *base)
{
    double ratios[ROUNDS_MAX];
    for (uint32_t i = 0; i < peer->rounds; i++)
        ratios[i] = peer->ns[i] / base->ns[i];
    return median(ratios, peer->rounds);
}

/* ns of one read that depends on the one before, at random in 8 MiB: what each miss of the second
 * cache costs here and now. */
static double miss_ns(void)
{
    enum { COUNT = (8 << 20) / 64, READS = 300000 };
    char *memory = aligned_alloc(64, (size_t)COUNT * 64);
    uint32_t *order = malloc(COUNT * sizeof(uint32_t));
    if (memory == NULL || order == NULL)
        exit(1);
    uint64_t random = 88172645463325252u;
    for (uint32_t i = 0; i < COUNT; i++)
        order[i] = i;
    for (uint32_t i = COUNT - 1; i > 0; i--) {
        random ^= random << 13;
        random ^= random >> 7;
        random ^= random << 17;
        const uint32_t other = (uint32_t)(random % i);
        const uint32_t kept = order[i];
        order[i] = order[other];
        order[other] = kept;
    }
    for (uint32_t i = 0; i < COUNT; i++) {
        void *next = memory + (size_t)order[(i + 1) % COUNT] * 64;
        memcpy(memory + (size_t)order[i] * 64, &next, sizeof(next));
    }
    void *volatile sink;
    char *at = memory;
    const uint64_t begin_ns = vine__clock_now_ns();
    for (uint32_t i = 0; i < READS; i++)
        memcpy(&at, at, sizeof(at));
    const uint64_t end_ns = vine__clock_now_ns();
    sink = at;
    (void)sink;
    free(memory);
    free(order);
    return (double)(end_ns - begin_ns) / READS;
}

static const char *verdict(const struct served *peer, double to_mimalloc, double p99_ns,
                           double peer_p99_ns)
{
    if (peer->bar_ns == 0)
        return "";
    const double ns = median(peer->ns, peer->rounds);
    const bool fast = ns <= peer->bar_ns || to_mimalloc <= peer->bar_ns / 45;
    const bool steady = peer->bar_p99_ns == 0 || p99_ns <= peer->bar_p99_ns ||
                        p99_ns <= peer_p99_ns * peer->bar_p99_ns / 240;
    const bool small = peer->memory <= peer->bar_memory;
    if (fast && steady && small)
        return "met";
    return !fast ? "missed: ns" : !steady ? "missed: p99" : "missed: memory";
}

static void print_table(uint32_t rounds, double miss)
{
    const struct served *mimalloc = &served[0];
    const double mimalloc_p99_ns =
        mimalloc->rounds != 0 ? median(mimalloc->p99_ns, mimalloc->rounds) : 0;
    (void)printf(
        "\nOne pair of free and alloc; %u living blocks of 16 B to 64 KiB, log-uniform.\n"
        "Medians of %u interleaved rounds of %u pairs. A miss of the second cache: %.0f ns."
        "\n\n",
        TRACE_BLOCKS, rounds, PAIRS, miss);
    (void)printf("| allocator | ns a pair | to mimalloc | p99 ns | resident / live | bars | |\n"
                 "|---|---|---|---|---|---|---|\n");
    for (uint32_t i = 0; i < SERVED_MAX && served[i].name != NULL; i++) {
        const struct served *peer = &served[i];
        char bars[96] = "";
        if (peer->rounds == 0)
            continue;
        const double to_mimalloc = mimalloc->rounds != 0 ? ratio(peer, mimalloc) : 0;
        const double p99_ns = median(peer->p99_ns, peer->rounds);
        if (peer->bar_ns != 0)
            (void)snprintf(bars, sizeof(bars), "%.0f ns (%.2f x)%s, %.2f", peer->bar_ns,
                           peer->bar_ns / 45, peer->bar_p99_ns != 0 ? ", p99 300" : "",
                           peer->bar_memory);
        (void)printf("| %s | %.0f | %.2f | %.0f | %.3f | %s | %s |\n", peer->name,
                     median(peer->ns, peer->rounds), to_mimalloc, p99_ns, peer->memory, bars,
                     verdict(peer, to_mimalloc, p99_ns, mimalloc_p99_ns));
    }
}

int main(int argument_count, char **arguments)
{
    if (argument_count == 3 && strcmp(arguments[1], "--serve") == 0)
        return serve(arguments[2]);
    const long asked = argument_count > 1 ? strtol(arguments[1], NULL, 10) : 5;
    const uint32_t rounds = asked >= 1 && asked <= ROUNDS_MAX ? (uint32_t)asked : 5;
    char self[4096] = "";
    double misses[ROUNDS_MAX];
    cpu_set_t cpus;

    (void)signal(SIGPIPE, SIG_IGN);
    if (readlink("/proc/self/exe", self, sizeof(self) - 1) < 0)
        return 1;
    CPU_ZERO(&cpus);
    CPU_SET((size_t)sysconf(_SC_NPROCESSORS_ONLN) - 1, &cpus);
    (void)sched_setaffinity(0, sizeof(cpus), &cpus); /* inherited; turns never overlap */
    for (uint32_t i = 0; i < SERVED_MAX && served[i].name != NULL; i++) {
        if (memory_of_served(&served[i], self) != 0 || start(&served[i], self) != 0) {
            (void)printf("%s is left out: its program is not here or failed\n", served[i].name);
            served[i].pid = 0;
        }
    }
    for (uint32_t round = 0; round <= rounds; round++) {
        misses[round > 0 ? round - 1 : 0] = miss_ns();
        for (uint32_t i = 0; i < SERVED_MAX && served[i].name != NULL; i++) {
            if (served[i].pid == 0 || round_of(&served[i], round + 1) != 0)
                continue;
            if (round == 0) /* warms up */
                served[i].rounds = 0;
        }
    }
    for (uint32_t i = 0; i < SERVED_MAX && served[i].name != NULL; i++) {
        if (served[i].pid != 0)
            stop(&served[i]);
    }
    print_table(rounds, median(misses, rounds));
    return 0;
}
