/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_internal.h - an image as memory that changes as a whole or not at all.
 *
 * Owns:     the image's descriptor, with its locks, and what is to be written over it.
 * Threads:  one at a time.
 * Blocking: reads and writes of a file; vine__store_commit waits for who reads the image.
 * Trust:    neither image nor journal is believed anything: an index lies within the image, or the
 *           journal is none.
 * Limits:   what is written over blocks in use is held in memory until it is committed.
 *
 * A block that was free when an operation began is written where it lies: nobody looks at it until
 * the operation is over, nor afterwards if it came to nothing. What was in use is collected,
 * written to NAME.img.journal with a sum over it, and from there into the image. Whoever opens the
 * image beside a whole journal sees the image with the journal over it; the next one that may
 * write it finishes the work. So an operation is there when its journal is.
 *
 * Locks are the kernel's, on bytes of the image (OFD): WRITER, held by the one who may change it;
 * CONTENT, shared by readers and exclusive while a journal goes into the image; MOUNTED, exclusive
 * while the kernel has the image mounted.
 */
#ifndef VINE_VMM_POOL_STORE_INTERNAL_H
#define VINE_VMM_POOL_STORE_INTERNAL_H

#include "vmm/pool/overlay_internal.h"
#include "vmm/pool/problem.h"

#include <vine/base.h>

#include <stdbool.h>
#include <stdint.h>

#include <ext2fs/ext2fs.h>

struct vine__store {
    int fd;
    char *path;    /* of the image */
    char *journal; /* and of its journal */
    uint64_t size_bytes;
    bool is_own; /* ours is the lock WRITER */
    bool is_changing;
    struct vine__overlay overlay;
    /* While an operation changes the image: what was free when it began. Until then, and once the
     * operation is over, NULL: nothing may be written where it lies. */
    ext2fs_block_bitmap free_before;
    ext2_filsys filesystem;         /* whose numbers of blocks the bitmap has */
    struct vine__arrival *arrivals; /* what lies in blocks that are free, or are said to be */
    int io_error;                   /* the first one, as errno */
};

/*
 * Open an image, to read it, or to be the one who may change it, which finishes or forgets what a
 * crash has left.
 *
 * Returns 0; -ENOENT; -EBUSY: somebody else may change it, or it is mounted; another error.
 */
VINE_MUST_CHECK int vine__store_open(const char *path, bool is_own, struct vine__store **ret_store,
                                     struct vine__problem *problem);
void vine__store_close(struct vine__store *store);

/* The kernel is about to have it mounted, and we keep everybody else off. Returns 0 or -EBUSY. */
VINE_MUST_CHECK int vine__store_lock_mounted(struct vine__store *store);

/* The manager by which libext2fs reads and writes the store. */
io_manager vine__store_manager(struct vine__store *store);

/* Begin: from here on, what is free in the file system's bitmap is written where it lies. The
 * bitmap has been read. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__store_begin(struct vine__store *store, ext2_filsys filesystem);

/* End: all that was written is there, or - after an error - nothing. The file system is closed. */
VINE_MUST_CHECK int vine__store_commit(struct vine__store *store, struct vine__problem *problem);
void vine__store_abandon(struct vine__store *store);

/* Write bytes: within an operation, and what is free outside of one. Returns 0 or an error. */
VINE_MUST_CHECK int vine__store_write(struct vine__store *store, const void *bytes, size_t size,
                                      uint64_t offset);

/* What was written is on the disk. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__store_sync(const struct vine__store *store);

/* Bytes of the image as they are now, with what was collected. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__store_read(struct vine__store *store, void *bytes, size_t size,
                                     uint64_t offset);

/* ---- journal.c ------------------------------------------------------------------------------- */

/* The sum of the image's superblock, as it lies there. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__journal_superblock_sum(int fd,
                                                 unsigned char ret_sum[VINE_JOURNAL_SUM_BYTES]);

/* Write the overlay, sorted, to the journal, so that it stands a power cut. Returns 0 or a negative
 * error, and then there is none. */
VINE_MUST_CHECK int vine__journal_write(struct vine__store *store);

/* Read a whole journal into the overlay. Returns 0, with none in it if there is no journal, or a
 * part of one, which *ret_is_there tells; -ESTALE: it is for another state of the image; another
 * error. The problem says what. */
VINE_MUST_CHECK int vine__journal_read(struct vine__store *store, bool *ret_is_there,
                                       struct vine__problem *problem);

/* Whether an image has a journal, whole or not. */
bool vine__journal_is_there(const char *image);

/* Remove that of an image that is about to be made anew. */
void vine__journal_forget(const char *image);

/* Remove it, if it is there. Returns 0 or a negative error. */
VINE_MUST_CHECK int vine__journal_remove(struct vine__store *store);

#endif
