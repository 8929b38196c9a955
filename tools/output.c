/* SPDX-License-Identifier: Apache-2.0 */
#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include "utils/assert.h"

#define OPEN_DIRECTORY (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

struct output_directory {
    unsigned references;
    int fd;
    size_t length; /* of the path, without a slash at its end; 0: OUT itself */
    char path[];
};

int output_make_folder(const char *path)
{
    char *copy = strdup(path);

    if (copy == NULL)
        return -ENOMEM;
    for (char *at = copy + 1; *at != '\0'; at++) {
        if (*at != '/' || at[-1] == '/')
            continue;
        *at = '\0';
        if (mkdir(copy, 0777) < 0 && errno != EEXIST) {
            const int error = -errno;
            free(copy);
            return error;
        }
        *at = '/';
    }
    free(copy);
    return mkdir(path, 0777) < 0 && errno != EEXIST ? -errno : 0;
}

/* Whether files without a name can be made there and linked in through /proc. */
static bool try_tmpfile(int directory)
{
    const int fd = openat(directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
    char path[64];

    if (fd < 0)
        return false;
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    const bool works = access(path, F_OK) == 0;
    close(fd);
    return works;
}

int output_open(const char *path, struct output *ret_output)
{
    struct output output = {.fd = -1};
    int error = output_make_folder(path);

    if (error == 0) {
        output.fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        error = output.fd < 0 ? -errno : 0;
    }
    if (error == 0 && flock(output.fd, LOCK_EX | LOCK_NB) < 0)
        error = errno == EWOULDBLOCK ? -EBUSY : 0; /* no locks there: go on without */
    output.path = strdup(path);
    if (error == 0 && output.path == NULL)
        error = -ENOMEM;
    if (error < 0) {
        output_close(&output);
        return error;
    }
    for (size_t end = strlen(output.path); end > 1 && output.path[end - 1] == '/';)
        output.path[--end] = '\0';
    output.has_tmpfile = try_tmpfile(output.fd);
    *ret_output = output;
    return 0;
}

static void unref_directory(struct output_directory *directory)
{
    if (directory == NULL || --directory->references > 0)
        return;
    close(directory->fd);
    free(directory);
}

void output_close(struct output *output)
{
    unref_directory(output->last);
    if (output->fd >= 0)
        close(output->fd);
    free(output->path);
    *output = (struct output){.fd = -1};
}

/* The directory of `path` (its first `length` bytes), found from the last one where it lies below
 * it: the results of a tree come in the order of its walk. */
static int find_directory(struct output *output, const char *path, size_t length, bool create,
                          struct output_directory **ret_directory)
{
    struct output_directory *last = output->last;
    size_t at = 0;
    int fd;

    if (last != NULL && last->length == length && memcmp(last->path, path, length) == 0) {
        last->references++;
        *ret_directory = last;
        return 0;
    }
    if (last != NULL && last->length > 0 && last->length < length && path[last->length] == '/' &&
        memcmp(last->path, path, last->length) == 0) {
        fd = fcntl(last->fd, F_DUPFD_CLOEXEC, 0);
        at = last->length + 1;
    } else {
        fd = fcntl(output->fd, F_DUPFD_CLOEXEC, 0);
    }
    struct output_directory *directory = malloc(sizeof(*directory) + length + 1);
    int error = fd < 0 ? -errno : directory == NULL ? -ENOMEM : 0;
    if (error == 0) {
        *directory = (struct output_directory){.references = 1, .fd = -1, .length = length};
        memcpy(directory->path, path, length);
        directory->path[length] = '\0';
    }
    while (error == 0 && at < length) {
        char *const name = directory->path + at;
        const size_t size = strcspn(name, "/");
        const char after = name[size];

        name[size] = '\0';
        if (create && mkdirat(fd, name, 0777) < 0 && errno != EEXIST)
            error = -errno;
        const int next = error == 0 ? openat(fd, name, OPEN_DIRECTORY) : -1;
        if (error == 0 && next < 0)
            error = -errno;
        name[size] = after;
        close(fd);
        fd = next;
        at += size + 1;
    }
    if (error < 0) {
        if (fd >= 0)
            close(fd);
        free(directory);
        return error;
    }
    directory->fd = fd;
    unref_directory(output->last);
    output->last = directory;
    directory->references++;
    *ret_directory = directory;
    return 0;
}

static int find_place(struct output *output, const char *path, bool create,
                      struct output_directory **ret_directory, const char **ret_name)
{
    const char *slash = strrchr(path, '/');

    *ret_name = slash != NULL ? slash + 1 : path;
    return find_directory(output, path, slash != NULL ? (size_t)(slash - path) : 0, create,
                          ret_directory);
}

int output_stat(struct output *output, const char *path, struct stat *ret_status)
{
    struct output_directory *directory;
    const char *name;
    int error = find_place(output, path, false, &directory, &name);

    if (error < 0)
        return error;
    error = fstatat(directory->fd, name, ret_status, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
    unref_directory(directory);
    return error;
}

/* FNV-1a: one temporary name for each final one, of a length that always fits. */
static char *part_name(const char *name)
{
    uint64_t hash = 0xcbf29ce484222325ULL;
    char *part;

    for (; *name != '\0'; name++)
        hash = (hash ^ (unsigned char)*name) * 0x100000001b3ULL;
    return asprintf(&part, ".vine-run-%016" PRIx64 ".part", hash) < 0 ? NULL : part;
}

static int open_part(struct output_file *file, mode_t mode)
{
    file->part = part_name(file->name);
    if (file->part == NULL)
        return -ENOMEM;
    /* What a killed run left may be a link by now, or of another's: it goes. */
    if (unlinkat(file->directory->fd, file->part, 0) < 0 && errno != ENOENT)
        return -errno;
    file->fd = openat(file->directory->fd, file->part,
                      O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
    if (file->fd >= 0)
        return 0;
    const int error = -errno;
    free(file->part);
    file->part = NULL;
    return error;
}

int output_begin(struct output *output, const char *path, mode_t mode, const struct stat *source,
                 struct output_file *ret_file)
{
    struct output_file file = {
        .fd = -1,
        .source_device = source != NULL ? source->st_dev : 0,
        .source_inode = source != NULL ? source->st_ino : 0,
    };
    const char *name;
    int error = find_place(output, path, true, &file.directory, &name);

    if (error < 0)
        return error;
    file.name = strdup(name);
    if (file.name == NULL) {
        error = -ENOMEM;
    } else if (output->has_tmpfile) {
        file.fd = openat(file.directory->fd, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, mode);
        error = file.fd < 0 ? -errno : 0;
    }
    /* Another file system may be mounted below OUT. */
    if (error == -EOPNOTSUPP || error == -EISDIR || (error == 0 && file.fd < 0))
        error = open_part(&file, mode);
    if (error < 0) {
        output_abandon(&file);
        return error;
    }
    *ret_file = file;
    return 0;
}

int output_write(struct output_file *file, const void *bytes, size_t size, uint64_t offset)
{
    const char *at = bytes;

    while (size > 0) {
        const ssize_t written = pwrite(file->fd, at, size, (off_t)offset);
        if (written < 0 && errno == EINTR)
            continue;
        if (written <= 0)
            return written < 0 ? -errno : -ENOSPC;
        at += written;
        size -= (size_t)written;
        offset += (uint64_t)written;
    }
    return 0;
}

/* Whether what has the final name is the source that the result was made of. */
static bool is_source(const struct output_file *file)
{
    struct stat status;

    return file->source_inode != 0 &&
           fstatat(file->directory->fd, file->name, &status, AT_SYMLINK_NOFOLLOW) == 0 &&
           status.st_dev == file->source_device && status.st_ino == file->source_inode;
}

/* Give a file without a name this one. By its descriptor where we may (the right to search any
 * directory, or Linux 6.10), which saves the walk through /proc. */
static int link_as(const struct output_file *file, const char *name)
{
    static bool is_refused;
    const int directory = file->directory->fd;
    char path[64];

    if (!is_refused) {
        if (linkat(file->fd, "", directory, name, AT_EMPTY_PATH) == 0)
            return 0;
        is_refused = errno == ENOENT || errno == EPERM || errno == EINVAL;
        if (!is_refused)
            return -errno;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", file->fd);
    return linkat(AT_FDCWD, path, directory, name, AT_SYMLINK_FOLLOW) == 0 ? 0 : -errno;
}

/* A file without a name gets one. linkat never replaces, so where there is a result already the new
 * one is linked beside it and renamed over it. */
static int link_in(struct output_file *file)
{
    const int directory = file->directory->fd;
    const int error = link_as(file, file->name);

    if (error != -EEXIST)
        return error;
    file->part = part_name(file->name);
    if (file->part == NULL)
        return -ENOMEM;
    if (unlinkat(directory, file->part, 0) < 0 && errno != ENOENT)
        return -errno;
    return link_as(file, file->part);
}

int output_commit(struct output_file *file, struct stat *ret_status)
{
    VINE_ASSERT(file->fd >= 0);
    int error = file->part == NULL ? link_in(file) : 0;

    if (error == 0 && file->part != NULL && is_source(file))
        error = -EEXIST;
    if (error == 0 && file->part != NULL &&
        renameat(file->directory->fd, file->part, file->directory->fd, file->name) < 0)
        error = -errno;
    if (error == 0) {
        free(file->part); /* nothing has that name any more */
        file->part = NULL;
        if (fstat(file->fd, ret_status) < 0)
            error = -errno;
    }
    output_abandon(file);
    return error;
}

void output_abandon(struct output_file *file)
{
    if (file->directory == NULL)
        return;
    if (file->part != NULL)
        unlinkat(file->directory->fd, file->part, 0);
    if (file->fd >= 0)
        close(file->fd);
    unref_directory(file->directory);
    free(file->name);
    free(file->part);
    *file = (struct output_file){.fd = -1};
}

int output_sync(const struct output *output)
{
    return syncfs(output->fd) < 0 ? -errno : 0;
}
