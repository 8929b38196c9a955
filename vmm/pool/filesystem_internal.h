/* SPDX-License-Identifier: Apache-2.0 */
/*
 * filesystem_internal.h - the ext4 of an image, by libext2fs.
 *
 * Owns:     libext2fs's books of one image.
 * Threads:  one at a time.
 * Blocking: reads and writes of a file.
 * Trust:    the image may hold anything. What it says of its size is compared with the file before
 *           libext2fs believes it. No symbolic link is followed.
 * Limits:   to be changed, an image must be clean, and have no feature that we cannot keep up.
 */
#ifndef VINE_VMM_POOL_FILESYSTEM_INTERNAL_H
#define VINE_VMM_POOL_FILESYSTEM_INTERNAL_H

#include "vmm/pool/problem.h"
#include "vmm/pool/source.h"
#include "vmm/pool/store_internal.h"

#include <vine/base.h>

#include <stdbool.h>
#include <stdint.h>

struct vine__arrival;

struct vine__filesystem {
    struct vine__store *store;
    ext2_filsys ext2; /* NULL: closed */
};

/* Returns 0; -EINVAL: this is no ext4 that can be read, or changed, and why. */
VINE_MUST_CHECK int vine__filesystem_open(struct vine__store *store, bool is_changing,
                                          struct vine__filesystem *ret_filesystem,
                                          struct vine__problem *problem);

/* Close it, and what was changed is there, or - if `is_good` is not so, or after an error - nothing
 * of it. */
VINE_MUST_CHECK int vine__filesystem_commit(struct vine__filesystem *filesystem, bool is_good,
                                            struct vine__problem *problem);

/* Of one that is only read. */
void vine__filesystem_close(struct vine__filesystem *filesystem);

/* An ordinary file "NAME" or "FOLDER/NAME". Returns 0; -ENOENT; -EINVAL or -EISDIR: it is none;
 * -ENOTDIR; another error. The problem says what, and calls the file by its path in the image. */
VINE_MUST_CHECK int vine__filesystem_find(const struct vine__filesystem *filesystem,
                                          const char *path, ext2_ino_t *ret_inode,
                                          uint64_t *ret_size_bytes, struct vine__problem *problem);

/* Begin reading a file; its size and the descriptor-like handle. */
VINE_MUST_CHECK int vine__filesystem_read_open(const struct vine__filesystem *filesystem,
                                               const char *path, ext2_file_t *ret_file,
                                               uint64_t *ret_size_bytes,
                                               struct vine__problem *problem);

/* The number of free bytes, and of all. */
void vine__filesystem_room(const struct vine__filesystem *filesystem, uint64_t *ret_free_bytes,
                           uint64_t *ret_bytes);

/* Make a folder below the root, if it is not there. */
VINE_MUST_CHECK int vine__filesystem_make_folder(struct vine__filesystem *filesystem,
                                                 const char *name, struct vine__problem *problem);

/* Write a file of these bytes, in place of what has its name. */
VINE_MUST_CHECK int vine__filesystem_put(struct vine__filesystem *filesystem, const char *path,
                                         const void *bytes, size_t size,
                                         struct vine__problem *problem);

/* Make a file of what has arrived, in place of what has its name. */
VINE_MUST_CHECK int vine__filesystem_place(struct vine__filesystem *filesystem, const char *path,
                                           struct vine__arrival *arrival,
                                           struct vine__problem *problem);

/* Remove a file, if it is there, or what else has its name. Returns 0; -EISDIR: it is a folder, and
 * stays; another error. */
VINE_MUST_CHECK int vine__filesystem_remove(struct vine__filesystem *filesystem, const char *path,
                                            struct vine__problem *problem);

/* Visit the names in a folder ("" is the root), but for "." and "..". */
typedef int (*vine__filesystem_visit_fn)(const char *name, void *context);
VINE_MUST_CHECK int vine__filesystem_list(const struct vine__filesystem *filesystem,
                                          const char *folder, vine__filesystem_visit_fn visit,
                                          void *context, struct vine__problem *problem);

#endif
