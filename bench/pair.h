/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/pair.h - two pinned processes, the physical limits between them, and medians.
 *
 * Owns:     a partner process and two sealed halves, each written by one side alone.
 * Threads:  one a process.
 * Blocking: the partner sleeps while nobody measures with it.
 * Trust:    both sides are ours.
 * Limits:   two processors; on fewer, the partner shares ours.
 */
#ifndef VINE_BENCH_PAIR_H
#define VINE_BENCH_PAIR_H

#include <stddef.h>
#include <stdint.h>

#define BENCH_ROUNDS 7

/* Which processor this process runs on from now on: the first (0) or the last (1) of those that it
 * may use. */
void bench_pin(int which);

uint64_t bench_now_ns(void);

struct bench_pair;

/* Fork the partner. */
struct bench_pair *bench_pair_start(void);
void bench_pair_stop(struct bench_pair *pair);

/* ns of one round trip, over `count` of them: a line that is written and answered; and the same
 * 64-byte slots as our rings have, in two halves, with the payload copied out. */
double bench_line_round_trip(struct bench_pair *pair, uint32_t count);
double bench_mailbox_round_trip(struct bench_pair *pair, uint32_t count);

double bench_median(double *values, size_t count); /* sorts them */

#endif
