/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/plugins/full_disk.c - to be preloaded: a disk that takes VINE_TEST_DISK_BYTES by pwrite and
 * is full then, the last write being a short one. Where a small file system cannot be mounted.
 */
#include <errno.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <sys/types.h>
#include <unistd.h>

static ssize_t write_some(int fd, const void *bytes, size_t size, off_t offset)
{
    static size_t left;
    static int is_known;

    if (!is_known) {
        const char *text = getenv("VINE_TEST_DISK_BYTES");

        left = text != NULL ? strtoul(text, NULL, 10) : 0;
        is_known = 1;
    }
    if (left == 0) {
        errno = ENOSPC;
        return -1;
    }
    if (size > left)
        size = left;

    const ssize_t written = syscall(SYS_pwrite64, fd, bytes, size, offset);

    if (written > 0)
        left -= (size_t)written;
    return written;
}

__attribute__((visibility("default"))) ssize_t pwrite(int fd, const void *bytes, size_t size,
                                                      off_t offset)
{
    return write_some(fd, bytes, size, offset);
}

__attribute__((visibility("default"))) ssize_t pwrite64(int fd, const void *bytes, size_t size,
                                                        off_t offset)
{
    return write_some(fd, bytes, size, offset);
}
