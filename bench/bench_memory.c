/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime mimalloc */
/*
 * Memory of a core: a pair of malloc and free where the block stays, and the whole way of a block
 * that is allocated on one core, freed on the other and home again. Ours beside mimalloc, libc, and
 * batches that go home with nothing around them.
 *
 *   bench_memory [ROUNDS]    31 without: rounds are short, so that few of them are disturbed
 *
 * Every contest of a round has threads of its own, pinned to a processor each, and they are played
 * in turns. The bare prototype is what there is to be had by batches over mimalloc: no table of
 * owners, no counts, no failures on request, one pair of cores.
 */
#include "bench.h"

#include "arch/cpu/cpu.h"
#include "core/arena/arena.h"
#include "utils/atomic.h"

#include <vine/base.h>

#include <dlfcn.h>
#include <mimalloc.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
    ROUNDS_MAX = 101,
    LIVING = 1024, /* blocks at a time where they stay */
    PAIRS = 300000,
    SENT = 100000, /* blocks that go there and back */
    WARM = 12800,
    AWAY_MAX = 512, /* of them on their way there */
    TURN = 64,      /* blocks that a loop's turn makes, or takes */
    BATCH = 64,
    BATCHES = 32,
};

#define ARENA_BYTES (UINT64_C(256) << 20)
#define LINE        __attribute__((aligned(VINE_CACHE_LINE)))

/* ---- what is compared ------------------------------------------------------------------------ */

struct way {
    const char *name;
    void *(*alloc)(size_t size);
    void (*give)(void *block);      /* where it was allocated */
    void (*give_away)(void *block); /* on the other core */
    void (*end_turn)(void);         /* there */
    void (*take_home)(void);        /* here, each turn */
    bool has_arena;
    double local_ns[ROUNDS_MAX];
    double away_ns[ROUNDS_MAX];
};

static void nothing(void)
{
}

static void *no_alloc(size_t size)
{
    static _Thread_local char memory[4096];

    return memory + (size & 1024);
}

static void no_free(void *block)
{
    (void)block;
}

/* Batches with nothing around them: full ones go home by a pointer in a ring, empty ones come back
 * the same way. */
struct batch {
    uint32_t count;
    void *blocks[BATCH];
};

struct lane {
    uint64_t written LINE;
    uint64_t read LINE;
    struct batch *batches[BATCHES] LINE;
};

static struct lane full;
static struct lane spare;
static struct batch batches[BATCHES];
static struct batch *filling;

static bool lane_push(struct lane *lane, struct batch *batch)
{
    const uint64_t written = vine__load_relaxed_u64(&lane->written);

    if (written - vine__load_acquire_u64(&lane->read) == BATCHES)
        return false;
    lane->batches[written % BATCHES] = batch;
    vine__store_release_u64(&lane->written, written + 1);
    return true;
}

static struct batch *lane_pop(struct lane *lane)
{
    const uint64_t read = vine__load_relaxed_u64(&lane->read);

    if (vine__load_acquire_u64(&lane->written) == read)
        return NULL;

    struct batch *const batch = lane->batches[read % BATCHES];

    vine__store_release_u64(&lane->read, read + 1);
    return batch;
}

static void bare_end_turn(void)
{
    if (filling != NULL && filling->count > 0 && lane_push(&full, filling))
        filling = NULL;
}

static void bare_give_away(void *block)
{
    while (filling == NULL)
        filling = lane_pop(&spare);
    filling->blocks[filling->count++] = block;
    while (filling != NULL && filling->count == BATCH)
        bare_end_turn();
}

static void bare_take_home(void)
{
    for (struct batch *batch; (batch = lane_pop(&full)) != NULL;) {
        for (uint32_t n = 0; n < batch->count; n++) {
            if (n + 4 < batch->count)
                vine__prefetch_to_write(batch->blocks[n + 4]);
            mi_free(batch->blocks[n]);
        }
        batch->count = 0;
        (void)lane_push(&spare, batch);
    }
}

static void our_end_turn(void)
{
    (void)vine__arena_flush_remote();
}

static void our_take_home(void)
{
    (void)vine__arena_take_home();
}

enum { NOTHING, BARE, OURS, MIMALLOC, LIBC, WAYS };

static struct way ways[WAYS] = {
    [NOTHING] = {"the loop alone", no_alloc, no_free, no_free, nothing, nothing},
    [BARE] = {"mimalloc, batches with nothing around them", mi_malloc, mi_free, bare_give_away,
              bare_end_turn, bare_take_home},
    [OURS] = {"ours: malloc and free", malloc, free, free, our_end_turn, our_take_home, true},
    [MIMALLOC] = {"mimalloc", mi_malloc, mi_free, mi_free, nothing, nothing},
    [LIBC] = {"libc", NULL, NULL, NULL, nothing, nothing},
};

static void find_libc(void)
{
    void *const libc = dlopen("libc.so.6", RTLD_NOW | RTLD_NOLOAD);

    bench_require(libc != NULL, "libc.so.6");
    *(void **)&ways[LIBC].alloc = dlsym(libc, "malloc");
    *(void **)&ways[LIBC].give = dlsym(libc, "free");
    ways[LIBC].give_away = ways[LIBC].give;
}

/* 16 to 512 bytes, small ones more often. */
static size_t next_size(uint64_t *random)
{
    static const uint16_t sizes[16] = {16, 16, 24, 32,  32,  40,  48,  64,
                                       64, 80, 96, 128, 160, 200, 320, 512};

    *random ^= *random << 13;
    *random ^= *random >> 7;
    *random ^= *random << 17;
    return sizes[*random & 15];
}

/* ---- the two cores --------------------------------------------------------------------------- */

/* What carries blocks there is the same for all: pointers, published by the turn. */
static struct {
    uint64_t written LINE;
    uint64_t read LINE;
    uint64_t freed; /* beside `read`: by the same core */
    void *blocks[AWAY_MAX] LINE;
} away;

static struct vine__arena *arenas[2];
static struct way *playing;
static pthread_barrier_t together;
static double measured_ns;
static int rounds;

static void enter(int which)
{
    bench_pin(which);
    if (playing->has_arena)
        bench_check(vine__arena_attach(arenas[which]), "attach");
}

/* Of this thread's own time: what somebody else takes of the processor is none of it. */
static uint64_t own_ns(void)
{
    struct timespec now;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void *play_local(void *unused)
{
    static void *blocks[LIVING];
    const struct way *const way = playing;
    uint64_t random = 88172645463325252u;
    uint64_t begin_ns = 0;

    (void)unused;
    enter(1);
    for (int n = 0; n < LIVING; n++)
        blocks[n] = way->alloc(next_size(&random));
    for (int n = -WARM; n < PAIRS; n++) {
        const size_t size = next_size(&random);
        void **const block = &blocks[(random >> 20) % LIVING];

        if (n == 0)
            begin_ns = own_ns();
        way->give(*block);
        *block = way->alloc(size);
        memcpy(*block, &random, sizeof(random)); /* it is used */
    }
    measured_ns = (double)(own_ns() - begin_ns) / PAIRS;
    for (int n = 0; n < LIVING; n++)
        way->give(blocks[n]);
    vine__arena_detach();
    return NULL;
}

/* The core where blocks are at home. */
static void *play_home(void *unused)
{
    const struct way *const way = playing;
    uint64_t random = 88172645463325252u;
    uint64_t sent = 0;
    uint64_t begin_ns = 0;

    (void)unused;
    enter(0);
    (void)pthread_barrier_wait(&together);
    while (sent < WARM + SENT) {
        way->take_home();
        if (sent - vine__load_acquire_u64(&away.read) > AWAY_MAX - TURN) {
            vine__cpu_relax();
            continue;
        }
        if (begin_ns == 0 && sent >= WARM)
            begin_ns = bench_now_ns();
        for (int n = 0; n < TURN; n++) {
            void *const block = way->alloc(next_size(&random));
            memcpy(block, &random, sizeof(random));
            away.blocks[sent++ % AWAY_MAX] = block;
        }
        vine__store_release_u64(&away.written, sent);
    }
    while (vine__load_acquire_u64(&away.freed) < sent)
        way->take_home();
    way->take_home();
    measured_ns = (double)(bench_now_ns() - begin_ns) / SENT;
    (void)pthread_barrier_wait(&together);
    vine__arena_detach();
    return NULL;
}

/* The core where they are freed. */
static void *play_away(void *unused)
{
    const struct way *const way = playing;
    uint64_t read = 0;

    (void)unused;
    enter(1);
    (void)pthread_barrier_wait(&together);
    while (read < WARM + SENT) {
        const uint64_t written = vine__load_acquire_u64(&away.written);

        if (written == read) {
            vine__cpu_relax();
            continue;
        }
        for (uint64_t n = read; n < written; n++)
            way->give_away(away.blocks[n % AWAY_MAX]);
        read = written;
        vine__store_release_u64(&away.read, read);
        way->end_turn();
        vine__store_release_u64(&away.freed, read);
    }
    (void)pthread_barrier_wait(&together);
    vine__arena_detach();
    return NULL;
}

static double play(struct way *way, void *(*first)(void *), void *(*second)(void *))
{
    pthread_t threads[2];

    playing = way;
    away.written = 0;
    away.read = 0;
    away.freed = 0;
    memset(&full, 0, sizeof(full));
    memset(&spare, 0, sizeof(spare));
    filling = NULL;
    for (int n = 0; n < BATCHES; n++) {
        batches[n].count = 0;
        (void)lane_push(&spare, &batches[n]);
    }
    bench_require(pthread_create(&threads[0], NULL, first, NULL) == 0, "pthread_create");
    if (second != NULL)
        bench_require(pthread_create(&threads[1], NULL, second, NULL) == 0, "pthread_create");
    (void)pthread_join(threads[0], NULL);
    if (second != NULL)
        (void)pthread_join(threads[1], NULL);
    return measured_ns;
}

/* ---- the tables ------------------------------------------------------------------------------ */

/* The median of the ratios within a round: what the machine does to a round, it does to both. */
static double ratio(const double *values, const double *base)
{
    double ratios[ROUNDS_MAX];

    for (int n = 0; n < rounds; n++)
        ratios[n] = values[n] / base[n];
    return bench_median(ratios, (size_t)rounds);
}

static double median(const double *values)
{
    double sorted[ROUNDS_MAX];

    memcpy(sorted, values, (size_t)rounds * sizeof(double));
    return bench_median(sorted, (size_t)rounds);
}

/* Somebody else wants the processors: two threads that wait for each other are seldom on both at a
 * time then, and what is measured is the scheduler. */
static bool is_disturbed(const double *values)
{
    double least = values[0];

    for (int n = 1; n < rounds; n++)
        least = values[n] < least ? values[n] : least;
    return median(values) > 2 * least;
}

/* `beside` names what `base` is of. A bar of 0 is none. */
static void print_row(const char *name, const double *values, const double *base,
                      const char *beside, double bar_ns, double bar_ratio)
{
    struct bench_row row = {.limit = "what another process takes of the caches, and of the time"};
    const double value = median(values);

    (void)snprintf(row.what, sizeof(row.what), "%s", name);
    (void)snprintf(row.measured, sizeof(row.measured), "%.1f ns", value);
    if (base != values) {
        const double to_base = ratio(values, base);

        (void)snprintf(row.ratio, sizeof(row.ratio), "%.2f", to_base);
        (void)snprintf(row.beside, sizeof(row.beside), "%s", beside);
        row.is_met = bar_ratio > 0 && to_base <= bar_ratio;
        row.is_open = bar_ratio > 0 && is_disturbed(base);
    }
    if (bar_ns > 0) {
        (void)snprintf(row.bar, sizeof(row.bar), "at most %.0f ns", bar_ns);
        row.is_met = value <= bar_ns;
    } else if (bar_ratio > 0) {
        (void)snprintf(row.bar, sizeof(row.bar), "at most %.1f", bar_ratio);
    }
    bench_table_row(&row);
}

static void print_tables(void)
{
    char note[512];

    (void)snprintf(note, sizeof(note),
                   "One pair of free and malloc, the loop and the choice of a size included; %d "
                   "living blocks of 16 to 512 bytes, small ones more often. Medians of %d "
                   "interleaved rounds of %d pairs.",
                   LIVING, rounds, PAIRS);
    bench_table_begin("Memory of a core: blocks that stay", note);
    for (int n = 0; n < WAYS; n++)
        if (n != BARE) /* which is mimalloc here */
            print_row(ways[n].name, ways[n].local_ns, ways[MIMALLOC].local_ns, "mimalloc",
                      n == OURS ? 10 : 0, 0);
    bench_table_end();

    (void)snprintf(note, sizeof(note),
                   "From block to block in a stream: allocated on one core, carried to another, "
                   "freed there, and home again. What carries them is the same for all, and is the "
                   "loop alone. Medians of %d interleaved rounds of %d blocks.",
                   rounds, SENT);
    bench_table_begin("Memory of a core: blocks that are freed on another one", note);
    for (int n = 0; n < WAYS; n++)
        print_row(ways[n].name, ways[n].away_ns, ways[BARE].away_ns, "batches alone", 0,
                  n == OURS ? 1.1 : 0);
    bench_table_end();
}

int main(int argument_count, char **arguments)
{
    const char *const set = getenv("VINE_BENCH_ROUNDS");
    const char *const text = argument_count > 1 ? arguments[1] : set != NULL ? set : "31";
    const long asked = strtol(text, NULL, 10);

    rounds = asked >= 1 && asked <= ROUNDS_MAX ? (int)asked : 31;

    find_libc();
    bench_require(pthread_barrier_init(&together, NULL, 2) == 0, "pthread_barrier_init");
    for (int n = 0; n < 2; n++) {
        struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;

        options.size_bytes = ARENA_BYTES;
        bench_check(vine__arena_create(&options, &arenas[n], NULL), "an arena");
    }
    for (int round = 0; round < rounds; round++)
        for (int n = 0; n < WAYS; n++) {
            ways[n].local_ns[round] = play(&ways[n], play_local, NULL);
            ways[n].away_ns[round] = play(&ways[n], play_home, play_away);
        }
    print_tables();
    return 0;
}
