/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is neither read nor written: sizes, names, folders. None of it goes through the I/O queue.
 */
#include "core/file/file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "arch/storage/storage.h"

static void see_done(struct vine_file_op *op)
{
    if (!vine__file_is_disturbed(op))
        vine__file_finish(op, vine__file_request_result(op));
}

static int folder_fd(const struct vine_file *folder)
{
    return folder != NULL ? folder->fd : AT_FDCWD;
}

/* ---- of an open file ------------------------------------------------------------------------- */

static void request_held(struct vine_file_op *op)
{
    op->step = see_done;
    vine__file_request(op);
}

/* What changes the file's size waits for a write that reads and cuts off what is behind it. */
static void request_change(struct vine_file_op *op)
{
    op->step = request_held;
    if (op->file->offset_align == 1 || vine__file_hold(op, false))
        request_held(op);
}

void vine_file_allocate(struct vine_file_op *op, struct vine_file *file, int mode, uint64_t offset,
                        uint64_t length)
{
    vine__file_begin(op, file, see_done);
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_ALLOCATE);

    operation->mode = (uint32_t)mode;
    operation->offset = offset;
    operation->length = length;
    request_change(op);
}

void vine_file_truncate(struct vine_file_op *op, struct vine_file *file, uint64_t length)
{
    vine__file_begin(op, file, see_done);
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_TRUNCATE);

    operation->offset = length;
    request_change(op);
}

void vine_file_sync(struct vine_file_op *op, struct vine_file *file, uint32_t flags)
{
    vine__file_begin(op, file, see_done);
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_SYNC);

    if ((flags & ~VINE_FILE_DATA_ONLY) != 0) {
        vine__file_post_finish(op, -EINVAL);
        return;
    }
    operation->flags = (flags & VINE_FILE_DATA_ONLY) != 0 ? VINE__POLL_DATA_ONLY : 0;
    vine__file_request(op);
}

/* ---- status ---------------------------------------------------------------------------------- */

static int64_t nanoseconds(const struct statx_timestamp *time)
{
    return time->tv_sec * (int64_t)VINE_NS_PER_SECOND + time->tv_nsec;
}

static void see_status(struct vine_file_op *op)
{
    struct vine_file_status *const status = op->target;
    struct statx found;

    if (vine__file_is_disturbed(op))
        return;
    const int32_t result = vine__file_request_result(op);

    if (result == 0) {
        memcpy(&found, status->room, sizeof(found));
        *status = (struct vine_file_status){
            .size_bytes = found.stx_size,
            .allocated_bytes = found.stx_blocks * 512,
            .inode = found.stx_ino,
            .device = makedev(found.stx_dev_major, found.stx_dev_minor),
            .accessed_ns = nanoseconds(&found.stx_atime),
            .modified_ns = nanoseconds(&found.stx_mtime),
            .changed_ns = nanoseconds(&found.stx_ctime),
            .mode = found.stx_mode,
            .links = found.stx_nlink,
            .user = found.stx_uid,
            .group = found.stx_gid,
            .block_bytes = found.stx_blksize,
        };
    }
    vine__file_finish(op, result);
}

VINE_STATIC_ASSERT(sizeof(struct statx) <= sizeof(((struct vine_file_status *)0)->room),
                   "vine/file.h has room for what the kernel says");

static void request_status(struct vine_file_op *op, int fd, const char *path, int flags,
                           struct vine_file_status *ret_status)
{
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_STAT);

    op->target = ret_status;
    operation->fd = fd;
    operation->path = path;
    operation->flags = (uint32_t)flags;
    operation->status = (struct statx *)(void *)ret_status->room;
    vine__file_request(op);
}

void vine_file_stat(struct vine_file_op *op, struct vine_file *file,
                    struct vine_file_status *ret_status)
{
    vine__file_begin(op, file, see_status);
    request_status(op, file->fd, "", AT_EMPTY_PATH, ret_status);
}

void vine_file_stat_at(struct vine_file_op *op, struct vine_file *folder, const char *path,
                       int flags, struct vine_file_status *ret_status)
{
    vine__file_begin(op, folder, see_status);
    request_status(op, folder_fd(folder), path, flags, ret_status);
}

/* ---- names ----------------------------------------------------------------------------------- */

void vine_file_rename(struct vine_file_op *op, struct vine_file *folder, const char *path,
                      struct vine_file *to_folder, const char *to_path, uint32_t flags)
{
    vine__file_begin(op, folder, see_done);
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_RENAME);

    operation->fd = folder_fd(folder);
    operation->path = path;
    operation->to_fd = folder_fd(to_folder);
    operation->to_path = to_path;
    operation->flags = flags;
    vine__file_request(op);
}

void vine_file_unlink(struct vine_file_op *op, struct vine_file *folder, const char *path,
                      int flags)
{
    vine__file_begin(op, folder, see_done);
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_UNLINK);

    operation->fd = folder_fd(folder);
    operation->path = path;
    operation->flags = (uint32_t)flags;
    vine__file_request(op);
}

void vine_file_make_folder(struct vine_file_op *op, struct vine_file *folder, const char *path,
                           uint32_t mode)
{
    vine__file_begin(op, folder, see_done);
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_MAKE_FOLDER);

    operation->fd = folder_fd(folder);
    operation->path = path;
    operation->mode = mode;
    vine__file_request(op);
}

/* ---- listing --------------------------------------------------------------------------------- */

/* On a worker, while the operation is under way. */
static int32_t list(void *context)
{
    const struct vine_file_op *const op = context;

    return vine__storage_list(op->file->fd, op->one.iov_base, op->one.iov_len, op->offset == 0);
}

void vine_file_list(struct vine_file_op *op, struct vine_file *folder, void *buffer, size_t size,
                    bool from_start)
{
    vine__file_begin(op, folder, see_done);
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_CALL);

    if (size < VINE_FILE_LIST_BYTES_MIN || (uintptr_t)buffer % sizeof(uint64_t) != 0) {
        vine__file_post_finish(op, -EINVAL);
        return;
    }
    op->one = (struct iovec){.iov_base = buffer, .iov_len = size};
    op->offset = from_start ? 0 : 1;
    operation->call = list;
    operation->context = op;
    vine__file_request(op);
}

bool vine_file_list_next(const void *buffer, size_t size, size_t *position,
                         struct vine_file_entry *ret_entry)
{
    struct vine_file_entry entry = {0};

    do {
        const size_t next =
            vine__storage_entry(buffer, size, *position, &entry.name, &entry.inode, &entry.type);

        if (next == 0)
            return false;
        *position = next;
    } while (strcmp(entry.name, ".") == 0 || strcmp(entry.name, "..") == 0);
    *ret_entry = entry;
    return true;
}
