/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/storage/beneath.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "utils/bits.h"

#ifndef RESOLVE_CACHED
#define RESOLVE_CACHED 0x20 /* Linux 5.12; what does not know it says -EINVAL */
#endif

#define PAGE_BYTES 4096U
#define TRIES      16 /* against somebody who renames folders on the way all the time */

/* Returns a descriptor or a negative error. A pipe that nobody writes is not waited for. */
static int open_at(int folder_fd, const char *path, uint64_t flags, uint64_t resolve)
{
    const struct open_how how = {
        .flags = O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY | flags,
        .resolve = RESOLVE_NO_MAGICLINKS | resolve,
    };
    const long fd = syscall(SYS_openat2, folder_fd, path, &how, sizeof(how));

    return fd < 0 ? -errno : (int)fd;
}

int vine__beneath_root(const char *path, int *ret_fd)
{
    const int fd = open_at(AT_FDCWD, path, O_DIRECTORY, 0);

    if (fd < 0)
        return fd;
    *ret_fd = fd;
    return 0;
}

static int look_at(int fd, struct vine__beneath_status *ret_status)
{
    struct statx status;

    if (statx(fd, "", AT_EMPTY_PATH | AT_STATX_DONT_SYNC, STATX_TYPE | STATX_SIZE | STATX_MTIME,
              &status) != 0)
        return -errno;
    if (!S_ISREG(status.stx_mode) && !S_ISDIR(status.stx_mode))
        return -EACCES;
    *ret_status = (struct vine__beneath_status){
        .size_bytes = status.stx_size,
        .modified_s = status.stx_mtime.tv_sec,
        .modified_ns = status.stx_mtime.tv_nsec,
        .is_folder = S_ISDIR(status.stx_mode),
    };
    return 0;
}

int vine__beneath_open(int root_fd, const char *path, bool may_wait, int *ret_fd,
                       struct vine__beneath_status *ret_status)
{
    int fd = -EAGAIN, error;

    if (!may_wait) {
        fd = open_at(root_fd, path, 0, RESOLVE_BENEATH | RESOLVE_CACHED);
        if (fd == -EINVAL)
            fd = -EAGAIN;
    }
    for (uint32_t i = 0; may_wait && i < TRIES && fd == -EAGAIN; i++)
        fd = open_at(root_fd, path, 0, RESOLVE_BENEATH);
    if (fd < 0)
        return fd;
    error = look_at(fd, ret_status);
    /* That it does not wait was for the opening alone: some file systems take it for reading. */
    if (error == 0 && fcntl(fd, F_SETFL, 0) != 0)
        error = -errno;
    if (error != 0) {
        (void)close(fd);
        return error;
    }
    *ret_fd = fd;
    return 0;
}

/* ---- what is in memory ----------------------------------------------------------------------- */

int64_t vine__beneath_read_here(int fd, void *bytes, size_t size, uint64_t offset)
{
    const struct iovec part = {.iov_base = bytes, .iov_len = size};
    const ssize_t read = preadv2(fd, &part, 1, (off_t)offset, RWF_NOWAIT);

    return read < 0 ? -errno : read;
}

bool vine__beneath_is_here(int fd, uint64_t offset, size_t size)
{
    char byte;

    /* Where a file system does not know how to say so, reading is what shows. */
    const int64_t first = vine__beneath_read_here(fd, &byte, 1, offset);

    return first != -EAGAIN &&
           (size <= PAGE_BYTES ||
            vine__beneath_read_here(fd, &byte, 1, offset + size - 1) != -EAGAIN);
}

int vine__beneath_fetch(int fd, uint64_t offset, size_t size)
{
    char byte;

    (void)readahead(fd, (off_t)offset, size);
    for (size_t at = 0; at < size; at += PAGE_BYTES)
        if (pread(fd, &byte, 1, (off_t)(offset + at)) < 0)
            return -errno;
    return 0;
}

void vine__beneath_close(int fd)
{
    (void)close(fd);
}
