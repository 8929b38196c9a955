/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/state_file.c - see state_file.h. */

#include "vmm/server/state_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES 4200

/* ---- reading --------------------------------------------------------------------------------- */

static int read_all(int fd, char *bytes, size_t room, size_t *ret_size)
{
    size_t size = 0;

    while (size < room) {
        const ssize_t got = read(fd, bytes + size, room - size);

        if (got < 0 && errno == EINTR)
            continue;
        if (got < 0)
            return -errno;
        if (got == 0)
            break;
        size += (size_t)got;
    }
    *ret_size = size;
    return 0;
}

int vine__state_file_read(const char *path, char **ret_bytes, size_t *ret_size)
{
    /* Who put a FIFO there does not hold us up. */
    const int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
    struct stat status;
    char *bytes = NULL;
    size_t room, size = 0;
    int error;

    if (fd < 0)
        return -errno;
    error = fstat(fd, &status) != 0                              ? -errno
            : !S_ISREG(status.st_mode)                           ? -EINVAL
            : status.st_size > (off_t)VINE__STATE_FILE_BYTES_MAX ? -EFBIG
                                                                 : 0;
    if (error == 0) {
        room = (size_t)status.st_size;
        bytes = malloc(room + 1);
        error = bytes != NULL ? read_all(fd, bytes, room, &size) : -ENOMEM;
    }
    (void)close(fd);
    if (error != 0) {
        free(bytes);
        return error;
    }
    bytes[size] = '\0';
    *ret_bytes = bytes;
    *ret_size = size;
    return 0;
}

/* ---- replacing ------------------------------------------------------------------------------- */

static int write_all(int fd, const char *bytes, size_t size)
{
    size_t at = 0;

    while (at < size) {
        const ssize_t put = write(fd, bytes + at, size - at);

        if (put < 0 && errno == EINTR)
            continue;
        if (put < 0)
            return -errno;
        at += (size_t)put;
    }
    return fsync(fd) != 0 ? -errno : 0;
}

/* The folder that has the file: its name is there after a loss of power, too. */
static int flush_folder(const char *path)
{
    const char *const slash = strrchr(path, '/');
    char folder[PATH_BYTES];
    int fd, error;

    (void)snprintf(folder, sizeof(folder), "%.*s", slash != NULL ? (int)(slash - path) + 1 : 1,
                   slash != NULL ? path : ".");
    fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    if (fd < 0)
        return -errno;
    error = fsync(fd) != 0 ? -errno : 0;
    (void)close(fd);
    return error;
}

int vine__state_file_replace(const char *path, const char *bytes, size_t size)
{
    char new_path[PATH_BYTES];
    const int length = snprintf(new_path, sizeof(new_path), "%s.new", path);
    int fd, error;

    if (length < 0 || (size_t)length >= sizeof(new_path))
        return -ENAMETOOLONG;
    if (size > VINE__STATE_FILE_BYTES_MAX)
        return -EFBIG;
    /* One that was left is of nobody; nothing is written through a link that somebody put there. */
    if (unlink(new_path) != 0 && errno != ENOENT)
        return -errno;
    fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    error = write_all(fd, bytes, size);
    if (close(fd) != 0 && error == 0)
        error = -errno;
    if (error == 0 && rename(new_path, path) != 0)
        error = -errno;
    if (error != 0) {
        (void)unlink(new_path);
        return error;
    }
    return flush_folder(path);
}
