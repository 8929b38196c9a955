/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/topology/topology_internal.h - one function for each source of facts.
 *
 * `root` is the folder that has `proc` and `sys`, without a slash at its end: "" for this machine.
 */
#ifndef VINE_ARCH_TOPOLOGY_TOPOLOGY_INTERNAL_H
#define VINE_ARCH_TOPOLOGY_TOPOLOGY_INTERNAL_H

#include "arch/topology/topology.h"

#define VINE__PROC_FILE_BYTES (1U << 20) /* the mounts of a host with thousands of containers */

/* The whole of a small file below `root`, ended with NUL, without white space at its end. Returns
 * its length, -EFBIG, -ENAMETOOLONG, or what open and read say. */
VINE_MUST_CHECK int vine__proc_read(const char *root, const char *path, char *ret_text,
                                    size_t capacity);

/* The same where the file holds nothing but one decimal number. Returns 0, or -EINVAL, too. */
VINE_MUST_CHECK int vine__proc_read_number(const char *root, const char *path,
                                           uint64_t *ret_number);

/* Add what was found; where there is no room, the greatest of its kind gives way to a lesser. */
void vine__topology_add_fact(struct vine__topology *topology, enum vine__fact_kind kind,
                             uint64_t value, const char *source);

/* hwloc.c: processors, nodes and their memory. */
int vine__topology_find_processors(struct vine__topology *topology, const char *description,
                                   struct vine__config_reason *ret_reason);

/* cgroup.c: what groups of version 2 allow, up to the top. `scratch` has VINE__PROC_FILE_BYTES. */
void vine__topology_find_group(struct vine__topology *topology, const char *root, char *scratch);

/* process.c: mask, limits and memory, by /proc and by the kernel's calls. */
void vine__topology_find_process(struct vine__topology *topology, const char *root, char *scratch);

/* huge.c */
void vine__topology_find_huge_pages(struct vine__topology *topology, const char *root,
                                    const char *path);

/* huge.c: free pages of a size, and those of each node, by /sys alone. */
void vine__topology_count_huge_pages(struct vine__topology *topology, const char *root);

/* words.c: whether the last level of a description in words may be what runs threads. */
bool vine__topology_ends_in_pu(const char *description);

/* words.c: what is wrong with a description that hwloc has not taken, and what would be right. */
void vine__topology_tell_wrong(const char *description, char *ret_wrong, size_t capacity);

#endif
