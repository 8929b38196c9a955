/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes_internal.h - whole reads and writes of files of the host.
 */
#ifndef VINE_VMM_POOL_BYTES_INTERNAL_H
#define VINE_VMM_POOL_BYTES_INTERNAL_H

#include "vmm/pool/problem.h"

#include <vine/base.h>

#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

/* All of the bytes, or an error; the end of the file within them is -EIO. */
VINE_MUST_CHECK int vine__read_at(int fd, void *bytes, size_t size, uint64_t offset);
VINE_MUST_CHECK int vine__write_at(int fd, const void *bytes, size_t size, uint64_t offset);

/* An ordinary file of at most `most` bytes, which no symbolic link leads to; its end is ended by a
 * zero that does not count. Returns 0, or an error with a problem, which calls it by its path. */
VINE_MUST_CHECK int vine__read_file(const char *path, uint64_t most, void **ret_bytes,
                                    size_t *ret_size, struct vine__problem *problem);

/* Say what lies there instead of an ordinary file, by its mode. Returns -EINVAL; of a folder,
 * -EISDIR. */
int vine__no_file(struct vine__problem *problem, const char *path, mode_t mode);

/* And instead of a folder. Returns -ENOTDIR. */
int vine__no_folder(struct vine__problem *problem, const char *path, mode_t mode);

/* The folder of a path, with a slash at its end, for free(). NULL: no memory. */
char *vine__folder_of(const char *path);

/* What has become of the names in the folder of this path stands a power cut. */
VINE_MUST_CHECK int vine__settle_folder_of(const char *path);

#endif
