/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/memory/reader.h - looks at named memory, as one who takes no part.
 *
 * Owns:     a descriptor, opened for reading; of a device a mapping, which is how it is read.
 * Threads:  one at a time for each reader.
 * Blocking: as the file system does.
 * Trust:    of nobody: what is read is a copy, and memory that is cut off under the reader is a
 *           short read. A mapping would end in SIGBUS there; a device's cannot be cut off.
 * Limits:   offsets below 2^62.
 */
#ifndef VINE_ARCH_MEMORY_READER_H
#define VINE_ARCH_MEMORY_READER_H

#include "arch/memory/memory.h"

struct vine__memory_reader {
    int fd;                      /* -1: closed, or a device's */
    struct vine__memory *memory; /* of a device */
    uint64_t offset_bytes;
    uint32_t owner_uid;
    uint32_t mode;
    char label[256];
};

/* Open posix or file memory of whichever user, or a device's, whoever has that. Of the options,
 * backend, name, offset_bytes, sysfs_root, why. Returns 0; -ENOENT  there is none; -EINVAL  no
 * regular file, or no name; -ELOOP  a link; -EOPNOTSUPP  another backend; of a device as
 * vine__memory_open; or what the system said. */
__attribute__((warn_unused_result)) int
vine__memory_reader_open(struct vine__memory_reader *reader,
                         const struct vine__memory_options *options);

/* Accepts one that is closed. */
void vine__memory_reader_close(struct vine__memory_reader *reader);

/* How many bytes there are at this moment behind the offset; 0 where that cannot be told. */
uint64_t vine__memory_reader_size(const struct vine__memory_reader *reader);

/* Copy what lies at `offset_bytes`. Returns how many bytes were there, which is less than `size`
 * where the memory ends or cannot be read; the rest of `ret_bytes` is zeroed. */
size_t vine__memory_reader_read(const struct vine__memory_reader *reader, uint64_t offset_bytes,
                                void *ret_bytes, size_t size);

#endif
