/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/pool_internal.h"

#include "vmm/pool/bytes_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (256 * 1024)

static int fail(struct vine__problem *problem, const char *path)
{
    const int error = -errno;

    return vine__problem_set(problem, error, "%s: %s", path, strerror(-error));
}

/* Where a path below the mount point ends: a folder, which is to be closed if it is not that point,
 * and a name in it. No link leads out of the image. */
static int find_folder(const struct vine__pool *pool, const char *path, int *ret_folder_fd,
                       const char **ret_name, struct vine__problem *problem)
{
    const char *const slash = strchr(path, '/');
    char folder[VINE__POOL_PATH_BYTES];
    struct stat status;

    *ret_folder_fd = pool->point_fd;
    *ret_name = path;
    if (slash == NULL)
        return 0;
    *ret_name = slash + 1;
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    if (fstatat(pool->point_fd, folder, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return fail(problem, folder);
    if (!S_ISDIR(status.st_mode))
        return vine__no_folder(problem, folder, status.st_mode);
    *ret_folder_fd =
        openat(pool->point_fd, folder, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    return *ret_folder_fd < 0 ? fail(problem, folder) : 0;
}

/* An ordinary file below the mount point. What is none is not opened: opening has effects. */
static int find_mounted(const struct vine__pool *pool, const char *path, int *ret_fd,
                        uint64_t *ret_size_bytes, struct vine__problem *problem)
{
    struct stat status;
    const char *name;
    int folder_fd, error = find_folder(pool, path, &folder_fd, &name, problem);

    if (error != 0)
        return error;
    if (fstatat(folder_fd, name, &status, AT_SYMLINK_NOFOLLOW) != 0)
        error = fail(problem, path);
    else if (!S_ISREG(status.st_mode))
        error = vine__no_file(problem, path, status.st_mode);
    if (error == 0 && ret_fd != NULL) {
        *ret_fd = openat(folder_fd, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
        if (*ret_fd < 0 || fstat(*ret_fd, &status) != 0)
            error = fail(problem, path);
    }
    if (error == 0)
        *ret_size_bytes = (uint64_t)status.st_size;
    if (folder_fd != pool->point_fd)
        (void)close(folder_fd);
    return error;
}

/* One that is open, of either kind. */
struct opened {
    int fd;
    ext2_file_t file;
    uint64_t size_bytes;
};

static void close_file(struct opened *opened)
{
    if (opened->fd >= 0)
        (void)close(opened->fd);
    if (opened->file != NULL)
        (void)ext2fs_file_close(opened->file);
}

static int open_file(const struct vine__pool *pool, const char *path, struct opened *ret_opened,
                     struct vine__problem *problem)
{
    struct opened opened = {.fd = -1};
    const int error = pool->point_fd < 0
                          ? vine__filesystem_read_open(&pool->filesystem, path, &opened.file,
                                                       &opened.size_bytes, problem)
                          : find_mounted(pool, path, &opened.fd, &opened.size_bytes, problem);

    if (error == 0)
        *ret_opened = opened;
    else
        close_file(&opened);
    return error;
}

/* The next bytes of a file that is read in order; fewer than were asked for are an error. */
static int read_next(const struct opened *opened, void *bytes, size_t size, uint64_t offset)
{
    unsigned int got = 0;

    if (opened->file == NULL)
        return vine__read_at(opened->fd, bytes, size, offset);
    return ext2fs_file_read(opened->file, bytes, (unsigned int)size, &got) != 0 || got != size
               ? -EIO
               : 0;
}

static int say(struct vine__problem *problem, int error, const char *path)
{
    return error != 0 ? vine__problem_set(problem, error, "%s: %s", path, strerror(-error)) : 0;
}

int vine__files_size(const struct vine__pool *pool, const char *path, uint64_t *ret_size_bytes,
                     struct vine__problem *problem)
{
    ext2_ino_t inode;

    if (pool->point_fd < 0)
        return vine__filesystem_find(&pool->filesystem, path, &inode, ret_size_bytes, problem);
    return find_mounted(pool, path, NULL, ret_size_bytes, problem);
}

int vine__files_read(const struct vine__pool *pool, const char *path, size_t most,
                     struct vine__files_text *ret_text, struct vine__problem *problem)
{
    struct opened opened;
    int error = open_file(pool, path, &opened, problem);

    if (error != 0)
        return error;
    char *const bytes = opened.size_bytes <= most ? malloc(opened.size_bytes + 1) : NULL;
    if (opened.size_bytes > most)
        error = -EFBIG;
    else if (bytes == NULL)
        error = -ENOMEM;
    else
        error = read_next(&opened, bytes, opened.size_bytes, 0);
    if (error == 0) {
        bytes[opened.size_bytes] = '\0';
        *ret_text = (struct vine__files_text){.bytes = bytes, .size = opened.size_bytes};
    } else {
        free(bytes);
    }
    close_file(&opened);
    return say(problem, error, path);
}

int vine__files_pieces(const struct vine__pool *pool, const char *path,
                       const struct vine__files_range *range, vine__files_piece_fn piece,
                       void *context, struct vine__problem *problem)
{
    char *const bytes = malloc(PIECE_BYTES);
    struct opened opened;
    int error =
        bytes == NULL ? say(problem, -ENOMEM, path) : open_file(pool, path, &opened, problem);

    if (error != 0) {
        free(bytes);
        return error;
    }
    uint64_t done = range->from_bytes;
    if (opened.file != NULL && ext2fs_file_llseek(opened.file, done, EXT2_SEEK_SET, NULL) != 0)
        error = -EIO;
    while (error == 0 && done < opened.size_bytes && done - range->from_bytes < range->most_bytes) {
        const uint64_t left = opened.size_bytes - done;
        const size_t size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;

        error = read_next(&opened, bytes, size, done);
        if (error == 0)
            error = piece(context, bytes, size, done);
        done += size;
    }
    close_file(&opened);
    free(bytes);
    return say(problem, error, path);
}
