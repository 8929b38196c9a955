/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/queues_play.h - what is played over each way of queues.h, by two processes at once.
 *
 * Owns:     what both processes map.
 * Threads:  one a process, but for queues_play_threads.
 * Blocking: an appliance that sleeps; else both spin.
 * Trust:    both sides are ours.
 * Limits:   both processes call the same functions with the same arguments, in the same order. What
 *           they return is what the appliance measures, and nothing in the other process.
 */
#ifndef VINE_BENCH_QUEUES_PLAY_H
#define VINE_BENCH_QUEUES_PLAY_H

#include "queues.h"

/* Which of the two this process is. */
enum { QUEUES_PRODUCERS, QUEUES_APPLIANCE };
extern int queues_side;

/* Map what both have. Before the processes part. */
void queues_prepare(void);

/* Have some producers be the first of the busy ones: a shuffled order. */
void queues_choose_busy(uint32_t producers);

/* How the appliance waits. */
enum queues_wait {
    QUEUES_POLLS,
    QUEUES_SLEEPS,
    QUEUES_SLEEPS_FENCED, /* with a fence for each push instead of a membarrier for each sleep */
};

/* Before each of those below but the last two: empty queues. */
void queues_begin(const struct queues_way *way, uint32_t producers, enum queues_wait wait);

/* All busy producers as fast as they can: millions of tasks a second. */
double queues_play_flood(const struct queues_way *way, uint32_t busy_count);

/* A task of each busy producer, then all of them are taken, and so on; the first time, when none is
 * on any list, is not counted: what the appliance spends on finding and taking a task, and what
 * producers spend on pushing it. */
double queues_play_steps(const struct queues_way *way, uint32_t busy_count, double *ret_push_ns);

struct queues_paced {
    double p50_ns, p99_ns;
    double cpu_ns; /* of the appliance, for a task */
    double calls;  /* of both, for a task */
    double sleeps; /* for a task */
};

/* One task at a time, of any busy producer, with a pause before it. */
struct queues_paced queues_play_paced(const struct queues_way *way, uint32_t busy_count);

/* Both processes push, each for every second producer, and nobody takes: what a push takes the
 * slower of them. */
double queues_play_both(const struct queues_way *way, uint32_t producers);

/* A thread for each producer, all on one processor: millions of tasks a second. */
double queues_play_threads(const struct queues_way *way, uint32_t producers);

/* A cache line to the other process and back, in ns. */
double queues_play_line(void);

#endif
