/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/topology/topology.h - what a machine has, each fact with where it comes from.
 *
 * Owns:     a topology is a value of its own, made once; nothing in it follows the machine later.
 * Threads:  any, since nothing changes it.
 * Blocking: reads small files of /proc and /sys.
 * Trust:    files and descriptions may hold anything; what makes no sense in them is no fact.
 * Limits:   processors below VINE__CPUS_MAX, VINE__FACTS_MAX facts about memory and time.
 *
 * No source is trusted alone: hwloc sums up what /sys says of each node, which after memory was
 * plugged in has been seen to be a third of what /proc/meminfo says. So everything that was found
 * is kept beside its source; who plans with it chooses, and can say from what.
 */
#ifndef VINE_ARCH_TOPOLOGY_TOPOLOGY_H
#define VINE_ARCH_TOPOLOGY_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#include <vine/base.h>

#include "arch/topology/cpus.h"

struct vine__config_reason;

#define VINE__TOPOLOGY_NONE UINT32_MAX
#define VINE__FACTS_MAX     32
#define VINE__SOURCE_BYTES  256 /* longer ones are cut */

/* What runs one thread. They stand in an order in which neighbours are close. */
struct vine__processor {
    uint32_t cpu;     /* the kernel's number */
    uint32_t core;    /* siblings, which share a core's units, have the same */
    uint32_t package; /* VINE__TOPOLOGY_NONE: not known */
    uint32_t cache;   /* those that share a cache of the third level have the same */
    uint32_t node;    /* index into `nodes`: the memory that is closest */
};

struct vine__node {
    uint32_t os_index;
    uint64_t memory_bytes;    /* by hwloc */
    uint64_t huge_page_count; /* free ones of the size in question */
};

/* X(name, what a value of it is) */
#define VINE__FACTS(X)                                                                             \
    X(MEMORY_TOTAL, "bytes that the machine has, as the kernel counts them")                       \
    X(MEMORY_NODES, "bytes that its nodes have together")                                          \
    X(MEMORY_AVAILABLE, "bytes that could be had now")                                             \
    X(MEMORY_LIMIT, "bytes that this process may have")                                            \
    X(TIME_LIMIT, "thousandths of a processor that this process may use")

enum vine__fact_kind {
#define VINE__FACT_ENUM(name, text) VINE__FACT_##name,
    VINE__FACTS(VINE__FACT_ENUM)
#undef VINE__FACT_ENUM
};

struct vine__fact {
    enum vine__fact_kind kind;
    uint64_t value;
    char source[VINE__SOURCE_BYTES];
};

/* Processors that this process may use. */
struct vine__cpus_fact {
    bool is_known;
    struct vine__cpus cpus;
    char source[VINE__SOURCE_BYTES];
};

/* What is known of a path that is said to be huge pages. */
struct vine__huge_pages {
    char path[VINE__SOURCE_BYTES]; /* empty: none was given */
    int error;                     /* why nothing is known: negative; 0: it is a mount of them */
    uint64_t page_bytes;
    uint64_t free_count; /* what is free and not promised to others, as far as the mount goes */
    char source[VINE__SOURCE_BYTES];
};

struct vine__topology {
    bool is_described; /* not this machine */
    char source[VINE__SOURCE_BYTES];
    struct vine__processor *processors;
    uint32_t processor_count;
    uint32_t core_count;
    uint32_t package_count;
    uint32_t cache_count;
    struct vine__node *nodes;
    uint32_t node_count; /* at least 1 */
    struct vine__cpus_fact mask;
    struct vine__cpus_fact group; /* cgroup's cpuset */
    struct vine__fact facts[VINE__FACTS_MAX];
    uint32_t fact_count;
    struct vine__huge_pages huge;
    uint64_t page_bytes;
    uint64_t lock_bytes;  /* RLIMIT_MEMLOCK; UINT64_MAX: no limit */
    bool may_lock_beyond; /* CAP_IPC_LOCK: that limit does not count */
};

struct vine__topology_options {
    const char *description; /* a file of hwloc's XML, or hwloc's words, "pack:2 core:4 pu:2", for a
                                machine that one does not have; NULL: this machine */
    const char *root;        /* the folder that has `proc` and `sys`; NULL: "/", and none for a
                                described machine, of which they know nothing */
    const char *hugepages;   /* a mount of hugetlbfs, or NULL */
};

/*
 * Look at a machine. A source that is absent is no error: what it would have said is not known.
 *
 * Returns 0, -ENOMEM, or another error with its reason: the description is none that hwloc
 *         understands.
 */
VINE_MUST_CHECK int vine__topology_create(struct vine__topology **ret_topology,
                                          const struct vine__topology_options *options,
                                          struct vine__config_reason *ret_reason);

/* NULL is allowed. */
void vine__topology_destroy(struct vine__topology *topology);

/* The least or the greatest fact of a kind, or NULL. */
const struct vine__fact *vine__topology_least(const struct vine__topology *topology,
                                              enum vine__fact_kind kind);
const struct vine__fact *vine__topology_greatest(const struct vine__topology *topology,
                                                 enum vine__fact_kind kind);

#endif
