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

/* An ordinary file below the mount point: no link leads out of the image. */
static int open_mounted(const struct vine__pool *pool, const char *path)
{
    const int flags = O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
    const char *const slash = strchr(path, '/');
    char folder[VINE__POOL_PATH_BYTES];
    struct stat status;

    if (slash == NULL)
        return openat(pool->point_fd, path, flags);
    memcpy(folder, path, (size_t)(slash - path));
    folder[slash - path] = '\0';
    const int folder_fd = openat(pool->point_fd, folder, flags | O_DIRECTORY);
    const int fd = folder_fd >= 0 ? openat(folder_fd, slash + 1, flags) : -1;
    const int failed = errno;

    if (folder_fd >= 0)
        (void)close(folder_fd);
    errno = failed;
    if (fd >= 0 && (fstat(fd, &status) != 0 || !S_ISREG(status.st_mode))) {
        (void)close(fd);
        errno = EINVAL;
        return -1;
    }
    return fd;
}

/* One that is open, of either kind. */
struct opened {
    int fd;
    ext2_file_t file;
    uint64_t size_bytes;
};

static int open_file(const struct vine__pool *pool, const char *path, struct opened *ret_opened)
{
    struct opened opened = {.fd = -1};
    struct stat status;
    int error;

    if (pool->point_fd < 0) {
        error =
            vine__filesystem_read_open(&pool->filesystem, path, &opened.file, &opened.size_bytes);
    } else {
        opened.fd = open_mounted(pool, path);
        error = opened.fd < 0 || fstat(opened.fd, &status) != 0 ? -errno : 0;
        if (error == 0)
            opened.size_bytes = (uint64_t)status.st_size;
    }
    if (error == 0)
        *ret_opened = opened;
    return error;
}

static void close_file(struct opened *opened)
{
    if (opened->fd >= 0)
        (void)close(opened->fd);
    if (opened->file != NULL)
        (void)ext2fs_file_close(opened->file);
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

int vine__files_size(const struct vine__pool *pool, const char *path, uint64_t *ret_size_bytes)
{
    struct stat status;
    ext2_ino_t inode;

    if (pool->point_fd < 0)
        return vine__filesystem_find(&pool->filesystem, path, &inode, ret_size_bytes);
    if (fstatat(pool->point_fd, path, &status, AT_SYMLINK_NOFOLLOW) != 0)
        return -errno;
    *ret_size_bytes = (uint64_t)status.st_size;
    return S_ISREG(status.st_mode) ? 0 : -EINVAL;
}

int vine__files_read(const struct vine__pool *pool, const char *path, size_t most, void **ret_bytes,
                     size_t *ret_size)
{
    struct opened opened;
    int error = open_file(pool, path, &opened);

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
        *ret_bytes = bytes;
        *ret_size = opened.size_bytes;
    } else {
        free(bytes);
    }
    close_file(&opened);
    return error;
}

int vine__files_pieces(const struct vine__pool *pool, const char *path, vine__files_piece_fn piece,
                       void *context)
{
    char *const bytes = malloc(PIECE_BYTES);
    struct opened opened;
    int error = bytes == NULL ? -ENOMEM : open_file(pool, path, &opened);

    if (error != 0) {
        free(bytes);
        return error;
    }
    for (uint64_t done = 0; error == 0 && done < opened.size_bytes;) {
        const uint64_t left = opened.size_bytes - done;
        const size_t size = left < PIECE_BYTES ? (size_t)left : PIECE_BYTES;

        error = read_next(&opened, bytes, size, done);
        if (error == 0)
            error = piece(context, bytes, size, done);
        done += size;
    }
    close_file(&opened);
    free(bytes);
    return error;
}
