/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/world.h - reactors in one thread, on a machine that is simulated from one seed.
 *
 * Owns:     the clock, the reactors of a run, what they have open, what will happen and when.
 * Threads:  one, for all of it. One world at a time.
 * Blocking: never: where no core has anything to do, the clock goes to what happens next.
 * Trust:    a test's own.
 * Limits:   WORLD_CORES_MAX cores, WORLD_STEPS_MAX steps a run. What modules ask of a kernel past
 *           arch/poll (listings, names of Unix sockets) and descriptors that are passed are not
 *           simulated: they are the kernel's, and world_kernel.c sees to it that whoever waits for
 *           one has the world go on.
 *
 * The modules run as they are: what they hand to arch/poll is taken here (world_disk.c and
 * world_net.c, by way of arch/poll/sim.h), and their sockets are made here (world_socket.c stands
 * in for arch/net/socket.c). A step is a turn of one core, of those that are awake, chosen by
 * chance; one that has nothing to do falls asleep by and by as in its own loop, and has to be woken
 * as there.
 *
 * A run holds, or it breaks: world_break tells how, and ends it. What breaks every run by itself:
 * nothing is left to happen and the reactors have not stopped; or there is no end; the stop was cut
 * short; an operation, a descriptor or a block of memory is left over; an operation on what is not
 * open; a descriptor that is closed with an operation under way.
 */
#ifndef VINE_TESTS_SIM_WORLD_H
#define VINE_TESTS_SIM_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "arch/poll/poll.h"
#include "arch/poll/sim.h"
#include "core/reactor/reactor.h"

#define WORLD_CORES_MAX 8
#define WORLD_STEPS_MAX 400000U

#define US 1000ULL
#define MS 1000000ULL

/* Zeroed fields: no such fault. Chances are of a thousand. */
struct world_options {
    uint32_t core_count;  /* 0: two to eight */
    uint32_t io_queues;   /* cores with an I/O queue; 0: by chance */
    uint32_t backlog_max; /* as of the mesh */
    uint64_t stop_limit_ns;
    uint32_t pause_chance; /* that a core stands still for a while, when it would be stepped */

    uint64_t disk_bytes;        /* of all files together; 0: 64 MiB */
    uint32_t disk_sector_bytes; /* of which a torn write has all or nothing; 0: 512 */
    uint32_t disk_short, disk_interrupt, disk_read_error, disk_write_error, disk_sync_error;
    uint32_t disk_name_error; /* open, rename, and the like */

    uint32_t net_short, net_reset, net_stall, net_lost, net_twice, net_refuse;
    uint32_t net_segment_bytes; /* at once; 0: 1,460 */
    uint32_t net_buffer_bytes;  /* each way of a connection; 0: 16 KiB */
    uint32_t descriptor_max;    /* 0: 1,024 */
};

struct world {
    struct world_options options;
    uint64_t seed;
    uint64_t random;
    uint64_t hash; /* of all that was told to anybody, in order */
    uint64_t now_ns;
    uint64_t seen_ns; /* by who looked at arch/clock last */
    uint64_t steps;
    struct vine__sim *sim;
    struct vine__mesh *mesh;
    uint32_t core_count;
    struct vine__reactor *reactors[WORLD_CORES_MAX];
    struct vine__poller *pollers[WORLD_CORES_MAX];
    bool is_asleep[WORLD_CORES_MAX];
    uint64_t sleeps_until_ns[WORLD_CORES_MAX];
    uint64_t paused_until_ns[WORLD_CORES_MAX];
    bool is_ending; /* nothing is simulated any more: what is under way is cancelled */
};

extern struct world world;

/* ---- chance, and what came of it ------------------------------------------------------------- */

uint64_t world_random(void);

/* Below `count`, which is not 0. */
static inline uint64_t world_chance(uint64_t count)
{
    return world_random() % count;
}

static inline bool world_happens(uint32_t per_thousand)
{
    return per_thousand > 0 && world_chance(1000) < per_thousand;
}

static inline uint64_t world_between(uint64_t least, uint64_t most)
{
    return least + world_chance(most - least + 1);
}

void world_trace(uint64_t what, uint64_t value);

/* The run has broken a rule: it ends here, and with it the process that was made for it. */
__attribute__((format(printf, 1, 2), noreturn)) void world_break(const char *format, ...);

#define world_holds(condition, ...)                                                                \
    do {                                                                                           \
        if (!(condition))                                                                          \
            world_break(__VA_ARGS__);                                                              \
    } while (0)

/* ---- a run ----------------------------------------------------------------------------------- */

/* Make reactors with all that a program's have. Core 0 is entered. The disk stays as it is: see
 * world_disk_clear. */
void world_open(uint64_t seed, const struct world_options *options);

/* Step until the reactors have stopped. */
void world_run(void);

/* The same, or until that time has passed: then core 0 is entered, to do what the test does. */
void world_run_for(uint64_t time_ns);

/* The reactors have stopped: see that nothing is left. */
void world_close(void);

/* The power fails: nobody runs any more, and the disk has what it has (world_disk_crash). */
void world_crash(void);

/* ---- many runs ------------------------------------------------------------------------------- */

/* Run seed by seed, in a process of its own: VINE_TEST_RUNS of them (else `runs`, and no more than
 * a minute has room for) from VINE_TEST_SEED on. Fails if one breaks, with its seed; also for a
 * death of the process. */
void world_try_seeds(void (*run)(uint64_t seed), uint32_t runs);

/* Whether one of `runs` runs breaks, as it should where a rule was broken on purpose. Says how. */
bool world_finds(void (*run)(uint64_t seed), uint32_t runs);

/* Fails unless a few seeds each make the same trace twice, and not all the same one. */
void world_try_traces(void (*run)(uint64_t seed));

/* ---- the disk -------------------------------------------------------------------------------- */

/* What is on it from now on, as of a machine that was just switched on, is what was there when the
 * power failed: all that a sync had brought there, and of what was written since some, by chance,
 * in any order, and of that perhaps not all sectors. Names that were made, changed or removed since
 * the last sync: the first few of these changes. Of world_crash. */
void world_disk_crash(void);

/* Nothing is on it. */
void world_disk_clear(void);

/* Put a file there, whole and synced; read what a program would find. -1: it is not there. */
void world_disk_put(const char *path, const void *bytes, size_t size);
int64_t world_disk_get(const char *path, void *ret_bytes, size_t room_bytes);

/* No fault from now on. */
void world_calm(void);

/* ---- what will happen ------------------------------------------------------------------------ */

struct world_event;
typedef void (*world_event_fn)(struct world_event *event);

/* Its fields are private; zero is one that is not set. */
struct world_event {
    uint64_t due_ns;
    uint64_t order;
    world_event_fn fn;
    uint32_t place; /* in the heap, plus one */
};

void world_at(struct world_event *event, uint64_t due_ns, world_event_fn fn);
void world_after(struct world_event *event, uint64_t least_ns, uint64_t most_ns, world_event_fn fn);
void world_never(struct world_event *event);

#endif
