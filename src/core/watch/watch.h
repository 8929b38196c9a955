/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/watch/watch.h - a thread beside the reactors, that tells when one of them is blocked, and
 * what all of them are doing when somebody asks.
 *
 * Owns:     that thread, and what it has seen of each core.
 * Threads:  started and stopped by whoever starts reactors.
 * Blocking: stopping waits for the thread, which may be telling something: a second or so.
 * Trust:    not concerned.
 * Limits:   VINE__WATCH_FRAMES of a core's stack.
 *
 * A core is blocked while a turn runs, or waits in a system call. The time in which it only waits
 * for a processor that others have is told, and does not count.
 *
 * Why a thread, and not a timer for each core: a timer on a thread's own processor time sees no
 * system call that waits, which is what mostly blocks a core, and one on the steady clock has to be
 * armed and disarmed around each sleep or it wakes who sleeps. A thread costs the cores nothing: a
 * turn is counted anyway, and that word is all that is looked at. And what is slow about a report,
 * names and a terminal, does not hold up the core further. While all cores sleep so does it, and
 * looks ever more seldom, in the end once a second. Who wakes tells it after what it was woken for,
 * since a system call before that would take most of the time until then: so a core that blocks
 * with the very first work after such a sleep is seen up to a second later than otherwise.
 */
#ifndef VINE_CORE_WATCH_WATCH_H
#define VINE_CORE_WATCH_WATCH_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "core/arena/arena.h"
#include "core/reactor/reactor.h"

#define VINE__WATCH_FRAMES 32

struct vine__thread_places;
struct vine__watch;

/* A core to be watched. */
struct vine__watched {
    struct vine__reactor *reactor; /* made, and not run yet */
    pthread_t thread;              /* that runs it */
    uint32_t number;               /* of that thread, by the kernel */
    struct vine__arena *arena;     /* NULL: nothing is told of it */
};

struct vine__watch_options {
    struct vine__mesh *mesh; /* of all cores, open to aliens while it is watched */
    const struct vine__watched *cores;
    uint32_t core_count;
    const struct vine__thread_places *places; /* where the thread may run; NULL: as its starter */
    uint64_t blocked_ns;                      /* how long a turn may take; 0: as long as it likes */
    uint32_t reports_at_most; /* of a core, each `reports_every_ns`; 0: 5 a minute */
    uint64_t reports_every_ns;
    int signal; /* that asks what all are doing, blocked in all threads; 0: none */
    /* Called when that signal has come, on the watcher's thread; returns whether somebody else sees
     * to it. NULL: nobody does. */
    bool (*is_taken)(void);
};

/* Start to watch. Before the reactors run. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__watch_start(struct vine__watch **ret_watch,
                                      const struct vine__watch_options *options);

/* End the thread. While the reactors and their threads are still there; NULL is allowed. */
void vine__watch_stop(struct vine__watch *watch);

/* When the reactors are gone. NULL is allowed. */
void vine__watch_destroy(struct vine__watch *watch);

#endif
