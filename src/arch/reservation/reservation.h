/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/reservation/reservation.h - one long range of this process's own memory, on one node, or
 * piece by piece on several.
 *
 * Owns:     the addresses from `base` on: `size_bytes` that may be used, and behind them, up to the
 *           next multiple of the alignment, addresses that nobody may touch.
 * Threads:  any; who closes one sees to it that nobody uses it any more.
 * Blocking: without `lock` no page is touched; with it the kernel zeroes all of them.
 * Trust:    not concerned.
 * Limits:   sizes below 2^47; nodes below 1,024.
 *
 * Caveats:  memory of a process's own, as malloc's is: a child of fork has a copy, and what was
 *           locked is not locked there. Huge pages are promised to this process alone: a child that
 *           writes where the pool has none left is ended by SIGBUS.
 */
#ifndef VINE_ARCH_RESERVATION_RESERVATION_H
#define VINE_ARCH_RESERVATION_RESERVATION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VINE__RESERVATION_NODE_ANY (-1)

/* A stretch of it, and the node from which its pages come while that has any. */
struct vine__reservation_piece {
    int node;
    uint64_t size_bytes; /* whole pages, of the kind that it is made of */
};

struct vine__reservation_options {
    uint64_t size_bytes;
    uint64_t alignment_bytes; /* of the base: a power of two, a page at least */
    int node;                 /* where all pages come from, or VINE__RESERVATION_NODE_ANY */
    /* Instead of `node`: from the first byte on. What lies behind the last one is of any node. */
    const struct vine__reservation_piece *pieces;
    uint32_t piece_count;
    bool huge_pages;              /* from the kernel's pool of its usual size of huge pages */
    const char *huge_page_folder; /* or from this hugetlbfs mount, in its size; NULL: no */
    bool lock;                    /* never paged out; all of it is there at once */
};

struct vine__reservation {
    unsigned char *base; /* NULL: closed */
    uint64_t size_bytes;
    uint64_t mapped_bytes; /* with what lies behind */
};

/* Reserve, map, bind and lock. Any thread.
 *
 * Returns 0; on failure nothing is left behind, and `*ret_what`, if it is not NULL, is a sentence
 * of what failed and what would help:
 *         -EINVAL      impossible options, or no such node;
 *         -ENOTDIR, -ENOENT, -EACCES   of the folder; -EMEDIUMTYPE  it is no mount of hugetlbfs;
 *         -ENOMEM      too few addresses, huge pages, or less than that may be locked;
 *         -EPERM       the kernel does not let this process bind or lock;
 *         or what the system said. */
__attribute__((warn_unused_result)) int
vine__reservation_open(const struct vine__reservation_options *options,
                       struct vine__reservation *ret_reservation, const char **ret_what);

/* Give all of it back. Any thread. A closed one is fine. */
void vine__reservation_close(struct vine__reservation *reservation);

/* How many bytes of it have ever been touched and not been taken away since: of a locked one all.
 * Any thread; as long as a walk over its pages. */
uint64_t vine__reservation_touched(const struct vine__reservation *reservation);

#endif
