/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bench/family.h - a process and all that descend from it: what they use together.
 *
 * Owns:     nothing, but for the counters of struct family_calls, which are descriptors.
 * Threads:  one.
 * Blocking: never.
 * Trust:    what /proc says.
 * Limits:   FAMILY_MAX processes; counters for FAMILY_THREADS_MAX threads.
 */
#ifndef VINE_BENCH_FAMILY_H
#define VINE_BENCH_FAMILY_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define FAMILY_MAX         64
#define FAMILY_THREADS_MAX 256

struct family {
    pid_t pids[FAMILY_MAX]; /* the first one is whose family it is */
    uint32_t count;
};

void family_find(struct family *family, pid_t first);

/* Processor time of all their threads so far. */
uint64_t family_used_ns(const struct family *family);

/* Memory that is resident and that nobody else maps. */
uint64_t family_private_bytes(const struct family *family);

struct family_calls {
    int fds[FAMILY_THREADS_MAX];
    uint32_t count;
};

/* Count the system calls that their threads, and those which these start, make from now on. It
 * takes a moment for each. Returns whether this process may. */
bool family_calls_open(struct family_calls *calls, const struct family *family);
uint64_t family_calls_read(const struct family_calls *calls);

#endif
