/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arrival_internal.h - bytes of a file that has no name yet, in blocks of the image that are free.
 *
 * Owns:     the blocks: until it is placed no change of this store takes them, and on the disk they
 *           are free. Whatever ends it, they are nobody's again.
 * Threads:  the pool's.
 * Blocking: writes of a file.
 * Trust:    the bytes may be anything.
 * Limits:   the room in the image; 24 bytes of memory for each run of blocks.
 */
#ifndef VINE_VMM_POOL_ARRIVAL_INTERNAL_H
#define VINE_VMM_POOL_ARRIVAL_INTERNAL_H

#include "vmm/pool/arrival.h"
#include "vmm/pool/filesystem_internal.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <xxhash.h>

/* Blocks that follow each other, in the file and in the image. */
struct vine__run {
    uint64_t logical, physical, count;
};

struct vine__arrival {
    struct vine__arrival *next;          /* of the store's */
    struct vine__filesystem *filesystem; /* NULL: it has no blocks any more */
    struct vine__run *runs;
    size_t run_count, run_room;
    uint64_t done_bytes; /* whole blocks, but for the last ones */
    XXH3_state_t *sum;
};

/* One of no bytes. The file system stays where it is, open, for as long as its store is. Returns 0
 * or -ENOMEM. */
VINE_MUST_CHECK int vine__arrival_begin(struct vine__filesystem *filesystem,
                                        struct vine__arrival **ret_arrival);

/* Read on from the source, at most so many bytes and a piece. Zeros become holes. Returns 0: all of
 * it is there; 1: there is more; -ESTALE: it has no blocks any more; another error. */
VINE_MUST_CHECK int vine__arrival_read(struct vine__arrival *arrival,
                                       const struct vine__source *source, uint64_t most_bytes,
                                       struct vine__problem *problem);

/* The store ends, and they have no blocks any more. */
void vine__arrivals_end(struct vine__store *store);

/* Within a change: an empty file has these blocks, and the size, from now on, and the arrival none.
 * The inode's record is written. */
VINE_MUST_CHECK errcode_t vine__arrival_place(struct vine__arrival *arrival, ext2_ino_t inode);

/* What came. */
void vine__arrival_result(const struct vine__arrival *arrival,
                          struct vine__source_result *ret_result);

/* The bitmap of blocks was read: nobody takes those of arrivals. And before it is written: on the
 * disk they are free. */
void vine__arrivals_mark(const struct vine__store *store, ext2_filsys ext2);
void vine__arrivals_unmark(const struct vine__store *store, ext2_filsys ext2);

#endif
