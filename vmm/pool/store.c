/* SPDX-License-Identifier: Apache-2.0 */
#include "vmm/pool/store_internal.h"

#include "utils/assert.h"

#include "vmm/pool/arrival_internal.h"
#include "vmm/pool/bytes_internal.h"
#include "vmm/pool/mount_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define UNIT_BYTES VINE_JOURNAL_UNIT_BYTES

/* Bytes of the image on which locks lie; what is stored there does not matter. */
enum lock_byte { LOCK_WRITER, LOCK_CONTENT, LOCK_MOUNTED };

static int lock(const struct vine__store *store, enum lock_byte byte, short type, bool waits)
{
    struct flock range = {.l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1};

    while (fcntl(store->fd, waits ? F_OFD_SETLKW : F_OFD_SETLK, &range) != 0)
        if (errno != EINTR)
            return errno == EAGAIN || errno == EACCES ? -EBUSY : -errno;
    return 0;
}

/* ---- reads and writes ------------------------------------------------------------------------ */

int vine__store_read(struct vine__store *store, void *bytes, size_t size, uint64_t offset)
{
    const uint64_t end = offset + size;

    if (offset > store->size_bytes || size > store->size_bytes - offset)
        return -EIO;
    const int error = vine__read_at(store->fd, bytes, size, offset);
    if (error != 0 || store->overlay.count == 0)
        return error;
    for (uint64_t index = offset / UNIT_BYTES; index * UNIT_BYTES < end; index++) {
        const struct vine__overlay_unit *const unit = vine__overlay_find(&store->overlay, index);
        const uint64_t begin = index * UNIT_BYTES;
        const uint64_t from = begin > offset ? begin : offset;
        const uint64_t to = begin + UNIT_BYTES < end ? begin + UNIT_BYTES : end;

        if (unit != NULL)
            memcpy((char *)bytes + (from - offset), unit->bytes + (from - begin), to - from);
    }
    return 0;
}

/* Whether nobody used the bytes of this unit when the operation began. */
static bool was_free(const struct vine__store *store, uint64_t index)
{
    if (store->free_before == NULL)
        return false;
    const ext2_filsys filesystem = store->filesystem;
    const uint64_t block = index * UNIT_BYTES / filesystem->blocksize;

    return block >= filesystem->super->s_first_data_block &&
           block < ext2fs_blocks_count(filesystem->super) &&
           !ext2fs_test_block_bitmap2(store->free_before, block);
}

/* A part of a unit: the rest of it is as it was. */
static int collect(struct vine__store *store, uint64_t index, const void *bytes, size_t from,
                   size_t size)
{
    unsigned char unit[UNIT_BYTES];
    int error = 0;

    if (size < sizeof(unit))
        error = vine__store_read(store, unit, sizeof(unit), index * UNIT_BYTES);
    memcpy(unit + from, bytes, size);
    return error == 0 ? vine__overlay_put(&store->overlay, index, unit) : error;
}

static int store_write(struct vine__store *store, const void *bytes, size_t size, uint64_t offset)
{
    if (!store->is_changing || offset > store->size_bytes || size > store->size_bytes - offset)
        return -EIO;
    /* All of it, as a rule: what libext2fs writes at once is a run of blocks of one kind. */
    uint64_t index = offset / UNIT_BYTES;
    while (index * UNIT_BYTES < offset + size && was_free(store, index))
        index++;
    if (index * UNIT_BYTES >= offset + size)
        return vine__write_at(store->fd, bytes, size, offset);
    int error = 0;
    for (size_t done = 0; error == 0 && done < size;) {
        const uint64_t at = offset + done;
        const size_t from = at % UNIT_BYTES;
        const size_t part = UNIT_BYTES - from < size - done ? UNIT_BYTES - from : size - done;
        const void *const piece = (const char *)bytes + done;

        error = was_free(store, at / UNIT_BYTES)
                    ? vine__write_at(store->fd, piece, part, at)
                    : collect(store, at / UNIT_BYTES, piece, from, part);
        done += part;
    }
    return error;
}

int vine__store_write(struct vine__store *store, const void *bytes, size_t size, uint64_t offset)
{
    VINE_ASSERT(store->is_own);
    if (store->is_changing)
        return store_write(store, bytes, size, offset);
    if (offset > store->size_bytes || size > store->size_bytes - offset)
        return -EIO;
    return vine__write_at(store->fd, bytes, size, offset);
}

int vine__store_sync(const struct vine__store *store)
{
    return fdatasync(store->fd) != 0 ? -errno : 0;
}

/* ---- what libext2fs calls -------------------------------------------------------------------- */

/* libext2fs opens by a name alone: the store that it is about to open. */
static _Thread_local struct vine__store *opening;

static struct vine__store *store_of(io_channel channel)
{
    return channel->private_data;
}

static errcode_t told(io_channel channel, int error, errcode_t otherwise)
{
    struct vine__store *const store = store_of(channel);

    if (error == 0)
        return 0;
    if (store->io_error == 0)
        store->io_error = error;
    return otherwise;
}

/* A negative count is bytes, as the managers of libext2fs have it. */
static size_t bytes_of(io_channel channel, int count)
{
    return count < 0 ? (size_t) - (int64_t)count : (size_t)count * (size_t)channel->block_size;
}

static errcode_t channel_open(const char *name, int flags, io_channel *ret_channel);

static errcode_t channel_close(io_channel channel)
{
    if (--channel->refcount > 0)
        return 0;
    free(channel->name);
    free(channel);
    return 0;
}

static errcode_t channel_set_block_size(io_channel channel, int block_size)
{
    channel->block_size = block_size;
    return 0;
}

static errcode_t channel_read64(io_channel channel, unsigned long long block, int count, void *data)
{
    const uint64_t block_size = (uint64_t)channel->block_size;

    if (block > UINT64_MAX / block_size)
        return EXT2_ET_SHORT_READ;
    return told(
        channel,
        vine__store_read(store_of(channel), data, bytes_of(channel, count), block * block_size),
        EXT2_ET_SHORT_READ);
}

static errcode_t channel_read(io_channel channel, unsigned long block, int count, void *data)
{
    return channel_read64(channel, block, count, data);
}

static errcode_t channel_write64(io_channel channel, unsigned long long block, int count,
                                 const void *data)
{
    const uint64_t block_size = (uint64_t)channel->block_size;

    if (block > UINT64_MAX / block_size)
        return EXT2_ET_SHORT_WRITE;
    return told(channel,
                store_write(store_of(channel), data, bytes_of(channel, count), block * block_size),
                EXT2_ET_SHORT_WRITE);
}

static errcode_t channel_write(io_channel channel, unsigned long block, int count, const void *data)
{
    return channel_write64(channel, block, count, data);
}

static errcode_t channel_write_byte(io_channel channel, unsigned long offset, int count,
                                    const void *data)
{
    return told(channel, store_write(store_of(channel), data, (size_t)count, offset),
                EXT2_ET_SHORT_WRITE);
}

static errcode_t channel_flush(io_channel channel)
{
    (void)channel; /* vine__store_commit does */
    return 0;
}

static struct struct_io_manager manager = {
    .magic = EXT2_ET_MAGIC_IO_MANAGER,
    .name = "vine",
    .open = channel_open,
    .close = channel_close,
    .set_blksize = channel_set_block_size,
    .read_blk = channel_read,
    .write_blk = channel_write,
    .flush = channel_flush,
    .write_byte = channel_write_byte,
    .read_blk64 = channel_read64,
    .write_blk64 = channel_write64,
};

static errcode_t channel_open(const char *name, int flags, io_channel *ret_channel)
{
    const io_channel channel = calloc(1, sizeof(*channel));
    char *const copy = strdup(name);

    (void)flags;
    VINE_ASSERT(opening != NULL);
    if (channel == NULL || copy == NULL) {
        free(channel);
        free(copy);
        return EXT2_ET_NO_MEMORY;
    }
    *channel = (struct struct_io_channel){
        .magic = EXT2_ET_MAGIC_IO_CHANNEL,
        .manager = &manager,
        .name = copy,
        .block_size = UNIT_BYTES,
        .refcount = 1,
        .private_data = opening,
    };
    *ret_channel = channel;
    return 0;
}

io_manager vine__store_manager(struct vine__store *store)
{
    opening = store;
    store->io_error = 0;
    return &manager;
}

/* ---- an operation ---------------------------------------------------------------------------- */

int vine__store_begin(struct vine__store *store, ext2_filsys filesystem)
{
    VINE_ASSERT(store->is_own && !store->is_changing && store->overlay.count == 0);
    if (ext2fs_copy_bitmap(filesystem->block_map, &store->free_before) != 0)
        return -ENOMEM;
    store->filesystem = filesystem;
    store->is_changing = true;
    return 0;
}

static void end(struct vine__store *store)
{
    if (store->free_before != NULL)
        ext2fs_free_block_bitmap(store->free_before);
    store->free_before = NULL;
    store->filesystem = NULL;
    store->is_changing = false;
}

void vine__store_abandon(struct vine__store *store)
{
    end(store);
    vine__overlay_fini(&store->overlay);
}

/* Calls `work` for each run of units that follow each other. */
static int for_each_run(const struct vine__store *store,
                        int (*work)(const struct vine__store *store, size_t first, size_t count))
{
    const struct vine__overlay *const overlay = &store->overlay;
    int error = 0;

    for (size_t first = 0, count; error == 0 && first < overlay->count; first += count) {
        count = 1;
        while (first + count < overlay->count &&
               overlay->units[first + count]->index == overlay->units[first]->index + count)
            count++;
        error = work(store, first, count);
    }
    return error;
}

/* A hole of the image is filled before anything is promised: afterwards the disk may be full. */
static int reserve_run(const struct vine__store *store, size_t first, size_t count)
{
    const uint64_t offset = store->overlay.units[first]->index * UNIT_BYTES;
    uint64_t size = count * (uint64_t)UNIT_BYTES;

    if (offset >= store->size_bytes)
        return -EIO;
    if (size > store->size_bytes - offset)
        size = store->size_bytes - offset;
    if (fallocate(store->fd, 0, (off_t)offset, (off_t)size) == 0 || errno == EOPNOTSUPP)
        return 0;
    return -errno;
}

static int apply_run(const struct vine__store *store, size_t first, size_t count)
{
    int error = 0;

    for (size_t i = first; error == 0 && i < first + count; i++)
        error = vine__write_at(store->fd, store->overlay.units[i]->bytes, UNIT_BYTES,
                               store->overlay.units[i]->index * UNIT_BYTES);
    return error;
}

/* The journal is whole and on the disk: from here on, whoever comes next can do this too. */
static int apply(struct vine__store *store)
{
    int error = lock(store, LOCK_CONTENT, F_WRLCK, true);

    if (error != 0)
        return error;
    error = for_each_run(store, apply_run);
    if (error == 0 && fdatasync(store->fd) != 0)
        error = -errno;
    if (error == 0)
        error = vine__journal_remove(store);
    (void)lock(store, LOCK_CONTENT, F_UNLCK, false);
    return error;
}

int vine__store_commit(struct vine__store *store, struct vine__problem *problem)
{
    end(store);
    vine__overlay_sort(&store->overlay);
    int error = for_each_run(store, reserve_run);

    if (error == 0 && fdatasync(store->fd) != 0)
        error = -errno;
    if (error == 0)
        error = vine__journal_write(store);
    if (error == 0) {
        error = apply(store);
        if (error != 0)
            (void)vine__problem_set(problem, error,
                                    "%s: %s; the change is in %s and goes on from there",
                                    store->path, strerror(-error), store->journal);
    } else {
        (void)vine__problem_set(problem, error, "%s: %s; nothing was changed", store->path,
                                strerror(-error));
    }
    vine__overlay_fini(&store->overlay);
    return error;
}

/* ---- opened ---------------------------------------------------------------------------------- */

/* What a crash has left is finished, or forgotten where it had not been promised. */
static int recover(struct vine__store *store, struct vine__problem *problem)
{
    bool is_there;
    int error = vine__journal_read(store, &is_there, problem);

    if (error != 0)
        return error;
    if (!store->is_own)
        return 0; /* what is in it is seen over the image */
    vine__overlay_sort(&store->overlay);
    if (store->overlay.count > 0)
        error = apply(store);
    else if (is_there)
        error = vine__journal_remove(store);
    vine__overlay_fini(&store->overlay);
    if (error != 0)
        (void)vine__problem_set(problem, error, "%s: %s", store->journal, strerror(-error));
    return error;
}

static int take_locks(struct vine__store *store, struct vine__problem *problem)
{
    if (lock(store, LOCK_MOUNTED, F_RDLCK, false) != 0) {
        const int mounted = vine__mount_check(store->fd, store->path, false, problem);

        /* While its owner changes it, it is mounted nowhere. */
        return mounted != 0
                   ? mounted
                   : vine__problem_set(problem, -EBUSY, "%s: somebody has it mounted", store->path);
    }
    if (store->is_own && lock(store, LOCK_WRITER, F_WRLCK, false) != 0)
        return vine__problem_set(problem, -EBUSY, "%s: somebody else is changing it, or serves it",
                                 store->path);
    if (store->is_own) /* somebody who knows of no locks */
        return vine__mount_check(store->fd, store->path, true, problem);
    const int error = lock(store, LOCK_CONTENT, F_RDLCK, true);

    return error != 0 ? vine__problem_set(problem, error, "%s: %s", store->path, strerror(-error))
                      : 0;
}

static int open_image(struct vine__store *store, struct vine__problem *problem)
{
    const int flags = O_NONBLOCK | O_NOFOLLOW | O_CLOEXEC;
    struct stat status;

    store->fd = open(store->path, (store->is_own ? O_RDWR : O_RDONLY) | flags);
    if (store->fd < 0 || fstat(store->fd, &status) != 0)
        return vine__problem_set(problem, -errno, "%s: %m", store->path);
    if (!S_ISREG(status.st_mode))
        return vine__no_file(problem, store->path, status.st_mode);
    store->size_bytes = (uint64_t)status.st_size;
    return 0;
}

int vine__store_open(const char *path, bool is_own, struct vine__store **ret_store,
                     struct vine__problem *problem)
{
    struct vine__store *const store = calloc(1, sizeof(*store));
    int error = 0;

    if (store == NULL)
        return vine__problem_set(problem, -ENOMEM, "%s: %s", path, strerror(ENOMEM));
    store->fd = -1;
    store->is_own = is_own;
    store->path = strdup(path);
    vine__overlay_init(&store->overlay);
    if (store->path == NULL || asprintf(&store->journal, "%s" VINE_JOURNAL_SUFFIX, path) < 0) {
        store->journal = NULL;
        error = vine__problem_set(problem, -ENOMEM, "%s: %s", path, strerror(ENOMEM));
    }
    if (error == 0)
        error = open_image(store, problem);
    if (error == 0)
        error = take_locks(store, problem);
    if (error == 0)
        error = recover(store, problem);
    if (error != 0) {
        vine__store_close(store);
        return error;
    }
    *ret_store = store;
    return 0;
}

int vine__store_lock_mounted(struct vine__store *store)
{
    return lock(store, LOCK_MOUNTED, F_WRLCK, true); /* readers come to an end */
}

void vine__store_close(struct vine__store *store)
{
    if (store == NULL)
        return;
    end(store);
    vine__arrivals_end(store);
    vine__overlay_fini(&store->overlay);
    if (store->fd >= 0)
        (void)close(store->fd); /* and with it the locks */
    free(store->path);
    free(store->journal);
    free(store);
}
