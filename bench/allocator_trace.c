/* SPDX-License-Identifier: Apache-2.0 */
#include "allocator_trace.h"

#include "arch/clock/clock.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    SAMPLES = 100000, /* pairs that are timed one by one */
    PAIRS_MAX = 4000000,
    PAGE = 4096,
};

struct trace {
    const struct trace_allocator *allocator;
    uint64_t random;
    uint64_t handles[TRACE_BLOCKS];
    uint32_t sizes[TRACE_BLOCKS];
    uint32_t next_index[PAIRS_MAX];
    uint32_t next_size[PAIRS_MAX];
    uint32_t sample_ticks[SAMPLES];
};

static uint64_t random_u64(struct trace *trace)
{
    trace->random ^= trace->random << 13;
    trace->random ^= trace->random >> 7;
    trace->random ^= trace->random << 17;
    return trace->random;
}

static uint32_t random_size(struct trace *trace)
{
    const double unit = (double)(random_u64(trace) >> 11) / 9007199254740992.0;
    return (uint32_t)(16.0 * exp2(12.0 * unit));
}

static void draw(struct trace *trace, uint64_t seed, uint32_t count)
{
    trace->random = seed * 0x9e3779b97f4a7c15u | 1;
    for (uint32_t i = 0; i < count; i++) {
        trace->next_index[i] = (uint32_t)(random_u64(trace) % TRACE_BLOCKS);
        trace->next_size[i] = random_size(trace);
    }
}

static void fail(const struct trace *trace)
{
    (void)fprintf(stderr, "%s: no room\n", trace->allocator->name);
    exit(1);
}

static inline void pair(struct trace *trace, uint32_t i)
{
    const uint32_t index = trace->next_index[i];
    trace->allocator->free(trace->handles[index], index);
    const uint64_t handle = trace->allocator->alloc(trace->next_size[i]);
    if (handle == UINT64_MAX)
        fail(trace);
    trace->handles[index] = handle;
    trace->sizes[index] = trace->next_size[i];
}

static int compare_u32(const void *left, const void *right)
{
    const uint32_t a = *(const uint32_t *)left;
    const uint32_t b = *(const uint32_t *)right;
    return (a > b) - (a < b);
}

static double percentile_ns(struct trace *trace, uint32_t per_mille)
{
    return (double)vine__clock_ticks_to_ns(trace->sample_ticks[SAMPLES / 1000 * per_mille]);
}

/* This thread's own time: another process on the same processor costs us nothing but cache. */
static uint64_t own_ns(void)
{
    struct timespec now;
    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
    return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static void run_pairs(struct trace *trace, uint64_t seed, uint32_t count)
{
    draw(trace, seed, count + SAMPLES);
    const uint64_t begin_ns = own_ns();
    for (uint32_t i = 0; i < count; i++)
        pair(trace, i);
    const uint64_t end_ns = own_ns();

    /* What reading the counter twice costs is part of no pair. */
    uint64_t empty = UINT64_MAX;
    for (uint32_t i = 0; i < 1000; i++) {
        const uint64_t begin = vine__clock_ticks();
        const uint64_t cost = vine__clock_ticks() - begin;
        empty = cost < empty ? cost : empty;
    }
    for (uint32_t i = 0; i < SAMPLES; i++) {
        const uint64_t begin = vine__clock_ticks();
        pair(trace, count + i);
        const uint64_t cost = vine__clock_ticks() - begin;
        trace->sample_ticks[i] = (uint32_t)(cost > empty ? cost - empty : 0);
    }
    qsort(trace->sample_ticks, SAMPLES, sizeof(uint32_t), compare_u32);
    (void)printf("%.1f %.0f %.0f\n", (double)(end_ns - begin_ns) / count, percentile_ns(trace, 500),
                 percentile_ns(trace, 990));
}

static uint64_t resident_bytes(void)
{
    unsigned long total = 0;
    unsigned long resident = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file != NULL) {
        if (fscanf(file, "%lu %lu", &total, &resident) != 2)
            resident = 0;
        (void)fclose(file);
    }
    return (uint64_t)resident * (uint64_t)sysconf(_SC_PAGESIZE);
}

static void touch(const struct trace *trace, uint32_t index)
{
    unsigned char *memory = trace->allocator->memory(trace->handles[index]);
    for (uint32_t at = 0; at < trace->sizes[index]; at += PAGE)
        memory[at] = 1;
    memory[trace->sizes[index] - 1] = 1;
}

static void fill(struct trace *trace, int with_touch)
{
    trace->random = 88172645463325252u;
    for (uint32_t i = 0; i < TRACE_BLOCKS; i++) {
        trace->sizes[i] = random_size(trace);
        trace->handles[i] = trace->allocator->alloc(trace->sizes[i]);
        if (trace->handles[i] == UINT64_MAX)
            fail(trace);
        if (with_touch)
            touch(trace, i);
    }
}

static void run_memory(struct trace *trace, uint64_t seed, uint32_t count)
{
    draw(trace, seed, count);
    const uint64_t before_bytes = resident_bytes();
    fill(trace, 1);
    for (uint32_t i = 0; i < count; i++) {
        pair(trace, i);
        touch(trace, trace->next_index[i]);
    }
    uint64_t live_bytes = 0;
    for (uint32_t i = 0; i < TRACE_BLOCKS; i++)
        live_bytes += trace->sizes[i];
    (void)printf("%.4f\n", (double)(resident_bytes() - before_bytes) / (double)live_bytes);
}

int trace_serve(const struct trace_allocator *allocator)
{
    struct trace *trace = malloc(sizeof(*trace));
    char command[16];
    unsigned long seed;
    unsigned int count;
    int is_filled = 0;

    if (trace == NULL)
        return 1;
    memset(trace, 0, sizeof(*trace)); /* resident from now on */
    trace->allocator = allocator;
    vine__clock_calibrate();
    if (allocator->open() != 0)
        return 1;
    while (scanf("%15s %lu %u", command, &seed, &count) == 3) {
        if (count > PAIRS_MAX - SAMPLES)
            return 2;
        if (strcmp(command, "memory") == 0) {
            run_memory(trace, seed, count);
        } else if (strcmp(command, "steps") == 0) {
            (void)printf("%u\n", allocator->steps != NULL ? allocator->steps() : 0);
        } else {
            if (!is_filled)
                fill(trace, 0);
            is_filled = 1;
            run_pairs(trace, seed, count);
        }
        (void)fflush(stdout);
    }
    free(trace);
    return 0;
}
