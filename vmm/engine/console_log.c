/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A log that QEMU appends to, and that it keeps open: the file stays, and its beginning moves away.
 *
 * PATH.new is a copy of the beginning while that is cut off, and then becomes PATH.1. If we end in
 * between, PATH either begins with all of PATH.new, and nothing was cut off yet, or it does not.
 * What is too old for PATH.1 is cut off before that; where a file cannot lose its beginning, it is
 * left out of the copy, and is still in PATH if we end then: it is too long, and moved again.
 * Nobody locks anything: QEMU, which its guest may rule, has PATH open, and could lock it for good.
 * Who reads looks where the older bytes are, before and behind that.
 */
#include "vmm/engine/console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES 65536
#define TURNS_MAX   4 /* of who reads while it is rotated again and again */

struct log {
    int fd;
    char *old;    /* PATH.1 */
    char *copy;   /* PATH.new */
    char *pieces; /* room for two */
};

static void close_log(struct log *log)
{
    if (log->fd >= 0)
        (void)close(log->fd);
    free(log->old);
    free(log->copy);
    free(log->pieces);
}

/* Returns 1 and an open log; 0 if there is none; or a negative error. */
static int open_log(const char *path, struct log *ret_log)
{
    struct log log = {.fd = open(path, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC)};
    int error = 0;

    if (log.fd < 0)
        return errno == ENOENT ? 0 : -errno;
    if (asprintf(&log.old, "%s.1", path) < 0)
        log.old = NULL;
    if (asprintf(&log.copy, "%s.new", path) < 0)
        log.copy = NULL;
    log.pieces = malloc((size_t)2 * PIECE_BYTES);
    if (log.old == NULL || log.copy == NULL || log.pieces == NULL)
        error = -ENOMEM;
    if (error != 0) {
        close_log(&log);
        return error;
    }
    *ret_log = log;
    return 1;
}

static off_t size_of(int fd)
{
    struct stat status;

    return fstat(fd, &status) == 0 ? status.st_size : 0;
}

/* Read so many bytes, or as many as there are. */
static size_t read_at(int fd, char *bytes, size_t size, off_t from)
{
    size_t done = 0;

    while (done < size) {
        const ssize_t count = pread(fd, bytes + done, size - done, from + (off_t)done);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        done += (size_t)count;
    }
    return done;
}

/* Copy from `*at` on up to `end`. Returns 0, or what the system said. */
static int copy_to(const struct log *log, int copy_fd, off_t *at, off_t end)
{
    while (*at < end) {
        const size_t wanted = end - *at < PIECE_BYTES ? (size_t)(end - *at) : PIECE_BYTES;
        const size_t size = read_at(log->fd, log->pieces, wanted, *at);

        if (size == 0)
            return -EIO;
        for (size_t done = 0; done < size;) {
            const ssize_t count = write(copy_fd, log->pieces + done, size - done);

            if (count < 0 && errno == EINTR)
                continue;
            if (count <= 0)
                return count == 0 ? -EIO : -errno;
            done += (size_t)count;
        }
        *at += (off_t)size;
    }
    return 0;
}

/* ---- moving ---------------------------------------------------------------------------------- */

/* As far as this. */
static bool begins_with_copy(const struct log *log, int copy_fd, off_t most)
{
    char *const other = log->pieces + PIECE_BYTES;

    for (off_t at = 0; at < most; at += PIECE_BYTES) {
        const size_t size = read_at(copy_fd, other, PIECE_BYTES, at);

        if (read_at(log->fd, log->pieces, size, at) != size ||
            memcmp(log->pieces, other, size) != 0)
            return false;
        if (size < PIECE_BYTES)
            break;
    }
    return true;
}

/* What was begun, and interrupted. */
static int finish(const struct log *log)
{
    const int fd = open(log->copy, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);

    if (fd < 0)
        return errno == ENOENT ? 0 : -errno;
    const bool is_uncut = begins_with_copy(log, fd, size_of(fd) + 1);

    (void)close(fd);
    if (is_uncut)
        return unlink(log->copy) == 0 ? 0 : -errno;
    return rename(log->copy, log->old) == 0 ? 0 : -errno;
}

/* Copy the beginning, or of that the last bytes that are to be kept, and cut it off. */
static int cut(const struct log *log, int copy_fd, uint64_t bytes_max)
{
    struct stat status;
    off_t at = 0;

    if (fstat(log->fd, &status) != 0)
        return -errno;
    const off_t block = status.st_blksize > 0 ? (off_t)status.st_blksize : 4096;
    /* The file system cuts off whole blocks, and not all there are. */
    off_t whole = (status.st_size - 1) / block * block;
    const off_t excess =
        (uint64_t)whole > bytes_max ? (whole - (off_t)bytes_max) / block * block : 0;

    /* What is older than that goes before it: who reads finds no gap between the two. */
    if (excess > 0 && unlink(log->old) != 0 && errno != ENOENT)
        return -errno;
    if (excess > 0 && fallocate(log->fd, FALLOC_FL_COLLAPSE_RANGE, 0, excess) == 0)
        whole -= excess;
    else
        at = excess;
    int error = copy_to(log, copy_fd, &at, whole);

    if (error != 0)
        return error;
    if (fallocate(log->fd, FALLOC_FL_COLLAPSE_RANGE, 0, whole) == 0)
        return 0;
    /* It cannot: then all of it, up to where it ends just now. */
    while (error == 0 && at < size_of(log->fd))
        error = copy_to(log, copy_fd, &at, size_of(log->fd));
    if (error == 0 && ftruncate(log->fd, 0) != 0)
        error = -errno;
    return error;
}

static int move(const struct log *log, uint64_t bytes_max)
{
    struct stat status;

    /* Less than can be cut off. */
    if (fstat(log->fd, &status) != 0 || status.st_size <= status.st_blksize)
        return 0;
    const int fd = open(log->copy, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

    if (fd < 0)
        return -errno;
    int error = cut(log, fd, bytes_max);

    (void)close(fd);
    if (error == 0 && rename(log->copy, log->old) != 0)
        error = -errno;
    if (error != 0)
        (void)finish(log); /* whether it was cut or not */
    return error;
}

/* As it is nearly whenever somebody looks. */
static bool needs_nothing(const char *path, uint64_t bytes_max)
{
    struct stat status;
    char *copy;

    if (lstat(path, &status) != 0 || !S_ISREG(status.st_mode) ||
        (uint64_t)status.st_size > bytes_max || asprintf(&copy, "%s.new", path) < 0)
        return false;
    const bool is_interrupted = lstat(copy, &status) == 0;

    free(copy);
    return !is_interrupted;
}

int vine__console_log_rotate(const char *path, uint64_t bytes_max)
{
    struct log log;
    int error;

    if (needs_nothing(path, bytes_max))
        return 0;
    error = open_log(path, &log);
    if (error <= 0)
        return error;
    error = finish(&log);
    if (error == 0 && (uint64_t)size_of(log.fd) > bytes_max)
        error = move(&log, bytes_max);
    close_log(&log);
    return error;
}

/* ---- reading --------------------------------------------------------------------------------- */

/* Where the bytes are that come before those of the log: in the copy, once they were cut off. -1:
 * there are none. */
static int open_older(const struct log *log)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC;
    const int fd = open(log->copy, flags);

    if (fd >= 0 && !begins_with_copy(log, fd, PIECE_BYTES))
        return fd;
    if (fd >= 0)
        (void)close(fd);
    return open(log->old, flags);
}

static bool is_still(int fd, const struct log *log)
{
    const int now_fd = open_older(log);
    struct stat then, now;
    const bool is_same = fd < 0 || now_fd < 0 ? fd == now_fd
                                              : fstat(fd, &then) == 0 && fstat(now_fd, &now) == 0 &&
                                                    then.st_ino == now.st_ino;

    if (now_fd >= 0)
        (void)close(now_fd);
    return is_same;
}

/* Returns whether nothing was cut off meanwhile. */
static bool read_tail(const struct log *log, char *bytes, size_t room, size_t *ret_size)
{
    const int fd = open_older(log);
    const off_t end = size_of(log->fd), old_end = fd >= 0 ? size_of(fd) : 0;
    const size_t newer = (uint64_t)end < room ? (size_t)end : room;
    const size_t older = (uint64_t)old_end < room - newer ? (size_t)old_end : room - newer;

    *ret_size = read_at(fd, bytes, older, old_end - (off_t)older);
    *ret_size += read_at(log->fd, bytes + *ret_size, newer, end - (off_t)newer);
    const bool is_whole = is_still(fd, log) && size_of(log->fd) >= end;

    if (fd >= 0)
        (void)close(fd);
    return is_whole;
}

size_t vine__console_log_tail(const char *path, char *bytes, size_t room)
{
    struct log log;
    size_t size = 0;

    if (open_log(path, &log) <= 0)
        return 0;
    for (int turn = 0; turn < TURNS_MAX && !read_tail(&log, bytes, room, &size); turn++)
        ;
    close_log(&log);
    return size;
}

/* ---- removal --------------------------------------------------------------------------------- */

void vine__console_log_remove(const char *path)
{
    static const char *const ends[] = {"", ".1", ".new"};

    for (size_t i = 0; i < sizeof(ends) / sizeof(ends[0]); i++) {
        char *name;

        if (asprintf(&name, "%s%s", path, ends[i]) < 0)
            continue;
        (void)unlink(name);
        free(name);
    }
}
