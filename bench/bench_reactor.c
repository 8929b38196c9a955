/* SPDX-License-Identifier: Apache-2.0 */
/* needs: runtime */
/*
 * A call from one core to another and its reply, beside the cache line that has to go there and
 * back, and, when both sleep, beside two eventfds; and what idle cores cost. How often the kernel
 * put both to sleep is counted: a trip for which one of them was awake is another one.
 */
#include "bench.h"

#include <vine/reactor.h>

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <time.h>
#include <unistd.h>

#include "arch/cpu/cpu.h"
#include "core/reactor/reactor.h"
#include "utils/atomic.h"

#define ROUNDS       15
#define TRIPS        200000
#define SLEEPY_TRIPS 5000
#define SLEEPS_LEAST 1.95
#define PAUSE_NS     20000 /* before a call to a sleeper: until it has lain down */
#define IDLE_NS      2000000000ULL
#define CORES        2

struct side {
    pthread_t thread;
    int which;
    uint64_t trips;
    uint64_t spent_ns;
    uint64_t slept; /* how often the kernel has put it to sleep */
};

static struct {
    _Alignas(VINE_CACHE_LINE) uint64_t line;
    _Alignas(VINE_CACHE_LINE) int there;
    int back;
    pthread_barrier_t barrier;
    struct vine__mesh *mesh;
    struct vine__mesh_options options;
} shared;

/* ---- the physical limit ---------------------------------------------------------------------- */

static void *play_line(void *context)
{
    struct side *const side = context;

    bench_pin(side->which);
    (void)pthread_barrier_wait(&shared.barrier);
    const uint64_t start_ns = bench_now_ns();

    /* Odd: there; even: back. One line carries both. */
    for (uint64_t trip = 0; trip < side->trips; trip++) {
        if (side->which == 0) {
            vine__store_release_u64(&shared.line, 2 * trip + 1);
            while (vine__load_acquire_u64(&shared.line) != 2 * trip + 2)
                vine__cpu_relax();
        } else {
            while (vine__load_acquire_u64(&shared.line) != 2 * trip + 1)
                vine__cpu_relax();
            vine__store_release_u64(&shared.line, 2 * trip + 2);
        }
    }
    side->spent_ns = bench_now_ns() - start_ns;
    return NULL;
}

static uint64_t times_slept(void)
{
    struct rusage usage;

    bench_require(getrusage(RUSAGE_THREAD, &usage) == 0, "getrusage");
    return (uint64_t)usage.ru_nvcsw;
}

static uint64_t begin_after_pause(void)
{
    const uint64_t from_ns = bench_now_ns() + PAUSE_NS;
    uint64_t now_ns;

    do
        now_ns = bench_now_ns();
    while (now_ns < from_ns);
    return now_ns;
}

static void *play_eventfd(void *context)
{
    struct side *const side = context;
    const int in = side->which == 0 ? shared.back : shared.there;
    const int out = side->which == 0 ? shared.there : shared.back;
    uint64_t count = 1;

    bench_pin(side->which);
    (void)pthread_barrier_wait(&shared.barrier);
    const uint64_t slept = times_slept();

    for (uint64_t trip = 0; trip < side->trips; trip++) {
        const uint64_t start_ns = side->which == 0 ? begin_after_pause() : 0;

        if (side->which == 0) {
            count = 1;
            bench_require(write(out, &count, sizeof(count)) == sizeof(count), "eventfd");
        }
        bench_require(read(in, &count, sizeof(count)) == sizeof(count), "eventfd");
        if (side->which == 1) {
            count = 1;
            bench_require(write(out, &count, sizeof(count)) == sizeof(count), "eventfd");
        } else {
            side->spent_ns += bench_now_ns() - start_ns;
        }
    }
    side->slept = times_slept() - slept;
    return NULL;
}

/* ---- reactors -------------------------------------------------------------------------------- */

static struct {
    struct vine_core_call call;
    struct vine_work work;
    uint64_t left;
    bool is_sleepy;
    uint64_t start_ns; /* of a trip, if sleepy */
    uint64_t spent_ns;
} caller;

static int64_t answer(void *argument)
{
    (void)argument;
    return 1;
}

static void call_again(struct vine_core_call *call);

static void call_once(void)
{
    if (caller.is_sleepy)
        caller.start_ns = begin_after_pause();
    vine_core_call(&caller.call, 1, answer, NULL, call_again);
}

static void call_again(struct vine_core_call *call)
{
    (void)call;
    if (caller.is_sleepy)
        caller.spent_ns += bench_now_ns() - caller.start_ns;
    if (--caller.left == 0)
        vine_stop(0);
    else
        call_once();
}

static void call_first(struct vine_work *work)
{
    (void)work;
    call_once();
}

static void *play_reactor(void *context)
{
    struct side *const side = context;
    const struct vine__poller_options options = {0};
    struct vine__poller *poller;
    struct vine__reactor *reactor;

    bench_pin(side->which);
    bench_check(vine__poller_create(&poller, &options), "poller");
    bench_check(vine__reactor_create(&reactor, shared.mesh, (uint32_t)side->which, poller),
                "reactor");
    (void)pthread_barrier_wait(&shared.barrier);
    const uint64_t start_ns = bench_now_ns();
    const uint64_t slept = times_slept();

    if (side->which == 0 && side->trips > 0) {
        caller.left = side->trips;
        caller.spent_ns = 0;
        (void)vine__reactor_enter(reactor);
        vine_work_init(&caller.work, call_first);
        vine_work_post(&caller.work);
    }
    vine__reactor_run(reactor);
    side->spent_ns = caller.is_sleepy ? caller.spent_ns : bench_now_ns() - start_ns;
    side->slept = times_slept() - slept;
    (void)pthread_barrier_wait(&shared.barrier);
    vine__reactor_destroy(reactor);
    return NULL;
}

/* ---- contests -------------------------------------------------------------------------------- */

static double play(void *(*fn)(void *), uint64_t trips, double *ret_slept)
{
    struct side sides[CORES] = {{.which = 0, .trips = trips}, {.which = 1, .trips = trips}};

    shared.line = 0;
    (void)pthread_barrier_init(&shared.barrier, NULL, CORES);
    for (int i = 0; i < CORES; i++)
        bench_require(pthread_create(&sides[i].thread, NULL, fn, &sides[i]) == 0, "thread");
    for (int i = 0; i < CORES; i++)
        (void)pthread_join(sides[i].thread, NULL);
    (void)pthread_barrier_destroy(&shared.barrier);
    if (ret_slept != NULL)
        *ret_slept = (double)(sides[0].slept + sides[1].slept) / (double)trips;
    return (double)sides[0].spent_ns / (double)trips;
}

static double play_calls(bool is_polled, uint64_t trips, double *ret_slept)
{
    const struct vine__mesh_options options = {.core_count = CORES, .is_polled = is_polled};

    bench_check(vine__mesh_create(&shared.mesh, &options), "mesh");
    caller.is_sleepy = !is_polled;
    const double ns = play(play_reactor, trips, ret_slept);

    vine__mesh_destroy(shared.mesh);
    return ns;
}

static double spent_seconds(void)
{
    struct rusage usage;

    bench_require(getrusage(RUSAGE_SELF, &usage) == 0, "getrusage");
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static int64_t stop(void *argument)
{
    (void)argument;
    vine_stop(0);
    return 0;
}

/* Processor time that two idle cores use, of one. */
static double idle_portion(void)
{
    const struct vine__mesh_options options = {.core_count = CORES, .idle_poll_ns = 200000};
    const struct timespec moment = {.tv_sec = IDLE_NS / 1000000000, .tv_nsec = 0};
    struct side sides[CORES] = {{.which = 0}, {.which = 1}};
    double before;
    double after;

    bench_check(vine__mesh_create(&shared.mesh, &options), "mesh");
    (void)pthread_barrier_init(&shared.barrier, NULL, CORES);
    for (int i = 0; i < CORES; i++)
        bench_require(pthread_create(&sides[i].thread, NULL, play_reactor, &sides[i]) == 0,
                      "thread");
    vine__mesh_open_to_aliens(shared.mesh);
    (void)nanosleep(&(struct timespec){.tv_nsec = 100000000}, NULL);
    before = spent_seconds();
    (void)nanosleep(&moment, NULL);
    after = spent_seconds();
    bench_check(vine_alien_submit_to(0, stop, NULL), "stop");
    vine__mesh_open_to_aliens(NULL);
    for (int i = 0; i < CORES; i++)
        (void)pthread_join(sides[i].thread, NULL);
    (void)pthread_barrier_destroy(&shared.barrier);
    vine__mesh_destroy(shared.mesh);
    return (after - before) / ((double)IDLE_NS / 1e9);
}

static void row(const char *what, double *measured, double *ratio, const char *beside, double bar)
{
    struct bench_row out = {.is_met = true};

    (void)snprintf(out.what, sizeof(out.what), "%s", what);
    (void)snprintf(out.measured, sizeof(out.measured), "%.0f ns", bench_median(measured, ROUNDS));
    if (ratio != NULL) {
        const double median = bench_median(ratio, ROUNDS);

        (void)snprintf(out.ratio, sizeof(out.ratio), "%.2f (%.2f .. %.2f)", median,
                       ratio[ROUNDS / 4], ratio[3 * ROUNDS / 4]);
        (void)snprintf(out.beside, sizeof(out.beside), "%s", beside);
        (void)snprintf(out.bar, sizeof(out.bar), "at most %.2f", bar);
        out.is_met = median <= bar;
    }
    bench_table_row(&out);
}

int main(void)
{
    double line[ROUNDS], polled[ROUNDS], polled_ratio[ROUNDS];
    double eventfds[ROUNDS], asleep[ROUNDS], asleep_ratio[ROUNDS];
    double eventfds_slept[ROUNDS], slept[ROUNDS];
    struct bench_row sleeps = {.what =
                                   "the same: times that the kernel put a core to sleep, a trip",
                               .bar = "2, so that it is one"};
    struct bench_row idle = {.what = "two idle cores, of one", .bar = "below 0.5 %"};

    shared.there = eventfd(0, EFD_CLOEXEC);
    shared.back = eventfd(0, EFD_CLOEXEC);
    for (int i = 0; i < ROUNDS; i++) {
        line[i] = play(play_line, TRIPS, NULL);
        polled[i] = play_calls(true, TRIPS, NULL);
        polled_ratio[i] = 2 * polled[i] / (line[i] + play(play_line, TRIPS, NULL));
        eventfds[i] = play(play_eventfd, SLEEPY_TRIPS, &eventfds_slept[i]);
        asleep[i] = play_calls(false, SLEEPY_TRIPS, &slept[i]);
        asleep_ratio[i] = 2 * asleep[i] / (eventfds[i] + play(play_eventfd, SLEEPY_TRIPS, NULL));
    }
    const double portion = 100 * idle_portion();

    bench_table_begin("Calls from core to core, reply included",
                      "Medians of 15 rounds; each beside its limit, before and after it.");
    row("a cache line, to and fro", line, NULL, NULL, 0);
    row("call and reply, both polling", polled, polled_ratio, "cache line", 1.3);
    row("two eventfds, to and fro", eventfds, NULL, NULL, 0);
    row("call and reply, both asleep", asleep, asleep_ratio, "two eventfds", 1.1);
    sleeps.is_met = bench_median(slept, ROUNDS) >= SLEEPS_LEAST;
    (void)snprintf(sleeps.measured, sizeof(sleeps.measured), "%.2f", slept[ROUNDS / 2]);
    (void)snprintf(sleeps.beside, sizeof(sleeps.beside), "two eventfds: %.2f",
                   bench_median(eventfds_slept, ROUNDS));
    bench_table_row(&sleeps);
    (void)snprintf(idle.measured, sizeof(idle.measured), "%.3f %%", portion);
    idle.is_met = portion < 0.5;
    bench_table_row(&idle);
    bench_table_end();
    return 0;
}
