/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/state_file.c - see state_file.h. */

#include "vmm/server/state_file.h"

#include <vine/error.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PATH_BYTES  4200
#define ASIDES_MAX  9  /* of one path; the last one is replaced */
#define ASIDE_BYTES 16 /* behind a path, at most */

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

/* ---- what is none of ours -------------------------------------------------------------------- */

static int rename_new(const char *path, const char *to)
{
    if (renameat2(AT_FDCWD, path, AT_FDCWD, to, RENAME_NOREPLACE) == 0)
        return 0;
    /* Not every file system can tell. */
    if (errno != EINVAL)
        return -errno;
    return access(to, F_OK) == 0 ? -EEXIST : rename(path, to) != 0 ? -errno : 0;
}

static int set_aside(const char *path, char aside[PATH_BYTES])
{
    int error = -EEXIST;

    (void)snprintf(aside, PATH_BYTES, "%.*s.bad", PATH_BYTES - ASIDE_BYTES, path);
    for (int i = 2; i <= ASIDES_MAX && (error = rename_new(path, aside)) == -EEXIST; i++)
        (void)snprintf(aside, PATH_BYTES, "%.*s.bad%d", PATH_BYTES - ASIDE_BYTES, path, i);
    if (error == -EEXIST)
        error = rename(path, aside) != 0 ? -errno : 0;
    return error;
}

static json_t *parse(const char *path, int version, const char *list,
                     char why[VINE__STATE_FILE_WHY_BYTES])
{
    json_t *root = NULL;
    json_error_t wrong;
    char *bytes;
    size_t size;
    const int error = vine__state_file_read(path, &bytes, &size);

    if (error == 0) {
        root = json_loadb(bytes, size, JSON_REJECT_DUPLICATES, &wrong);
        free(bytes);
    }
    if (error != 0 && error != -ENOENT)
        (void)snprintf(why, VINE__STATE_FILE_WHY_BYTES, "%s", vine_error_text(error));
    else if (error == 0 && root == NULL)
        (void)snprintf(why, VINE__STATE_FILE_WHY_BYTES, "line %d: %s", wrong.line, wrong.text);
    else if (error == 0 && (json_integer_value(json_object_get(root, "version")) != version ||
                            !json_is_array(json_object_get(root, list))))
        (void)snprintf(why, VINE__STATE_FILE_WHY_BYTES, "it has not version %d and a list `%s`",
                       version, list);
    else
        return root;
    json_decref(root);
    return NULL;
}

json_t *vine__state_file_load(const char *path, int version, const char *list,
                              char why[VINE__STATE_FILE_WHY_BYTES])
{
    char aside[PATH_BYTES];
    json_t *root;
    size_t size;

    why[0] = '\0';
    root = parse(path, version, list, why);
    size = strlen(why);
    if (size > 0 && set_aside(path, aside) == 0)
        (void)snprintf(why + size, VINE__STATE_FILE_WHY_BYTES - size, "; it is kept as %s", aside);
    return root;
}

/* ---- replacing ------------------------------------------------------------------------------- */

static int path_of_new(const char *path, char new_path[PATH_BYTES])
{
    const int length = snprintf(new_path, PATH_BYTES, "%s.new", path);

    return length >= 0 && length < PATH_BYTES ? 0 : -ENAMETOOLONG;
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

int vine__state_file_begin(const char *path, FILE **ret_stream)
{
    char new_path[PATH_BYTES];
    int error = path_of_new(path, new_path);
    int fd;

    if (error != 0)
        return error;
    /* One that was left is of nobody; nothing is written through a link that somebody put there. */
    if (unlink(new_path) != 0 && errno != ENOENT)
        return -errno;
    fd = open(new_path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
    if (fd < 0)
        return -errno;
    *ret_stream = fdopen(fd, "w");
    if (*ret_stream != NULL)
        return 0;
    error = -errno;
    (void)close(fd);
    (void)unlink(new_path);
    return error;
}

int vine__state_file_end(const char *path, FILE *stream, int error)
{
    char new_path[PATH_BYTES];

    if (path_of_new(path, new_path) != 0)
        abort(); /* it was begun */
    if (error == 0 && ferror(stream) != 0)
        error = -EIO; /* which one it was, is gone by now */
    if (error == 0 && fflush(stream) != 0)
        error = -errno;
    if (error == 0 && ftello(stream) > (off_t)VINE__STATE_FILE_BYTES_MAX)
        error = -EFBIG;
    if (error == 0 && fsync(fileno(stream)) != 0)
        error = -errno;
    if (fclose(stream) != 0 && error == 0)
        error = -errno;
    if (error == 0 && rename(new_path, path) != 0)
        error = -errno;
    if (error != 0) {
        (void)unlink(new_path);
        return error;
    }
    return flush_folder(path);
}

int vine__state_file_replace(const char *path, const char *bytes, size_t size)
{
    FILE *stream;
    const int error = vine__state_file_begin(path, &stream);

    return error != 0 ? error
                      : vine__state_file_end(path, stream,
                                             fwrite(bytes, 1, size, stream) == size ? 0 : -errno);
}
