/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/visits.h - connections that come beside a load, ask once, and go.
 *
 * Owns:     the connections that are open.
 * Threads:  one.
 * Blocking: never: what is not answered yet is looked at again.
 * Trust:    the server may close without an answer: that is counted, and what is measured.
 * Limits:   VISITS_OPEN_MAX open at a time; those that would be more do not come.
 */
#ifndef VINE_BENCH_VISITS_H
#define VINE_BENCH_VISITS_H

#include "asking.h"

#define VISITS_OPEN_MAX 256

struct visits {
    struct asking asking;
    uint32_t port;
    uint64_t every_ns; /* 0: nobody comes */
    uint64_t next_ns;
    int open[VISITS_OPEN_MAX];
    uint32_t open_count;
    uint64_t begun;
    uint64_t good;    /* answered with 200 */
    uint64_t failed;  /* answered with 500 */
    uint64_t dropped; /* closed, reset or answered otherwise */
};

/* Call it often. Begins what is due, and ends what has been answered. */
void visits_turn(struct visits *visits, uint64_t now_ns);

#endif
