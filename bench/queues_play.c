/* SPDX-License-Identifier: Apache-2.0 */
#include "queues_play.h"

#include "arch/cpu/cpu.h"

#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <time.h>

#define FLOOD         50000u /* tasks as fast as they go */
#define STEPPED       2048u  /* tasks, one of each busy producer at a time */
#define PACED         300u   /* tasks with a pause before each */
#define PUSHED        1024u  /* tasks of both processes at once */
#define PAUSE_NS      10000u /* to three times as long, for an appliance that polls */
#define LONG_PAUSE_NS 30000u /* the same for one that sleeps */
#define LINE_TRIPS    20000u

/* ---- the two processes ----------------------------------------------------------------------- */

/* A line for each process: how far it is, and what it has to tell. */
struct stage {
    uint64_t met __attribute__((aligned(128))); /* lines are fetched in pairs */
    uint64_t told;
};

static struct stage *stages;
int queues_side;
static uint64_t meetings;
static uint32_t busy[QUEUES_PRODUCERS_MAX];
static struct queues played;

/* Both are here. */
static void meet(void)
{
    meetings++;
    vine__store_release_u64(&stages[queues_side].met, meetings);
    while (vine__load_acquire_u64(&stages[!queues_side].met) < meetings)
        vine__cpu_relax();
}

static void tell(uint64_t what)
{
    vine__store_release_u64(&stages[queues_side].told, what);
}

static void await(uint64_t what)
{
    while (vine__load_acquire_u64(&stages[!queues_side].told) < what)
        vine__cpu_relax();
}

void queues_choose_busy(uint32_t producers)
{
    uint32_t state = 1;

    for (uint32_t n = 0; n < producers; n++)
        busy[n] = n;
    for (uint32_t n = producers - 1; n > 0; n--) {
        state = state * 1664525u + 1013904223u;

        const uint32_t other = (state >> 8) % (n + 1);
        const uint32_t one = busy[n];

        busy[n] = busy[other];
        busy[other] = one;
    }
}

void queues_begin(const struct queues_way *way, uint32_t producers, enum queues_wait wait)
{
    played.producer_count = producers;
    played.sleeps = wait != QUEUES_POLLS;
    played.is_fenced = wait == QUEUES_SLEEPS_FENCED;
    played.calls = 0;
    played.sleep_count = 0;
    played.taken = 0;
    played.ret_latencies = NULL;
    meet(); /* whoever pushed last may still be about to wake */
    if (queues_side == QUEUES_APPLIANCE) {
        memset(played.sleep, 0, sizeof(*played.sleep));
        way->format(&played);
    }
    meet();
    way->open(&played);
    tell(0);
    meet();
}

static void push(const struct queues_way *way, uint32_t producer, const void *message)
{
    while (!way->push(&played, producer, message))
        vine__cpu_relax();
}

static void take_until(const struct queues_way *way, uint64_t taken)
{
    while (played.taken < taken) {
        const uint64_t before = played.taken;

        way->turn(&played);
        if (played.taken != before)
            continue;
        if (played.sleeps)
            queues_sleep(&played, way);
        else
            vine__cpu_relax();
    }
}

/* ---- what is played -------------------------------------------------------------------------- */

double queues_play_flood(const struct queues_way *way, uint32_t busy_count)
{
    static const uint64_t message[QUEUES_BYTES / 8];
    const uint64_t start_ns = bench_now_ns();

    if (queues_side == QUEUES_APPLIANCE) {
        take_until(way, FLOOD);
        return FLOOD * 1e3 / (double)(bench_now_ns() - start_ns);
    }
    for (uint32_t n = 0; n < FLOOD; n++)
        push(way, busy[n % busy_count], message);
    return 0;
}

/* The producers tell in picoseconds. */
double queues_play_steps(const struct queues_way *way, uint32_t busy_count, double *ret_push_ns)
{
    static const uint64_t message[QUEUES_BYTES / 8];
    const uint32_t steps = STEPPED / busy_count > 200 ? 200 : STEPPED / busy_count;
    const double tasks = (double)steps * busy_count;
    uint64_t spent = 0;

    for (uint32_t step = 1; step <= steps + 1; step++) {
        if (queues_side == QUEUES_APPLIANCE)
            await(step);

        const uint64_t start = vine__clock_ticks();

        if (queues_side == QUEUES_APPLIANCE)
            take_until(way, (uint64_t)step * busy_count);
        for (uint32_t n = 0; queues_side == QUEUES_PRODUCERS && n < busy_count; n++)
            push(way, busy[n], message);
        if (step > 1)
            spent += vine__clock_ticks() - start;
        tell(step);
        if (queues_side == QUEUES_PRODUCERS)
            await(step);
    }
    meet();
    if (queues_side == QUEUES_PRODUCERS)
        tell((uint64_t)((double)vine__clock_ticks_to_ns(spent) * 1e3 / tasks));
    meet();
    *ret_push_ns = (double)stages[QUEUES_PRODUCERS].told / 1e3;
    return (double)vine__clock_ticks_to_ns(spent) / tasks;
}

static uint64_t thread_ns(void)
{
    struct timespec time;

    (void)clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
    return (uint64_t)time.tv_sec * 1000000000u + (uint64_t)time.tv_nsec;
}

static void send_paced(const struct queues_way *way, uint32_t busy_count)
{
    const uint64_t pause = vine__clock_ns_to_ticks(played.sleeps ? LONG_PAUSE_NS : PAUSE_NS);
    uint64_t message[QUEUES_BYTES / 8] = {0};
    uint32_t state = 1;

    for (uint32_t n = 0; n < PACED; n++) {
        state = state * 1664525u + 1013904223u;

        const uint64_t until = vine__clock_ticks() + pause + pause * 2 * (state >> 24) / 256;

        while (vine__clock_ticks() < until)
            vine__cpu_relax();
        message[0] = vine__clock_ticks();
        push(way, busy[(state >> 8) % busy_count], message);
    }
}

static int by_size(const void *one, const void *other)
{
    const uint64_t a = *(const uint64_t *)one;
    const uint64_t b = *(const uint64_t *)other;

    return (a > b) - (a < b);
}

struct queues_paced queues_play_paced(const struct queues_way *way, uint32_t busy_count)
{
    static uint64_t latencies[PACED];
    struct queues_paced paced = {0};
    const uint64_t start_ns = thread_ns();

    if (queues_side == QUEUES_PRODUCERS) {
        send_paced(way, busy_count);
        tell(played.calls);
        meet();
        return paced;
    }
    played.ret_latencies = latencies;
    take_until(way, PACED);
    paced.cpu_ns = (double)(thread_ns() - start_ns) / PACED;
    paced.sleeps = (double)played.sleep_count / PACED;
    meet();
    paced.calls = (double)(played.calls + stages[QUEUES_PRODUCERS].told) / PACED;
    qsort(latencies, PACED, sizeof(latencies[0]), by_size);
    paced.p50_ns = (double)vine__clock_ticks_to_ns(latencies[PACED / 2]);
    paced.p99_ns = (double)vine__clock_ticks_to_ns(latencies[PACED * 99 / 100]);
    return paced;
}

double queues_play_both(const struct queues_way *way, uint32_t producers)
{
    static const uint64_t message[QUEUES_BYTES / 8];
    const uint32_t room = producers * QUEUES_OWN_SLOTS;
    const uint32_t pushes = (room < PUSHED ? room : PUSHED) / 2;
    const uint64_t start = vine__clock_ticks();

    for (uint32_t n = 0; n < pushes; n++)
        push(way, (n * 2 + (uint32_t)queues_side) % producers, message);
    tell(vine__clock_ticks() - start);
    meet();

    const uint64_t spent = stages[0].told > stages[1].told ? stages[0].told : stages[1].told;

    return (double)vine__clock_ticks_to_ns(spent) / pushes;
}

/* ---- threads --------------------------------------------------------------------------------- */

struct thread {
    pthread_t thread;
    const struct queues_way *way;
    uint32_t producer, count;
};

static void *be_producer(void *context)
{
    static const uint64_t message[QUEUES_BYTES / 8];
    const struct thread *self = context;

    for (uint32_t n = 0; n < self->count; n++)
        while (!self->way->push(&played, self->producer, message))
            (void)sched_yield(); /* another thread's turn */
    return NULL;
}

double queues_play_threads(const struct queues_way *way, uint32_t producers)
{
    static struct thread threads[128];
    const uint32_t count = FLOOD * 10 / producers;
    uint64_t start_ns;

    bench_require(producers <= sizeof(threads) / sizeof(threads[0]), "threads");
    queues_begin(way, producers, QUEUES_POLLS);
    start_ns = bench_now_ns();
    if (queues_side == QUEUES_APPLIANCE) {
        take_until(way, (uint64_t)count * producers);
        return (double)count * producers * 1e3 / (double)(bench_now_ns() - start_ns);
    }
    for (uint32_t n = 0; n < producers; n++) {
        threads[n] = (struct thread){.way = way, .producer = n, .count = count};
        bench_require(pthread_create(&threads[n].thread, NULL, be_producer, &threads[n]) == 0,
                      "thread");
    }
    for (uint32_t n = 0; n < producers; n++)
        (void)pthread_join(threads[n].thread, NULL);
    return 0;
}

double queues_play_line(void)
{
    uint64_t start_ns;

    meet();
    tell(0);
    meet();
    start_ns = bench_now_ns();
    for (uint32_t n = 1; n <= LINE_TRIPS; n++) {
        if (queues_side == QUEUES_APPLIANCE)
            await(n);
        tell(n);
        if (queues_side == QUEUES_PRODUCERS)
            await(n);
    }
    return (double)(bench_now_ns() - start_ns) / LINE_TRIPS;
}

/* ---- beginning ------------------------------------------------------------------------------- */

static void *map(size_t size)
{
    void *memory =
        mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);

    bench_require(memory != MAP_FAILED, "mmap");
    return memory;
}

void queues_prepare(void)
{
    struct rlimit limit;

    bench_require(getrlimit(RLIMIT_NOFILE, &limit) == 0, "getrlimit");
    limit.rlim_cur = limit.rlim_max;
    bench_require(setrlimit(RLIMIT_NOFILE, &limit) == 0, "setrlimit");
    stages = map(2 * sizeof(*stages));
    played.memory = map(QUEUES_MEMORY_BYTES);
    played.sleep = map(sizeof(*played.sleep));
    played.bell = eventfd(0, EFD_CLOEXEC);
    bench_require(played.bell >= 0, "eventfd");
    queues_make_bells(played.bell);
}
