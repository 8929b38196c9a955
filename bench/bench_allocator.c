/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Pairs of free and alloc on a mixed trace, and memory over live bytes: our strategies, boxes, and
 * the peers, a program each (peer_*), all in turns.
 *
 *   bench_allocator [ROUNDS]    5 without
 *
 * The bars were set where mimalloc took 45 ns a pair with a p99 of 240. Where it takes longer,
 * because a miss of the second cache does, they are read as ratios to it: general 60 / 45, tlsf
 * 100 / 45 with a p99 of 300 / 240.
 */
#include "allocator_trace.h"
#include "bench.h"
#include "peer.h"

#include <vine/allocator.h>

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    ROUNDS_MAX = 101,
    PAIRS = 300000,
    MEMORY_PAIRS = 2000000,
};

/* mimalloc's own when the bars were set. */
#define BASE_NS     45
#define BASE_P99_NS 240

struct served {
    const char *name;
    const char *program;
    double bar_ns; /* at mimalloc's BASE_NS; 0: none */
    double bar_p99_ns;
    double bar_memory;
    struct bench_peer peer;
    uint32_t rounds;
    double ns[ROUNDS_MAX];
    double p99_ns[ROUNDS_MAX];
    double memory;
};

static struct served served[] = {
    {.name = "mimalloc", .program = "peer_mimalloc"},
    {.name = "libc malloc", .program = "peer_libc"},
    {.name = "Boost rbtree_best_fit", .program = "peer_boost"},
    {.name = "general", .program = "peer_strategy", .bar_ns = 60, .bar_memory = 1.09},
    {.name = "general, granules of 16", .program = "peer_strategy", .bar_memory = 1.09},
    {.name = "tlsf",
     .program = "peer_strategy",
     .bar_ns = 100,
     .bar_p99_ns = 300,
     .bar_memory = 1.09},
    {.name = "boxes over general", .program = "peer_strategy"},
};

#define SERVED   (sizeof(served) / sizeof(served[0]))
#define MIMALLOC (&served[0])
#define TLSF     (&served[5])

static void tell(struct served *one, const char *command, uint32_t seed, uint32_t count)
{
    (void)fprintf(one->peer.to, "%s %u %u\n", command, seed, count);
    (void)fflush(one->peer.to);
}

static bool play_round(struct served *one, uint32_t seed)
{
    double p50_ns;

    tell(one, "pairs", seed, PAIRS);
    if (fscanf(one->peer.from, "%lf %lf %lf", &one->ns[one->rounds], &p50_ns,
               &one->p99_ns[one->rounds]) != 3)
        return false;
    one->rounds++;
    return true;
}

static bool measure_memory(struct served *one)
{
    if (!bench_peer_start(&one->peer, one->program, one->name))
        return false;
    tell(one, "memory", 7, MEMORY_PAIRS);

    const int found = fscanf(one->peer.from, "%lf", &one->memory);

    bench_peer_stop(&one->peer);
    return found == 1;
}

/* The median of the ratios within a round: what the machine does to a round, it does to both. */
static double ratio(const double *values, const double *base, uint32_t rounds)
{
    double ratios[ROUNDS_MAX];

    for (uint32_t n = 0; n < rounds; n++)
        ratios[n] = values[n] / base[n];
    return bench_median(ratios, rounds);
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
    const uint64_t begin_ns = bench_now_ns();
    for (uint32_t i = 0; i < READS; i++)
        memcpy(&at, (const void *)at, sizeof(char *));
    const uint64_t end_ns = bench_now_ns();
    sink = at;
    (void)sink;
    free(memory);
    free(order);
    return (double)(end_ns - begin_ns) / READS;
}

/* A row of times; the bar is an absolute one, or the same in proportion to mimalloc. */
static void print_times(const struct served *one, const char *of, const double *values,
                        const double *base, double bar, double bar_base)
{
    struct bench_row row = {.limit = "misses of the second cache, of which a pair has one in the "
                                     "books, and what another process takes of the caches"};
    double sorted[ROUNDS_MAX];

    memcpy(sorted, values, one->rounds * sizeof(double));

    const double value = bench_median(sorted, one->rounds);

    (void)snprintf(row.what, sizeof(row.what), "%s: %s", one->name, of);
    (void)snprintf(row.measured, sizeof(row.measured), "%.0f ns", value);
    if (one != MIMALLOC && MIMALLOC->rounds == one->rounds) {
        const double to_base = ratio(values, base, one->rounds);

        (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f", to_base);
        (void)snprintf(row.beside, sizeof(row.beside), "mimalloc");
        row.is_met = bar > 0 && to_base <= bar / bar_base;
    }
    if (bar > 0) {
        (void)snprintf(row.bar, sizeof(row.bar), "at most %.0f ns, or %.2f", bar, bar / bar_base);
        row.is_met |= value <= bar;
    }
    bench_table_row(&row);
}

static void print_memory(const struct served *one)
{
    struct bench_row row = {.limit = NULL};

    (void)snprintf(row.what, sizeof(row.what), "%s: resident to live", one->name);
    (void)snprintf(row.measured, sizeof(row.measured), "%.3f", one->memory);
    if (one->bar_memory > 0)
        (void)snprintf(row.bar, sizeof(row.bar), "at most %.2f", one->bar_memory);
    row.is_met = one->memory <= one->bar_memory;
    bench_table_row(&row);
}

static void print_steps(uint32_t seen)
{
    struct bench_row row = {.limit = NULL};

    (void)snprintf(row.what, sizeof(row.what), "tlsf: most steps of an operation here");
    (void)snprintf(row.measured, sizeof(row.measured), "%u", seen);
    (void)snprintf(row.bar, sizeof(row.bar), "%u, proven", VINE_ALLOCATOR_STEPS_MAX);
    row.is_met = seen <= VINE_ALLOCATOR_STEPS_MAX;
    bench_table_row(&row);
}

static void print_table(uint32_t rounds, double miss, uint32_t steps)
{
    char note[512];

    (void)snprintf(note, sizeof(note),
                   "One pair of free and alloc; %u living blocks of 16 B to 64 KiB, log-uniform. "
                   "Medians of %u interleaved rounds of %u pairs. A miss of the second cache takes "
                   "%.0f ns here. The proof of the steps is the sum of the loops' limits, which "
                   "`src/core/allocator/allocator_internal.h` asserts and "
                   "`tests/unit/core/allocator/test_tlsf_steps.c` attacks.",
                   TRACE_BLOCKS, rounds, PAIRS, miss);
    bench_table_begin("Allocators", note);
    for (size_t n = 0; n < SERVED; n++) {
        const struct served *one = &served[n];

        if (one->rounds == 0)
            continue;
        print_times(one, "a pair", one->ns, MIMALLOC->ns, one->bar_ns, BASE_NS);
        print_times(one, "p99 of single pairs", one->p99_ns, MIMALLOC->p99_ns, one->bar_p99_ns,
                    BASE_P99_NS);
        print_memory(one);
    }
    print_steps(steps);
    bench_table_end();
}

int main(int argument_count, char **arguments)
{
    const long asked = argument_count > 1 ? strtol(arguments[1], NULL, 10) : 5;
    const uint32_t rounds = asked >= 1 && asked <= ROUNDS_MAX ? (uint32_t)asked : 5;
    double misses[ROUNDS_MAX];
    uint32_t steps = 0;

    (void)signal(SIGPIPE, SIG_IGN);
    bench_pin(1); /* inherited; turns never overlap */
    for (size_t n = 0; n < SERVED; n++)
        if (!measure_memory(&served[n]) ||
            !bench_peer_start(&served[n].peer, served[n].program, served[n].name))
            (void)printf("%s is left out: its program is not here or failed\n\n", served[n].name);
    for (uint32_t round = 0; round <= rounds; round++) {
        misses[round > 0 ? round - 1 : 0] = miss_ns();
        for (size_t n = 0; n < SERVED; n++) {
            if (served[n].peer.pid == 0 || !play_round(&served[n], round + 1))
                continue;
            if (round == 0) /* warms up */
                served[n].rounds = 0;
        }
    }
    tell(TLSF, "steps", 0, 0);
    bench_require(fscanf(TLSF->peer.from, "%u", &steps) == 1, "steps");
    for (size_t n = 0; n < SERVED; n++)
        bench_peer_stop(&served[n].peer);
    print_table(rounds, bench_median(misses, rounds), steps);
    return 0;
}
