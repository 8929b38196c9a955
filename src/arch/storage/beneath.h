/* SPDX-License-Identifier: Apache-2.0 */
/*
 * arch/storage/beneath.h - files below a folder, to be read by whoever names them.
 *
 * Owns:     nothing; descriptors are the caller's. They are close-on-exec.
 * Threads:  any.
 * Blocking: as each function says; what may wait is for another thread than a reactor's.
 * Trust:    names are anybody's: neither "..", nor a link, nor one that begins with '/' leads out
 *           of the folder. What a file holds is not looked at.
 * Limits:   none. Linux 5.6 and later; before 5.12 each opening may wait.
 */
#ifndef VINE_ARCH_STORAGE_BENEATH_H
#define VINE_ARCH_STORAGE_BENEATH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

struct vine__beneath_status {
    uint64_t size_bytes;
    int64_t modified_s; /* since 1970 */
    uint32_t modified_ns;
    bool is_folder;
};

/* Open a folder below which others are to be opened. May wait. Returns 0; -ENOSYS: this kernel
 * cannot keep names below a folder; -ENOTDIR and the like. */
VINE_MUST_CHECK int vine__beneath_root(const char *path, int *ret_fd);

/*
 * Open a file or a folder to read it, and say what it is. `may_wait`: for the disk.
 *
 * Returns 0; -EAGAIN: not without waiting; -EXDEV: it leads out of the folder; -EACCES: that, or it
 *         is neither file nor folder; -ENOENT and the like.
 */
VINE_MUST_CHECK int vine__beneath_open(int root_fd, const char *path, bool may_wait, int *ret_fd,
                                       struct vine__beneath_status *ret_status);

/* Whether the ends of a part of a file are in memory, so that reading it will hardly wait. */
bool vine__beneath_is_here(int fd, uint64_t offset, size_t size);

/* Have that part be in memory. Waits for the disk. Returns 0, also where the file ends before it,
 * or what the disk says. */
VINE_MUST_CHECK int vine__beneath_fetch(int fd, uint64_t offset, size_t size);

/* Read what is in memory, without waiting. Returns bytes; 0: the file ends there; -EAGAIN; or what
 * the disk says. */
VINE_MUST_CHECK int64_t vine__beneath_read_here(int fd, void *bytes, size_t size, uint64_t offset);

void vine__beneath_close(int fd);

#endif
