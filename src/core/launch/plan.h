/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/launch/plan.h - which cores there will be: their processors, memory and I/O queues.
 *
 * Owns:     its own lists; facts and texts are the topology's and the options', which outlive it.
 * Threads:  any, since nothing changes it.
 * Blocking: never: it is computed from a topology and options, and asks the machine nothing.
 * Trust:    the options are the user's: what the machine does not bear is told, all of it at once.
 * Limits:   VINE__PLAN_CORES_MAX cores.
 *
 * Processors. Those that may be used are those that the machine has, the process's mask has and its
 * cgroup has, and of these those of --cpuset. Of them as many as there are cores are chosen: first
 * one of each physical core, then its siblings; each time from the node that has the fewest chosen,
 * and there from the cache that has the fewest. Cores are numbered as the topology has their
 * processors, neighbours next to each other.
 *
 * Memory. The total is the kernel's count, or that of the nodes if the kernel says nothing; the
 * least of the limits counts if it is below. What is left of that beyond the reserve is divided
 * evenly. Each core takes its part from its own node as far as that goes, evenly with the other
 * cores there, and what is missing from the nodes that come next.
 *
 * I/O queues. They are spread over nodes by how many cores they have, and over the cores of a node;
 * a core without one submits through the nearest core before it on its node that has one, or, on a
 * node without any, through one of the nearest node before it that has.
 */
#ifndef VINE_CORE_LAUNCH_PLAN_H
#define VINE_CORE_LAUNCH_PLAN_H

#include <stdbool.h>
#include <stdint.h>

#include "arch/topology/topology.h"
#include "core/arena/arena.h"
#include "core/launch/options.h"

/* A core's arena is made of whole ones of these, and of whole huge pages. */
#define VINE__PLAN_UNIT_BYTES VINE__ARENA_STEP_BYTES
#define VINE__PLAN_CORES_MAX  VINE__ARENAS_MAX /* which are fewer than reactors could be */
#define VINE__PLAN_WHY_BYTES  256

/* A part of a core's memory. */
struct vine__plan_piece {
    uint32_t node; /* index into the topology's nodes */
    uint64_t bytes;
};

struct vine__plan_core {
    uint32_t processor; /* index into the topology's processors */
    uint32_t cpu;       /* the kernel's number of it */
    uint32_t node;      /* index into the topology's nodes: the processor's */
    uint32_t io_core;   /* the core through whose I/O queue it submits; itself: it has one */
    uint64_t memory_bytes;
    const struct vine__plan_piece *pieces; /* from its own node first; together memory_bytes */
    uint32_t piece_count;                  /* at least 1 */
};

/* From which nodes a core's memory is asked, by the kernel's numbers: all of it from one, or
 * piece by piece; with neither from where its thread runs. */
struct vine__plan_place {
    int node; /* or VINE__ARENA_NODE_ANY */
    struct vine__reservation_piece pieces[VINE__ARENA_PIECES_MAX];
    uint32_t piece_count; /* 0, or at least 2 */
};

struct vine__plan {
    struct vine__plan_core *cores;
    uint32_t core_count;
    bool is_pinned;        /* each thread is bound to its processor */
    uint64_t idle_poll_ns; /* how long an idle core polls at most */

    struct vine__cpus allowed; /* what this process may use of the machine */
    struct vine__cpus usable;  /* and --cpuset */
    char cores_why[VINE__PLAN_WHY_BYTES];

    const struct vine__fact *total; /* NULL: nobody says */
    const struct vine__fact *limit; /* the least one, NULL: there is none */
    uint64_t bound_bytes;           /* the lesser of both; 0: nobody says */
    uint64_t reserve_bytes;
    uint64_t memory_bytes; /* of all cores */
    uint64_t unit_bytes;   /* what all parts of memory are multiples of */
    bool is_huge;
    bool is_locked;
    struct vine__plan_piece *pieces;

    uint32_t io_queue_count;
    uint32_t io_requests_max; /* of each queue */
};

/*
 * Returns 0; -EINVAL: what was asked for is not to be had, and `mistakes` names what was asked,
 *         what there is and what would be right; -ENOMEM.
 */
VINE_MUST_CHECK int vine__plan_create(struct vine__plan **ret_plan,
                                      const struct vine__topology *topology,
                                      const struct vine__launch_options *options,
                                      struct vine__mistakes *ret_mistakes);

/* Where the memory of `core` lies: its pieces say so and not its processor, whose node may have
 * none. Of more pieces than an arena knows, those behind the last are left to the kernel. */
struct vine__plan_place vine__plan_place(const struct vine__topology *topology,
                                         const struct vine__plan_core *core);

/* NULL is allowed. */
void vine__plan_destroy(struct vine__plan *plan);

#endif
