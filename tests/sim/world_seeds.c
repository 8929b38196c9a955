/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Many runs, each batch in a process of its own: a run that breaks, or that an assertion of ours
 * ends, says by what seed, and leaves nothing to the next one.
 */
#include "sim/world_internal.h"

#include "core/arena/arena.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ARENA_BYTES  (2 * VINE__ARENA_STEP_BYTES)
#define STATUS_BROKE 71
#define TRACE_SEEDS  8
#define SECONDS      60 /* after which no further run begins, unless their number was given */
#define SECONDS_LONG 900

/* What the process of a batch tells the one that waits for it. */
static struct report {
    uint64_t seed;
    uint64_t runs, steps;
    uint64_t hashes[2 * TRACE_SEEDS];
    char broken[256];
} *report;

/* Of all cores, which are one thread. NULL: malloc is a sanitizer's, which finds leaks itself. */
static struct vine__arena *arena;

void world_trace(uint64_t what, uint64_t value)
{
    world.hash = (world.hash ^ what) * 0x100000001b3ULL;
    world.hash = (world.hash ^ value ^ world.hash >> 29) * 0x100000001b3ULL;
}

void world_break(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(report->broken, sizeof(report->broken), format, arguments);
    va_end(arguments);
    (void)fprintf(stderr, "seed %llu: %s\n", (unsigned long long)report->seed, report->broken);
    _exit(STATUS_BROKE);
}

/* ---- in the process of a batch --------------------------------------------------------------- */

static void open_arena(void)
{
    struct vine__arena_options options = VINE__ARENA_OPTIONS_DEFAULT;

    options.size_bytes = ARENA_BYTES;
    if (vine__arena_use_for_malloc(true) != 0)
        return;
    if (vine__arena_create(&options, &arena, NULL) != 0 || vine__arena_attach(arena) != 0)
        world_break("no memory");
}

static uint64_t blocks_in_use(void)
{
    struct vine__arena_stats stats = {0};

    if (arena != NULL)
        vine__arena_get_stats(arena, &stats);
    return stats.allocations - stats.frees;
}

static void run_one(void (*run)(uint64_t seed), uint64_t seed, bool is_again)
{
    const uint64_t before = blocks_in_use();

    report->seed = seed;
    world.seed = 0;
    world.hash = 0;
    run(seed);
    world_disk_clear();
    report->runs++;
    report->steps += world.steps;

    const uint64_t left = blocks_in_use() - before;

    /* What modules make when they are first used, and keep, is made once. */
    if (left > 0 && !is_again)
        run_one(run, seed, true);
    else
        world_holds(left == 0, "%lld blocks of memory are left", (long long)left);
}

/* ---- in the other one ------------------------------------------------------------------------ */

/* A sanitizer on a busy machine does in a minute what it can. */
static time_t seconds = SECONDS;

static int run_batch(void (*run)(uint64_t seed), uint64_t first, uint32_t runs, bool is_for_traces)
{
    const time_t start = time(NULL);
    int status = 0;

    if (report == NULL)
        report =
            mmap(NULL, sizeof(*report), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    assert_true(report != MAP_FAILED);
    memset(report, 0, sizeof(*report));
    (void)fflush(NULL);
    /* One alone is somebody's who looks for what is wrong, with a debugger perhaps. */
    const pid_t child = runs > 1 ? fork() : 0;

    assert_true(child >= 0);
    if (child == 0) {
        open_arena();
        for (uint32_t i = 0; i < runs && time(NULL) - start <= seconds; i++) {
            run_one(run, is_for_traces ? first + i / 2 : first + i, false);
            if (is_for_traces)
                report->hashes[i] = world.hash;
        }
        if (runs == 1)
            return 0;
        exit(0); /* through which a sanitizer looks for leaks */
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static uint64_t number_of(const char *name, uint64_t otherwise)
{
    const char *const given = getenv(name);

    return given != NULL ? strtoull(given, NULL, 0) : otherwise;
}

void world_try_seeds(void (*run)(uint64_t seed), uint32_t runs)
{
    const uint64_t first = number_of("VINE_TEST_SEED", (uint64_t)time(NULL) << 20);
    const bool is_long = getenv("VINE_TEST_LONG") != NULL;

    if (getenv("VINE_TEST_RUNS") != NULL)
        seconds = INT32_MAX;
    else if (is_long)
        seconds = SECONDS_LONG;
    runs = (uint32_t)number_of("VINE_TEST_RUNS", is_long ? 10 * (uint64_t)runs : runs);
    const int status = run_batch(run, first, runs, false);

    print_message("seeds from %llu on: %llu runs, %llu steps\n", (unsigned long long)first,
                  (unsigned long long)report->runs, (unsigned long long)report->steps);
    seconds = SECONDS;
    if (status != 0)
        fail_msg("seed %llu: %s (status %#x). It alone: VINE_TEST_SEED=%llu VINE_TEST_RUNS=1",
                 (unsigned long long)report->seed,
                 report->broken[0] != '\0' ? report->broken : "the process has died", status,
                 (unsigned long long)report->seed);
}

bool world_finds(void (*run)(uint64_t seed), uint32_t runs)
{
    const int status = run_batch(run, 1, runs, false);
    const bool is_found = WIFEXITED(status) && WEXITSTATUS(status) == STATUS_BROKE;

    return is_found;
}

void world_try_traces(void (*run)(uint64_t seed))
{
    uint32_t same = 0;

    assert_int_equal(run_batch(run, 1, 2 * TRACE_SEEDS, true), 0);
    for (uint32_t i = 0; i < TRACE_SEEDS; i++) {
        assert_true(report->hashes[2 * i] == report->hashes[2 * i + 1]);
        same += report->hashes[2 * i] == report->hashes[0];
    }
    assert_int_equal(same, 1);
}
