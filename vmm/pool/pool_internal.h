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
    char *image;    /* FOLDER/NAME.img */
    char *settings; /* FOLDER/NAME.json */
    struct vine__store *store;
    struct vine__filesystem filesystem; /* closed where it is mounted */
    char *point;                        /* where it is mounted, or NULL */
    int point_fd;                       /* -1: it is not */
    struct vine__pool_contents contents;
};

/* "FOLDER/NAME.SUFFIX", for free(). NULL: no memory. */
char *vine__pool_path(const char *folder, const char *name, const char *suffix);

/* The most bytes that a file of a machine may have: by NAME.json, and never more than the image. A
 * larger one, of holes, could not be put back once its guest has filled it. */
uint64_t vine__pool_file_max(const struct vine__pool *pool,
                             const struct vine__pool_settings *settings, enum vine__vm_file file);

/* files.c: what is in the image, mounted or not. Paths are below its root. */
VINE_MUST_CHECK int vine__files_size(const struct vine__pool *pool, const char *path,
                                     uint64_t *ret_size_bytes);
VINE_MUST_CHECK int vine__files_read(const struct vine__pool *pool, const char *path, size_t most,
                                     void **ret_bytes, size_t *ret_size);

/* Read a file from its beginning to its end, piece by piece. */
typedef int (*vine__files_piece_fn)(void *context, const void *bytes, size_t size, uint64_t offset);
VINE_MUST_CHECK int vine__files_pieces(const struct vine__pool *pool, const char *path,
                                       vine__files_piece_fn piece, void *context);

/* change.c: what a pool has from the beginning. */
VINE_MUST_CHECK int vine__pool_contents_create(struct vine__filesystem *filesystem,
                                               struct vine__problem *problem);

void vine__pool_contents_fini(struct vine__pool_contents *contents);

#endif
