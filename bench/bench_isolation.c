/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * What it costs to run a function with the rights of one heap: enter, touch three pages of it,
 * leave, with each guard that there is here, in 10, 100 and 10,000 heaps by turns and at random.
 * Beside it the physical limits: touching the pages alone, and what opens and closes a heap and
 * nothing else, a pair of mprotect or of writes to the rights register. They play in turns.
 *
 * And what it would cost to close the pipes of an appliance for each run as its heap is opened, by
 * mprotect: those halves alone that the appliance writes, or both, each kind in a range of its own.
 *
 *   bench_isolation [ROUNDS]    11 without; VINE_BENCH_ROWS=pipes: of pipes alone
 */
#include "bench.h"

#include "arch/guard/guard.h"
#include "core/heap/heap.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <vine/base.h>

#define HEAPS_MAX  10000U
#define PAGES      3U
#define PAGE       4096U
#define ROUNDS_MAX 99

static struct vine__heap *heaps[HEAPS_MAX];
static uint32_t order[HEAPS_MAX];
static uint32_t heap_count, run_count;

/* ---- what is timed --------------------------------------------------------------------------- */

static void touch(void *context)
{
    volatile uint64_t *const words = context;

    for (uint32_t page = 0; page < PAGES; page++)
        words[page * PAGE / sizeof(*words)]++;
}

static void nothing(void *context)
{
    (void)context;
}

static struct vine__heap *heap_of(uint32_t n)
{
    return heaps[order[n % heap_count]];
}

static void play_touch(void)
{
    for (uint32_t n = 0; n < run_count; n++)
        touch(heap_of(n)->region.start);
}

static void play_run(void)
{
    struct vine__guard_fault fault;

    for (uint32_t n = 0; n < run_count; n++) {
        struct vine__guard_region *const region = &heap_of(n)->region;

        bench_check(vine__guard_run(region, touch, region->start, &fault), "run");
    }
}

static void play_empty(void)
{
    struct vine__guard_fault fault;

    for (uint32_t n = 0; n < run_count; n++)
        bench_check(vine__guard_run(&heap_of(n)->region, nothing, NULL, &fault), "run");
}

static void play_pair(void)
{
    for (uint32_t n = 0; n < run_count; n++) {
        const struct vine__guard_region *const region = &heap_of(n)->region;

        bench_require(mprotect(region->start, region->slot_bytes, PROT_READ | PROT_WRITE) == 0 &&
                          mprotect(region->start, region->slot_bytes, PROT_NONE) == 0,
                      "mprotect");
    }
}

static void play_rights(void)
{
    for (uint32_t n = 0; n < run_count; n++) {
        vine__guard_take_rights();
        vine__guard_take_rights();
    }
}

/* ---- the contests ---------------------------------------------------------------------------- */

enum { TOUCH, BARE, EMPTY, RUN, CONTESTS };

struct contest {
    const char *name;
    void (*play)(void);
    double ns[ROUNDS_MAX];
};

static struct contest contests[CONTESTS];

static void begin(enum vine__guard_kind kind)
{
    static const struct contest all[][CONTESTS] = {
        [VINE__GUARD_NONE] = {[RUN] = {"enter, touch, leave", play_run},
                              [EMPTY] = {"enter, leave", play_empty},
                              [TOUCH] = {"touch alone", play_touch}},
        [VINE__GUARD_MPROTECT] = {[RUN] = {"enter, touch, leave", play_run},
                                  [EMPTY] = {"enter, leave", play_empty},
                                  [BARE] = {"two mprotect alone", play_pair}},
        [VINE__GUARD_PKU] = {[RUN] = {"enter, touch, leave", play_run},
                             [EMPTY] = {"enter, leave", play_empty},
                             [TOUCH] = {"touch alone", play_touch},
                             [BARE] = {"two writes of the rights alone", play_rights}},
    };

    memcpy(contests, all[kind], sizeof(contests));
}

static double play(const struct contest *contest)
{
    const uint64_t begin_ns = bench_now_ns();

    contest->play();
    return (double)(bench_now_ns() - begin_ns) / run_count;
}

static void print(enum vine__guard_kind kind, const char *turn, uint32_t rounds)
{
    const struct contest *const limit = &contests[kind == VINE__GUARD_NONE ? TOUCH : BARE];

    for (size_t n = 0; n < CONTESTS; n++) {
        struct contest *const contest = &contests[n];
        struct bench_row row = {.limit = "cache and TLB misses of pages that are not at hand"};
        double ratios[ROUNDS_MAX];
        double ns;

        if (contest->play == NULL)
            continue;
        for (uint32_t round = 0; round < rounds; round++)
            ratios[round] = contest->ns[round] / limit->ns[round];
        ns = bench_median(contest->ns, rounds);
        (void)snprintf(row.what, sizeof(row.what), "%s, %u heaps %s: %s", vine__guard_name(kind),
                       (unsigned)heap_count, turn, contest->name);
        (void)snprintf(row.measured, sizeof(row.measured), "%.1f ns", ns);
        if (contest != limit) {
            (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f", bench_median(ratios, rounds));
            (void)snprintf(row.beside, sizeof(row.beside), "%s", limit->name);
        }
        if (n == RUN && kind == VINE__GUARD_PKU && heap_count != 100) {
            const double bar_ns = heap_count == 10 ? 40 : 160;

            (void)snprintf(row.bar, sizeof(row.bar), "at most %.0f ns", bar_ns);
            row.is_met = ns <= bar_ns;
        }
        bench_table_row(&row);
    }
}

static void shuffle(bool is_random)
{
    uint64_t state = 88172645463325252u;

    for (uint32_t n = 0; n < heap_count; n++)
        order[n] = n;
    for (uint32_t n = heap_count - 1; is_random && n > 0; n--) {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;

        const uint32_t other = (uint32_t)(state % (n + 1));
        const uint32_t kept = order[n];

        order[n] = order[other];
        order[other] = kept;
    }
}

static void measure(enum vine__guard_kind kind, uint32_t count, bool is_random, uint32_t rounds)
{
    heap_count = count;
    run_count = kind == VINE__GUARD_MPROTECT ? 20000 : 200000;
    begin(kind);
    shuffle(is_random);
    for (uint32_t round = 0; round <= rounds; round++)
        for (size_t n = 0; n < CONTESTS; n++)
            if (contests[n].play != NULL)
                contests[n].ns[round > 0 ? round - 1 : 0] = play(&contests[n]);
    print(kind, is_random ? "at random" : "by turns", rounds);
}

/* Returns whether there is one here. */
static bool open_guard(enum vine__guard_kind kind)
{
    const struct vine__guard_options options = {.wanted = kind};
    char why[VINE__GUARD_WHY_BYTES];

    if (vine__guard_choose(&options, why) != 0) {
        printf("Left out: `%s`, for %s.\n\n", vine__guard_name(kind), why);
        return false;
    }
    bench_check(vine__guard_thread_start(), "a thread's stacks");
    return true;
}

static void run(enum vine__guard_kind kind, uint32_t rounds)
{
    static const uint32_t counts[] = {10, 100, HEAPS_MAX};
    const struct vine__heap_pool_options options = {.count_max = HEAPS_MAX};
    struct vine__heap_pool *pool;
    char title[64], note[256];

    if (!open_guard(kind))
        return;
    bench_check(vine__heap_pool_create(&options, &pool), "a pool");
    for (uint32_t n = 0; n < HEAPS_MAX; n++) {
        bench_check(vine__heap_take(pool, VINE__HEAP_ANY_COLOUR, &heaps[n]), "a heap");
        bench_check(vine__heap_grow(heaps[n], (size_t)PAGES * PAGE), "three pages");
        memset(heaps[n]->region.start, 1, (size_t)PAGES * PAGE);
        vine__guard_close(&heaps[n]->region);
    }
    (void)snprintf(title, sizeof(title), "Isolation by %s", vine__guard_name(kind));
    (void)snprintf(note, sizeof(note),
                   "%u heaps of %u pages in slots of 64 KiB, %u colours. Medians of %u interleaved "
                   "rounds.",
                   HEAPS_MAX, PAGES, (unsigned)vine__guard_colour_count(), rounds);
    bench_table_begin(title, note);
    for (size_t n = 0; n < sizeof(counts) / sizeof(counts[0]); n++) {
        measure(kind, counts[n], false, rounds);
        measure(kind, counts[n], true, rounds);
    }
    bench_table_end();
    for (uint32_t n = 0; n < HEAPS_MAX; n++)
        vine__heap_give(heaps[n]);
    vine__heap_pool_destroy(pool);
    vine__guard_thread_stop();
}

/* ---- pipes ----------------------------------------------------------------------------------- */

#define PIPES_MAX  1000U
#define HALF_BYTES (UINT64_C(256) << 10)
#define HALF_PAGES 4U /* that were touched */
#define PIPE_RUNS  200U

static unsigned char *own_halves, *their_halves; /* each one range, a mapping for each pipe */
static unsigned char *some_heap;

static unsigned char *map_halves(uint32_t count, int protection)
{
    unsigned char *const range = mmap(NULL, count * HALF_BYTES, PROT_NONE,
                                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

    bench_require(range != MAP_FAILED, "a range");
    for (uint32_t n = 0; n < count; n++) {
        const int fd = memfd_create("half", MFD_CLOEXEC);
        unsigned char *half;
        volatile unsigned char sum = 0;

        bench_require(fd >= 0 && ftruncate(fd, (off_t)HALF_BYTES) == 0, "a half");
        half = mmap(range + n * HALF_BYTES, HALF_BYTES, protection, MAP_SHARED | MAP_FIXED, fd, 0);
        bench_require(half != MAP_FAILED, "a half's mapping");
        (void)close(fd);
        for (uint32_t page = 0; page < HALF_PAGES; page++)
            sum = (unsigned char)(sum + half[(size_t)page * PAGE]);
        if ((protection & PROT_WRITE) != 0)
            for (uint32_t page = 0; page < HALF_PAGES; page++)
                half[(size_t)page * PAGE] = 1;
    }
    return range;
}

static void protect_halves(unsigned char *range, uint32_t count, int protection)
{
    bench_require(mprotect(range, count * HALF_BYTES, protection) == 0, "mprotect");
}

/* A run of a heap while so many pipes are closed. Returns ns. */
static double play_pipes(uint32_t count, bool closes_own, bool closes_theirs)
{
    unsigned char *const start = some_heap;
    const uint64_t begin_ns = bench_now_ns();

    for (uint32_t n = 0; n < PIPE_RUNS; n++) {
        if (closes_own)
            protect_halves(own_halves, count, PROT_NONE);
        if (closes_theirs)
            protect_halves(their_halves, count, PROT_NONE);
        bench_require(mprotect(start, PAGES * PAGE, PROT_READ | PROT_WRITE) == 0, "mprotect");
        start[0]++;
        bench_require(mprotect(start, PAGES * PAGE, PROT_NONE) == 0, "mprotect");
        if (closes_theirs)
            protect_halves(their_halves, count, PROT_READ);
        if (closes_own)
            protect_halves(own_halves, count, PROT_READ | PROT_WRITE);
        own_halves[(size_t)(n % count) * HALF_BYTES]++; /* the loop goes on with a pipe */
    }
    return (double)(bench_now_ns() - begin_ns) / PIPE_RUNS;
}

static void print_pipes(uint32_t count, const char *what, double *ns, double *alone_ns,
                        uint32_t rounds)
{
    struct bench_row row = {.limit = NULL};
    double ratios[ROUNDS_MAX];

    for (uint32_t round = 0; round < rounds; round++)
        ratios[round] = ns[round] / alone_ns[round];
    (void)snprintf(row.what, sizeof row.what, "%u: %s", count, what);
    (void)snprintf(row.beside, sizeof row.beside, "the heap alone");
    (void)snprintf(row.ratio, sizeof row.ratio, "%.2f", bench_median(ratios, rounds));
    (void)snprintf(row.measured, sizeof row.measured, "%.0f ns", bench_median(ns, rounds));
    bench_table_row(&row);
}

static void measure_pipes(uint32_t count, uint32_t rounds)
{
    double alone[ROUNDS_MAX], own[ROUNDS_MAX], both[ROUNDS_MAX], alone_too[ROUNDS_MAX];

    own_halves = map_halves(count, PROT_READ | PROT_WRITE);
    their_halves = map_halves(count, PROT_READ);
    for (uint32_t round = 0; round < rounds; round++) {
        alone[round] = play_pipes(count, false, false);
        own[round] = play_pipes(count, true, false);
        both[round] = play_pipes(count, true, true);
    }
    memcpy(alone_too, alone, sizeof alone);
    print_pipes(count, "a heap alone", alone_too, alone, rounds);
    print_pipes(count, "and what the appliance writes", own, alone, rounds);
    print_pipes(count, "and both halves", both, alone, rounds);
    (void)munmap(own_halves, count * HALF_BYTES);
    (void)munmap(their_halves, count * HALF_BYTES);
}

static void run_pipes(uint32_t rounds)
{
    static const uint32_t counts[] = {1, 10, 100, PIPES_MAX};

    some_heap =
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    bench_require(some_heap != MAP_FAILED, "a heap");
    some_heap[0] = 1;
    bench_require(mprotect(some_heap, PAGES * PAGE, PROT_NONE) == 0, "mprotect");
    bench_table_begin("Closing pipes for each run, by `mprotect`, so many of them",
                      "Medians of interleaved rounds, of one thread; where others run, each change "
                      "waits for them.");
    for (size_t i = 0; i < sizeof counts / sizeof counts[0]; i++)
        measure_pipes(counts[i], rounds);
    bench_table_end();
}

int main(int argument_count, char **arguments)
{
    const char *asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const char *wanted = getenv("VINE_BENCH_ROWS");
    const long rounds_asked = asked != NULL ? strtol(asked, NULL, 10) : 11;
    const uint32_t rounds = (uint32_t)rounds_asked;

    bench_require(rounds_asked >= 1 && rounds_asked <= ROUNDS_MAX, "rounds");
    bench_pin(1);
    if (wanted == NULL || strcmp(wanted, "pipes") != 0) {
        run(VINE__GUARD_NONE, rounds);
        run(VINE__GUARD_MPROTECT, rounds);
        run(VINE__GUARD_PKU, rounds);
    }
    run_pipes(rounds);
    return 0;
}
