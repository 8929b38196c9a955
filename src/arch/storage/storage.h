/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/storage/storage.h - what files of the kernel's say of themselves by calls that may wait.
 *
 * Owns:     nothing; descriptors and buffers are the caller's.
 * Threads:  any; a folder's position belongs to its descriptor.
 * Blocking: as the file system does: not for a reactor's thread.
 * Trust:    what the kernel writes is followed within the bounds that were given.
 * Limits:   none.
 */
#ifndef VINE_ARCH_STORAGE_STORAGE_H
#define VINE_ARCH_STORAGE_STORAGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

/* More than any device wants, but for those whose blocks are larger than a page. */
#define VINE__STORAGE_ALIGN_DEFAULT 4096

/* What direct I/O on an open file has to be aligned to, as its device has it: the size of a logical
 * block, or VINE__STORAGE_ALIGN_DEFAULT where there is no device to ask. For kernels that do not
 * say so of the file itself. */
uint32_t vine__storage_block_bytes(int fd);

/* Whether what is open has places that can be read and written in any order: a pipe, a socket or a
 * terminal has none. Does not wait. */
bool vine__storage_has_places(int fd);

/* Fill `buffer` with the next entries of an open folder, in the kernel's layout. Returns bytes, 0
 * at the end, or a negative error. */
VINE_MUST_CHECK int32_t vine__storage_list(int fd, void *buffer, size_t size, bool from_start);

/* The entry at `position`. Returns where the next one is; 0: there is none within `size`. */
size_t vine__storage_entry(const void *buffer, size_t size, size_t position, const char **ret_name,
                           uint64_t *ret_inode, uint8_t *ret_type);

#endif
