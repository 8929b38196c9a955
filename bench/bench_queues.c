/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How many queues should lie between the threads of applications and an appliance, and how does
 * the appliance find those that have something? The ways are in queues.h; each is played with 1 to
 * 1,024 producers of which 1, 10 or all are busy, by an appliance that polls, and by one that
 * sleeps as soon as it finds nothing.
 *
 * The appliance has the last processor, and producers have the first one, in a process of their
 * own where one thread is all of them in turn: as many threads would take turns just so, since
 * there is one processor for them, and the scheduler would be what is measured. What that leaves
 * out is measured by itself: two producers that push at one moment, by both processes at once, and
 * real threads on one processor, who lose it while they push.
 *
 *   bench_queues [ROUNDS]    5 without
 */
#include "queues_play.h"

#include "arch/wake/membarrier.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS_MAX 31
#define WAYS       (QUEUES_OWN_COUNT + QUEUES_SHARED_COUNT)

/* How many producers, and how many of them are busy. */
struct crowd {
    uint32_t producers, busy;
};
static const struct crowd crowds[] = {
    {1, 1},   {16, 1},   {16, 10},   {16, 16},  {64, 1},    {64, 10},     {64, 64},
    {256, 1}, {256, 10}, {256, 256}, {1024, 1}, {1024, 10}, {1024, 1024},
};
#define CROWDS (sizeof(crowds) / sizeof(crowds[0]))

static const uint32_t thread_counts[] = {4, 16, 128};
#define THREAD_COUNTS (sizeof(thread_counts) / sizeof(thread_counts[0]))

enum measure {
    POLLED_RATE,
    WOKEN_RATE,
    TAKE_NS,
    PUSH_NS,
    BOTH_PUSH_NS,
    POLLED_P50,
    POLLED_P99,
    WOKEN_P50,
    WOKEN_P99,
    WOKEN_CPU_NS,
    WOKEN_CALLS,
    WOKEN_SLEEPS,
    MEASURES
};

static double results[MEASURES][CROWDS][WAYS][ROUNDS_MAX];
/* Of a sleeping appliance with FENCED_CROWD: M/s, p50, processor time; by who has the fence. */
#define FENCED_CROWD 3
#define FENCED       3
static double fenced[2][FENCED][WAYS][ROUNDS_MAX];
static double lines[ROUNDS_MAX];
static double thread_rates[THREAD_COUNTS][WAYS][ROUNDS_MAX];

static const struct queues_way *way_at(uint32_t n)
{
    return n < QUEUES_OWN_COUNT ? &queues_own[n] : &queues_shared[n - QUEUES_OWN_COUNT];
}

/* ---- rounds ---------------------------------------------------------------------------------- */

static void play_polled(double (*at)[CROWDS][WAYS][ROUNDS_MAX], uint32_t n, uint32_t w, int round)
{
    const struct crowd crowd = crowds[n];
    const struct queues_way *way = way_at(w);
    struct queues_paced paced;

    queues_begin(way, crowd.producers, QUEUES_POLLS);
    at[TAKE_NS][n][w][round] = queues_play_steps(way, crowd.busy, &at[PUSH_NS][n][w][round]);
    queues_begin(way, crowd.producers, QUEUES_POLLS);
    at[POLLED_RATE][n][w][round] = queues_play_flood(way, crowd.busy);
    queues_begin(way, crowd.producers, QUEUES_POLLS);
    paced = queues_play_paced(way, crowd.busy);
    at[POLLED_P50][n][w][round] = paced.p50_ns;
    at[POLLED_P99][n][w][round] = paced.p99_ns;
    if (crowd.producers > 1 && crowd.busy == crowd.producers) {
        queues_begin(way, crowd.producers, QUEUES_POLLS);
        at[BOTH_PUSH_NS][n][w][round] = queues_play_both(way, crowd.producers);
    }
}

static void play_woken(double (*at)[CROWDS][WAYS][ROUNDS_MAX], uint32_t n, uint32_t w, int round)
{
    const struct crowd crowd = crowds[n];
    const struct queues_way *way = way_at(w);
    struct queues_paced paced;

    queues_begin(way, crowd.producers, QUEUES_SLEEPS);
    at[WOKEN_RATE][n][w][round] = queues_play_flood(way, crowd.busy);
    queues_begin(way, crowd.producers, QUEUES_SLEEPS);
    paced = queues_play_paced(way, crowd.busy);
    at[WOKEN_P50][n][w][round] = paced.p50_ns;
    at[WOKEN_P99][n][w][round] = paced.p99_ns;
    at[WOKEN_CPU_NS][n][w][round] = paced.cpu_ns;
    at[WOKEN_CALLS][n][w][round] = paced.calls;
    at[WOKEN_SLEEPS][n][w][round] = paced.sleeps;
}

static void play_fenced(uint32_t w, int round)
{
    const struct crowd crowd = crowds[FENCED_CROWD];
    const struct queues_way *way = way_at(w);

    for (int is_fenced = 0; is_fenced <= 1; is_fenced++) {
        const enum queues_wait wait = is_fenced ? QUEUES_SLEEPS_FENCED : QUEUES_SLEEPS;
        double(*at)[WAYS][ROUNDS_MAX] = fenced[is_fenced];
        struct queues_paced paced;

        queues_begin(way, crowd.producers, wait);
        at[0][w][round] = queues_play_flood(way, crowd.busy);
        queues_begin(way, crowd.producers, wait);
        paced = queues_play_paced(way, crowd.busy);
        at[1][w][round] = paced.p50_ns;
        at[2][w][round] = paced.cpu_ns;
    }
}

/* All of it; the ways by turns, so that each has the same machine. */
static void play(int rounds)
{
    for (int round = -1; round < rounds; round++) {
        const int at = round < 0 ? 0 : round; /* the first one warms up */

        lines[at] = queues_play_line();
        for (uint32_t n = 0; n < CROWDS; n++) {
            queues_choose_busy(crowds[n].producers);
            for (uint32_t w = 0; w < WAYS; w++)
                play_polled(results, n, w, at);
            for (uint32_t w = 0; w < WAYS; w++)
                play_woken(results, n, w, at);
        }
        queues_choose_busy(crowds[FENCED_CROWD].producers);
        for (uint32_t w = 0; w < WAYS; w++)
            play_fenced(w, at);
        for (uint32_t n = 0; n < THREAD_COUNTS; n++)
            for (uint32_t w = 0; w < WAYS; w++)
                thread_rates[n][w][at] = queues_play_threads(way_at(w), thread_counts[n]);
    }
}

/* ---- tables ---------------------------------------------------------------------------------- */

static void print_head(const char *title, const char *first)
{
    printf("### %s\n\n| %s |", title, first);
}

static void print_rule(uint32_t columns)
{
    printf("\n|---|");
    for (uint32_t n = 0; n < columns; n++)
        printf("---:|");
    printf("\n");
}

static void print_value(double value)
{
    printf(value < 10 ? " %.2f |" : value < 100 ? " %.1f |" : " %.0f |", value);
}

static bool is_in_table(enum measure measure, uint32_t n)
{
    return measure != BOTH_PUSH_NS ||
           (crowds[n].producers > 1 && crowds[n].busy == crowds[n].producers);
}

/* A row for each way, a column for each crowd. */
static void print_measure(const char *title, enum measure measure, int rounds)
{
    uint32_t columns = 0;

    print_head(title, "busy of producers");
    for (uint32_t n = 0; n < CROWDS; n++)
        if (is_in_table(measure, n)) {
            printf(" %u of %u |", crowds[n].busy, crowds[n].producers);
            columns++;
        }
    print_rule(columns);
    for (uint32_t w = 0; w < WAYS; w++) {
        printf("| %s |", way_at(w)->name);
        for (uint32_t n = 0; n < CROWDS; n++)
            if (is_in_table(measure, n))
                print_value(bench_median(results[measure][n][w], (size_t)rounds));
        printf("\n");
    }
    printf("\n");
}

static void print_threads(int rounds)
{
    print_head("Threads that share a processor, appliance polls: million tasks a second",
               "threads");
    for (uint32_t n = 0; n < THREAD_COUNTS; n++)
        printf(" %u |", thread_counts[n]);
    print_rule(THREAD_COUNTS);
    for (uint32_t w = 0; w < WAYS; w++) {
        printf("| %s |", way_at(w)->name);
        for (uint32_t n = 0; n < THREAD_COUNTS; n++)
            print_value(bench_median(thread_rates[n][w], (size_t)rounds));
        printf("\n");
    }
    printf("\n");
}

static void print_fenced(int rounds)
{
    print_head(
        "Appliance sleeps, 16 of 16 busy: a membarrier for each sleep, or a fence for each push",
        "million tasks a second; p50 in ns; processor time for a task, ns");
    for (int n = 0; n < FENCED; n++)
        printf(" membarrier | fence |");
    print_rule(2 * FENCED);
    for (uint32_t w = 0; w < WAYS; w++) {
        printf("| %s |", way_at(w)->name);
        for (int n = 0; n < FENCED; n++)
            for (int is_fenced = 0; is_fenced <= 1; is_fenced++)
                print_value(bench_median(fenced[is_fenced][n][w], (size_t)rounds));
        printf("\n");
    }
    printf("\n");
}

static void print_memory(void)
{
    static const uint32_t counts[] = {1, 16, 1024};

    print_head("Shared memory, KiB", "producers");
    for (size_t n = 0; n < 3; n++)
        printf(" %u |", counts[n]);
    print_rule(3);
    for (uint32_t w = 0; w < WAYS; w++) {
        printf("| %s |", way_at(w)->name);
        for (size_t n = 0; n < 3; n++)
            print_value((double)way_at(w)->bytes(counts[n]) / 1024);
        printf("\n");
    }
    printf("\n");
}

static void print_all(int rounds)
{
    static const struct {
        enum measure measure;
        const char *title;
    } titles[] = {
        {TAKE_NS, "Appliance polls: finding and taking a task, ns"},
        {PUSH_NS, "Appliance polls: pushing a task, ns"},
        {BOTH_PUSH_NS, "Two processors push at once: pushing a task, ns"},
        {POLLED_RATE, "Appliance polls: million tasks a second"},
        {POLLED_P50, "Appliance polls: from push to taken, p50 in ns"},
        {POLLED_P99, "Appliance polls: from push to taken, p99 in ns"},
        {WOKEN_RATE, "Appliance sleeps: million tasks a second"},
        {WOKEN_P50, "Appliance sleeps: from push to taken, p50 in ns"},
        {WOKEN_P99, "Appliance sleeps: from push to taken, p99 in ns"},
        {WOKEN_CPU_NS, "Appliance sleeps: its processor time for a task, ns"},
        {WOKEN_CALLS, "Appliance sleeps: system calls of both sides for a task"},
        {WOKEN_SLEEPS, "Appliance sleeps: wake-ups for a task"},
    };

    printf("Medians of %d rounds. A cache line takes %.0f ns to the other processor and back. A "
           "queue of one producer has %u slots, one of many %u.\n\n",
           rounds, bench_median(lines, (size_t)rounds), QUEUES_OWN_SLOTS, QUEUES_SHARED_SLOTS);
    for (size_t n = 0; n < sizeof(titles) / sizeof(titles[0]); n++)
        print_measure(titles[n].title, titles[n].measure, rounds);
    print_fenced(rounds);
    print_threads(rounds);
    print_memory();
}

int main(int argument_count, char **arguments)
{
    const char *asked = argument_count > 1 ? arguments[1] : getenv("VINE_BENCH_ROUNDS");
    const long rounds = asked != NULL ? strtol(asked, NULL, 10) : 5;
    pid_t producers;

    bench_require(rounds >= 1 && rounds <= ROUNDS_MAX, "rounds");
    queues_prepare();
    producers = fork();
    bench_require(producers >= 0, "fork");
    queues_side = producers == 0 ? QUEUES_PRODUCERS : QUEUES_APPLIANCE;
    if (queues_side == QUEUES_PRODUCERS)
        (void)prctl(PR_SET_PDEATHSIG, SIGKILL);
    bench_pin(queues_side);
    bench_check(vine__membarrier_register(), "membarrier");
    vine__clock_calibrate();
    play((int)rounds);
    if (queues_side == QUEUES_PRODUCERS)
        _exit(0);
    print_all((int)rounds);
    (void)waitpid(producers, NULL, 0);
    return 0;
}
