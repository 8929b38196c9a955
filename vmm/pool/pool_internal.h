/* SPDX-License-Identifier: Apache-2.0 */
/*
 * pool_internal.h - a pool that is open, to the files of this folder.
 */
#ifndef VINE_VMM_POOL_POOL_INTERNAL_H
#define VINE_VMM_POOL_POOL_INTERNAL_H

#include "vmm/pool/filesystem_internal.h"
#include "vmm/pool/pool.h"
#include "vmm/pool/store_internal.h"

struct vine__pool {
    char *image;    /* FOLDER/NAME.img, or where that leads */
    char *settings; /* FOLDER/NAME.json, or where that leads */
    struct vine__store *store;
    struct vine__filesystem filesystem; /* closed where it is mounted */
    char *point;                        /* where it is mounted, or NULL */
    int point_fd;                       /* -1: it is not */
    struct vine__pool_contents contents;
};

/* "FOLDER/NAME.SUFFIX", for free(). NULL: no memory. */
char *vine__pool_path(const char *folder, const char *name, const char *suffix);

/* resolve.c: the path itself, or where it leads if it is a symbolic link that only we or root can
 * have made; for free(). What is there may be nothing, but is no link. Returns 0; -EPERM: somebody
 * else can have made it; another error. */
VINE_MUST_CHECK int vine__pool_resolve(const char *path, char **ret_path,
                                       struct vine__problem *problem);

/* The most bytes that a file of a machine may have: by NAME.json, and never more than the image. A
 * larger one, of holes, could not be put back once its guest has filled it. */
uint64_t vine__pool_file_max(const struct vine__pool *pool,
                             const struct vine__pool_settings *settings, enum vine__vm_file file);

/* pool.c: vms.json, as it is. */
VINE_MUST_CHECK int vine__pool_read_roll(const struct vine__pool *pool,
                                         struct vine__pool_roll *ret_roll,
                                         struct vine__problem *problem);

/* files.c: what is in the image, mounted or not. Paths are below its root, and so problems call
 * files. What is no ordinary file is not opened, and no symbolic link is followed. */
VINE_MUST_CHECK int vine__files_size(const struct vine__pool *pool, const char *path,
                                     uint64_t *ret_size_bytes, struct vine__problem *problem);

struct vine__files_text {
    char *bytes; /* ended by a zero that does not count; for free() */
    size_t size;
};

VINE_MUST_CHECK int vine__files_read(const struct vine__pool *pool, const char *path, size_t most,
                                     struct vine__files_text *ret_text,
                                     struct vine__problem *problem);

/* Of a file, up to its end. */
struct vine__files_range {
    uint64_t from_bytes, most_bytes;
};

/* Read a part of a file, piece by piece, of which the last may lie behind that part. */
typedef int (*vine__files_piece_fn)(void *context, const void *bytes, size_t size, uint64_t offset);
VINE_MUST_CHECK int vine__files_pieces(const struct vine__pool *pool, const char *path,
                                       const struct vine__files_range *range,
                                       vine__files_piece_fn piece, void *context,
                                       struct vine__problem *problem);

/* change.c: what a pool has from the beginning. */
VINE_MUST_CHECK int vine__pool_contents_create(struct vine__filesystem *filesystem,
                                               struct vine__problem *problem);

void vine__pool_contents_fini(struct vine__pool_contents *contents);

#endif
