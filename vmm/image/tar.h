/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tar.h - the files of a tar archive in memory, one after another, as Debian's packages have them
 * (ustar, with GNU's long names).
 *
 * Trust: the bytes may be anything; what is returned lies within them.
 */
#ifndef VINE_VMM_IMAGE_TAR_H
#define VINE_VMM_IMAGE_TAR_H

#include <stddef.h>

#include <vine/base.h>

#define TAR_PATH_MAX 1024

struct tar {
    const unsigned char *bytes;
    size_t size;
    size_t offset; /* of the next header */
};

struct tar_file {
    char path[TAR_PATH_MAX]; /* without the "./" before it */
    const void *bytes;
    size_t size;
};

/* Go on to the next ordinary file. Returns 1; 0: there is no more; -EBADMSG: the archive is damaged
 * or cut. */
VINE_MUST_CHECK int tar_next(struct tar *tar, struct tar_file *ret_file);

#endif
