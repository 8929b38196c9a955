/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/peer/lockfile.h"

#include "utils/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

/* Between opening a file and locking it, its holder may have removed it; a lock on a nameless
 * file keeps nobody out. So often is that tried again. */
#define ATTEMPTS_MAX 100

static pid_t holder_of(const char *path)
{
    char text[24];
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
    const ssize_t size = fd >= 0 ? pread(fd, text, sizeof(text) - 1, 0) : -1;
    if (fd >= 0)
        close(fd);
    if (size <= 0)
        return 0;
    text[size] = '\0';
    const long pid = strtol(text, NULL, 10);
    return pid > 0 && pid <= INT_MAX ? (pid_t)pid : 0;
}

static bool has_this_name(int fd, const char *path)
{
    struct stat opened, named;
    return fstat(fd, &opened) == 0 && lstat(path, &named) == 0 && opened.st_dev == named.st_dev &&
           opened.st_ino == named.st_ino;
}

/* A lock without a pid in it is a lock: a full disk does not keep us from listening. */
static void write_pid(int fd)
{
    char text[24];
    const int length = snprintf(text, sizeof(text), "%d\n", (int)getpid());
    VINE_ASSERT(length > 0 && (size_t)length < sizeof(text));
    if (ftruncate(fd, 0) != 0 || pwrite(fd, text, (size_t)length, 0) != length)
        (void)!ftruncate(fd, 0);
}

void vine__lockfile_say_holder(int fd)
{
    write_pid(fd);
}

/* No pid is so short with its end of line: told by the size, since the file may be one that we can
 * write and not read. */
void vine__lockfile_say_let_go(int fd)
{
    if (ftruncate(fd, 0) == 0)
        (void)!pwrite(fd, "\n", 1, 0);
}

bool vine__lockfile_is_let_go(int fd)
{
    struct stat found;
    return fstat(fd, &found) == 0 && found.st_size == 1;
}

int vine__lockfile_acquire(const char *path, int *ret_fd, pid_t *ret_holder)
{
    for (int attempt = 0; attempt < ATTEMPTS_MAX; attempt++) {
        /* To be written alone: a process that has given up reading files in this folder may have
         * its lock there still. */
        const int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
        if (fd < 0)
            return -errno;
        if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
            const int error = errno;
            const pid_t holder = holder_of(path);
            close(fd);
            if (error == EINTR)
                continue;
            if (error != EWOULDBLOCK)
                return -error;
            if (ret_holder != NULL)
                *ret_holder = holder;
            return -EBUSY;
        }
        if (has_this_name(fd, path)) {
            write_pid(fd);
            *ret_fd = fd;
            return 0;
        }
        close(fd);
    }
    return -EAGAIN;
}

void vine__lockfile_release(const char *path, int fd)
{
    /* In this order: while we hold the lock nobody else can have put another file here. */
    if (has_this_name(fd, path))
        unlink(path);
    close(fd);
}
