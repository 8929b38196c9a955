/* SPDX-License-Identifier: Apache-2.0 */
/*
 * bytes_internal.h - whole reads and writes of files of the host.
 */
#ifndef VINE_VMM_POOL_BYTES_INTERNAL_H
#define VINE_VMM_POOL_BYTES_INTERNAL_H

#include <vine/base.h>

#include <stddef.h>
#include <stdint.h>

/* All of the bytes, or an error; the end of the file within them is -EIO. */
VINE_MUST_CHECK int vine__read_at(int fd, void *bytes, size_t size, uint64_t offset);
VINE_MUST_CHECK int vine__write_at(int fd, const void *bytes, size_t size, uint64_t offset);

/* An ordinary file of at most `most` bytes, which no symbolic link leads to; its end is ended by a
 * zero that does not count. Returns 0; -EFBIG; -EINVAL: no ordinary file; another error. */
VINE_MUST_CHECK int vine__read_file(int folder_fd, const char *path, uint64_t most,
                                    void **ret_bytes, size_t *ret_size);

/* What has become of the names in the folder of this path stands a power cut. */
VINE_MUST_CHECK int vine__settle_folder_of(const char *path);

#endif
