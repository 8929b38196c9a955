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

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define DUET_HALF_BYTES   (1U << 20)
#define DUET_SHARED_BYTES (1U << 20)
#define DUET_BYTES        56 /* what a message carries in every contest */

struct duet {
    int side;                    /* 0: leads and measures; 1: follows */
    unsigned char *ours;         /* our half */
    const unsigned char *theirs; /* the other's half, read-only */
    unsigned char *shared;       /* written by both */
    uint64_t line;               /* private to duet_lead_line and duet_follow_line */
    uint64_t mail;
    int command[2];
};

typedef void (*duet_fn)(struct duet *duet, uint64_t count);

struct duet_contest {
    const char *name;
    duet_fn lead; /* plays `count` round trips, or sends `count` messages */
    duet_fn follow;
    uint64_t count;
    int is_rate;                        /* the figure is millions a second; else ns a round trip */
    const struct duet_contest *against; /* the reference; NULL: none */
    double bar;                         /* at most this ratio in ns, at least in rate; 0: none */
};

/* The physical limit, and the same slots as our rings have with nothing around them: both play in
 * the first two lines of the halves. */
extern const struct duet_contest duet_line;
extern const struct duet_contest duet_mailbox;

/* Play all contests for `rounds` rounds and print the table. `open` is called once in each process,
 * to prepare what lies in the halves. Returns the program's exit code. */
int duet_play(const char *title, const struct duet_contest *const contests[], size_t count,
              int rounds, void (*open)(struct duet *duet));

/* Offsets in each half, for everyone. */
#define DUET_AT_LINE    0
#define DUET_AT_MAILBOX 64
#define DUET_AT_OPEN    4096 /* from here on the contests' */

void duet_require(int condition, const char *what);

#ifdef __cplusplus
}
#endif

#endif
