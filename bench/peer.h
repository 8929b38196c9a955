/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/peer.h - programs that are measured by another one: started, told what to do, and stopped.
 *
 * Owns:     the process and the pipes to its standard input and output.
 * Threads:  one.
 * Blocking: while an answer is read.
 * Trust:    both are ours.
 * Limits:   none of its own.
 */
#ifndef VINE_BENCH_PEER_H
#define VINE_BENCH_PEER_H

#include <stdbool.h>
#include <stdio.h>
#include <sys/types.h>

struct bench_peer {
    pid_t pid;
    FILE *to;
    FILE *from;
};

/* Start `program`: a path, or the name of one that lies beside ours. `argument` may be NULL.
 * Returns whether it is there. */
bool bench_peer_start(struct bench_peer *peer, const char *program, const char *argument);

/* The same with all of its arguments, the last one NULL, on a processor: as bench_pin has it, or
 * -1, any. */
bool bench_peer_start_on(struct bench_peer *peer, const char *program,
                         const char *const arguments[], int which);
void bench_peer_stop(struct bench_peer *peer);

#endif
