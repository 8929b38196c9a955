/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/duet.h - contests between ways to talk, each played by two pinned processes.
 *
 * Owns:     the partner process; two halves of sealed memory, each written by one process and
 *           mapped read-only, by itself, in the other; and some memory that both write, for rings
 *           that want it so.
 * Threads:  one a process.
 * Blocking: the partner sleeps in a pipe while no contest is played.
 * Trust:    both sides are ours.
 * Limits:   two processors; with one, the figures mean nothing and a line says so.
 *
 * Machines change their speed while one looks. So a contest's ratio is to a reference that is
 * played right before and right after it, and the figure is the median of the ratios of all rounds.
 */
#ifndef VINE_BENCH_DUET_H
#define VINE_BENCH_DUET_H

#include "bench.h"

#ifdef __cplusplus
extern "C" {
#endif

#define DUET_HALF_BYTES   (1U << 20)
#define DUET_SHARED_BYTES (1U << 20)
#define DUET_BYTES        56     /* what a message carries, unless its contest says otherwise */
#define DUET_SHARED_NS    60     /* a line's round trip below this: it stays where it is */
#define DUET_NEAR_NS      350    /* below this: the processors are near each other */
#define DUET_LARGE_BYTES  65536u /* the largest message */

/* Offsets in each half. */
#define DUET_AT_LINE    0
#define DUET_AT_MAILBOX 64
#define DUET_AT_CARRY   4096u      /* see carry.h */
#define DUET_AT_OPEN    (1U << 19) /* from here on the contests' */

struct duet {
    int side;                    /* 0: leads and measures; 1: follows */
    unsigned char *ours;         /* our half */
    const unsigned char *theirs; /* the other's half, read-only */
    unsigned char *shared;       /* written by both */
    size_t bytes;                /* of a message of the contest that is played */
    uint64_t spent_ns;           /* set by a lead that knows better than the clock; 0: the clock */
    uint64_t line;               /* private to duet.c */
    uint64_t mail;
    int command[2];
};

typedef void (*duet_fn)(struct duet *duet, uint64_t count);

enum duet_unit {
    DUET_NS,        /* a round trip */
    DUET_MILLIONS,  /* messages a second */
    DUET_GIGABYTES, /* a second, of `bytes` each time */
};

struct duet_contest {
    const char *name;
    duet_fn lead;   /* plays `count` round trips, or sends `count` messages */
    duet_fn follow; /* NULL: the partner sleeps, and leaves its processor to somebody else */
    uint64_t count;
    size_t bytes; /* 0: DUET_BYTES */
    enum duet_unit unit;
    const struct duet_contest *against; /* the reference; NULL: none */
    double bar;                         /* at most this ratio in ns, at least in rates; 0: none */
    double bar_near; /* a rate that is wanted instead where it is near; 0: none */
    /* The ratio is to how often the reference, in ns, goes into a second, in millions: messages in
     * one round trip. */
    bool is_per_trip;
    /* Limited by the line between two processors: no reference where they share a first cache. */
    bool is_line_bound;
    const char *limit; /* what limits it, said if the bar is not met */
};

/* The physical limit, and the same slots as our rings have with nothing around them: both play in
 * the first lines of the halves. */
extern const struct duet_contest duet_line;
extern const struct duet_contest duet_mailbox;

/* Play all contests, up to a NULL, for `rounds` rounds and print the table. `open` (or NULL) is
 * called once in each process, to prepare what lies in the halves. */
void duet_play(const char *title, const struct duet_contest *const contests[], int rounds,
               void (*open)(struct duet *duet));

/* The number of rounds that a program was called with; without, $VINE_BENCH_ROUNDS or
 * `otherwise`. */
int duet_rounds(int argument_count, char **arguments, int otherwise);

#ifdef __cplusplus
}
#endif

#endif
