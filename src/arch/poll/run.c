/* SPDX-License-Identifier: Apache-2.0 */
#include "arch/poll/poll_internal.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static ssize_t run_data(const struct vine__operation *operation)
{
    const bool is_stream = operation->offset == VINE__POLL_STREAM;
    const off_t offset = (off_t)operation->offset;
    const int fd = operation->fd;

    switch (operation->kind) {
    case VINE__POLL_READ:
        return is_stream ? read(fd, operation->bytes, operation->size)
                         : pread(fd, operation->bytes, operation->size, offset);
    case VINE__POLL_WRITE:
        return is_stream ? write(fd, operation->bytes, operation->size)
                         : pwrite(fd, operation->bytes, operation->size, offset);
    case VINE__POLL_READV:
        return is_stream ? readv(fd, operation->vector, (int)operation->size)
                         : preadv(fd, operation->vector, (int)operation->size, offset);
    default:
        return is_stream ? writev(fd, operation->vector, (int)operation->size)
                         : pwritev(fd, operation->vector, (int)operation->size, offset);
    }
}

static int run_file(const struct vine__operation *operation)
{
    switch (operation->kind) {
    case VINE__POLL_SYNC:
        return operation->flags == VINE__POLL_DATA_ONLY ? fdatasync(operation->fd)
                                                        : fsync(operation->fd);
    case VINE__POLL_ALLOCATE:
        return fallocate(operation->fd, (int)operation->mode, (off_t)operation->offset,
                         (off_t)operation->length);
    case VINE__POLL_TRUNCATE:
        return ftruncate(operation->fd, (off_t)operation->offset);
    case VINE__POLL_OPEN:
        return openat(operation->fd, operation->path, (int)operation->flags,
                      (mode_t)operation->mode);
    case VINE__POLL_CLOSE:
        return close(operation->fd);
    case VINE__POLL_STAT:
        return statx(operation->fd, operation->path, (int)operation->flags,
                     STATX_BASIC_STATS | operation->mode, operation->status);
    case VINE__POLL_RENAME:
        return renameat2(operation->fd, operation->path, operation->to_fd, operation->to_path,
                         operation->flags);
    case VINE__POLL_UNLINK:
        return unlinkat(operation->fd, operation->path, (int)operation->flags);
    case VINE__POLL_MAKE_FOLDER:
        return mkdirat(operation->fd, operation->path, (mode_t)operation->mode);
    default:
        errno = EINVAL;
        return -1;
    }
}

int32_t vine__poll_run(const struct vine__operation *operation)
{
    if (operation->kind == VINE__POLL_CALL)
        return operation->call(operation->context);

    const ssize_t result =
        operation->kind >= VINE__POLL_READ && operation->kind <= VINE__POLL_WRITEV
            ? run_data(operation)
            : run_file(operation);

    return result < 0 ? -errno : (int32_t)result;
}
