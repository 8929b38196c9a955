/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/bytes_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int vine__read_at(int fd, void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        const ssize_t got = pread(fd, (char *)bytes + done, size - done, (off_t)(offset + done));

        if (got < 0 && errno != EINTR)
            return -errno;
        if (got == 0)
            return -EIO;
        done += got > 0 ? (size_t)got : 0;
    }
    return 0;
}

int vine__write_at(int fd, const void *bytes, size_t size, uint64_t offset)
{
    for (size_t done = 0; done < size;) {
        const ssize_t put =
            pwrite(fd, (const char *)bytes + done, size - done, (off_t)(offset + done));

        if (put < 0 && errno != EINTR)
            return -errno;
        done += put > 0 ? (size_t)put : 0;
    }
    return 0;
}

/* What a file is that is none, in words. */
static const char *kind_of(mode_t mode)
{
    switch (mode & S_IFMT) {
    case S_IFLNK:
        return "a symbolic link";
    case S_IFDIR:
        return "a folder";
    case S_IFCHR:
    case S_IFBLK:
        return "a device";
    case S_IFIFO:
        return "a named pipe";
    case S_IFSOCK:
        return "a socket";
    case S_IFREG:
        return "a file";
    default:
        return "of no kind that there is";
    }
}

int vine__no_file(struct vine__problem *problem, const char *path, mode_t mode)
{
    return vine__problem_set(problem, S_ISDIR(mode) ? -EISDIR : -EINVAL,
                             "%s: is %s, and no ordinary file", path, kind_of(mode));
}

int vine__no_folder(struct vine__problem *problem, const char *path, mode_t mode)
{
    return vine__problem_set(problem, -ENOTDIR, "%s: is %s, and no folder", path, kind_of(mode));
}

int vine__read_file(const char *path, uint64_t most, void **ret_bytes, size_t *ret_size,
                    struct vine__problem *problem)
{
    struct stat status;
    char *bytes = NULL;
    int error = lstat(path, &status) != 0 ? -errno : 0;

    if (error == 0 && !S_ISREG(status.st_mode))
        return vine__no_file(problem, path, status.st_mode);
    const int fd =
        error == 0 ? open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC) : -1;
    if (error == 0 && (fd < 0 || fstat(fd, &status) != 0))
        error = -errno;
    if (error == 0 && !S_ISREG(status.st_mode))
        error = -EINVAL;
    if (error == 0 && (uint64_t)status.st_size > most)
        error = -EFBIG;
    if (error == 0) {
        bytes = malloc((size_t)status.st_size + 1);
        error = bytes == NULL ? -ENOMEM : vine__read_at(fd, bytes, (size_t)status.st_size, 0);
    }
    if (fd >= 0)
        (void)close(fd);
    if (error != 0) {
        free(bytes);
        return vine__problem_set(problem, error, "%s: %s", path, strerror(-error));
    }
    bytes[status.st_size] = '\0';
    *ret_bytes = bytes;
    *ret_size = (size_t)status.st_size;
    return 0;
}

char *vine__folder_of(const char *path)
{
    const char *const slash = strrchr(path, '/');

    return slash != NULL ? strndup(path, (size_t)(slash - path) + 1) : strdup("./");
}

int vine__settle_folder_of(const char *path)
{
    char *const folder = vine__folder_of(path);

    if (folder == NULL)
        return -ENOMEM;
    const int fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    const int error = fd < 0 || fsync(fd) != 0 ? -errno : 0;

    if (fd >= 0)
        (void)close(fd);
    free(folder);
    return error;
}
