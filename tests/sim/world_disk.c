/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The disk as running programs see it: operations on files, their latencies and faults. What of it
 * outlives the power is world_power.c.
 *
 * An operation has its effect at some time between its beginning and its end. What may go wrong, by
 * the chances of the options: it is interrupted; it moves less than it was asked to; a read or a
 * sync ends with -EIO; a write does, after some part of it, perhaps all, was done; it is slow.
 */
#include "sim/world_disk.h"

#include "utils/assert.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#define BLOCK_BYTES 512 /* of direct I/O: offsets, sizes and memory */

struct world_disk world_disk;

/* ---- bytes ----------------------------------------------------------------------------------- */

static uint64_t room_of_disk(void)
{
    return world.options.disk_bytes != 0 ? world.options.disk_bytes : UINT64_C(64) << 20;
}

static int resize(struct world_file *file, uint64_t size)
{
    if (size > file->now.size && size - file->now.size > room_of_disk() - world_disk.used)
        return -ENOSPC;
    world_disk.used += size - file->now.size;
    world_bytes_resize(&file->now, size);
    return 0;
}

static uint32_t unit_of(const struct world_descriptor *descriptor)
{
    return (descriptor->open_flags & O_DIRECT) != 0 ? BLOCK_BYTES : 1;
}

static uint32_t shortened(const struct world_descriptor *descriptor, uint32_t size)
{
    const uint32_t unit = unit_of(descriptor);

    if (size <= unit || !world_happens(world.options.disk_short))
        return size;
    return (uint32_t)(1 + world_chance((size - 1) / unit)) * unit;
}

static int32_t write_at(struct world_descriptor *descriptor, const unsigned char *bytes,
                        uint32_t size, uint64_t offset)
{
    struct world_file *const file = descriptor->file;
    const uint64_t room = file->now.size + room_of_disk() - world_disk.used;

    if (size > 0 && offset >= room)
        return -ENOSPC;
    if (offset + size > room) {
        size = (uint32_t)(room - offset);
        size -= size % unit_of(descriptor);
        if (size == 0)
            return -ENOSPC;
    }
    if (offset + size > file->now.size && resize(file, offset + size) != 0)
        return -ENOSPC;
    memcpy(file->now.at + offset, bytes, size);
    world_file_changed(file, offset, bytes, size);
    return (int32_t)size;
}

static int32_t read_at(const struct world_descriptor *descriptor, unsigned char *bytes,
                       uint32_t size, uint64_t offset)
{
    const struct world_bytes *const now = &descriptor->file->now;
    const uint64_t left = offset < now->size ? now->size - offset : 0;

    size = left < size ? (uint32_t)left : size;
    if (size > 0)
        memcpy(bytes, now->at + offset, size);
    return (int32_t)size;
}

/* ---- reads and writes ------------------------------------------------------------------------ */

struct transfer {
    const struct iovec *vector;
    struct iovec whole;
    uint32_t count;
    bool is_read;
    uint64_t offset;
};

static struct transfer transfer_of(const struct vine__operation *operation,
                                   const struct world_descriptor *descriptor)
{
    const bool is_vector =
        operation->kind == VINE__POLL_READV || operation->kind == VINE__POLL_WRITEV;
    struct transfer transfer = {
        .whole = {.iov_base = operation->bytes, .iov_len = operation->size},
        .count = is_vector ? operation->size : 1,
        .is_read = operation->kind == VINE__POLL_READ || operation->kind == VINE__POLL_READV,
        .offset = operation->offset == VINE__POLL_STREAM ? descriptor->position : operation->offset,
    };

    transfer.vector = is_vector ? operation->vector : NULL;
    return transfer;
}

static bool is_aligned(const struct transfer *transfer)
{
    uint64_t all = transfer->offset;

    for (uint32_t i = 0; i < transfer->count; i++) {
        const struct iovec *const part = transfer->vector ? &transfer->vector[i] : &transfer->whole;

        all |= part->iov_len | (uintptr_t)part->iov_base;
    }
    return all % BLOCK_BYTES == 0;
}

/* Part by part, at most `limit` bytes. */
static int32_t move(struct world_descriptor *descriptor, const struct transfer *transfer,
                    uint32_t limit)
{
    int32_t total = 0;

    for (uint32_t i = 0; i < transfer->count && (uint32_t)total < limit; i++) {
        const struct iovec *const part = transfer->vector ? &transfer->vector[i] : &transfer->whole;
        const uint32_t left = limit - (uint32_t)total;
        const uint32_t size = part->iov_len < left ? (uint32_t)part->iov_len : left;
        const uint64_t offset = transfer->offset + (uint32_t)total;
        const int32_t moved = transfer->is_read
                                  ? read_at(descriptor, part->iov_base, size, offset)
                                  : write_at(descriptor, part->iov_base, size, offset);

        if (moved < 0)
            return total > 0 ? total : moved;
        total += moved;
        if ((uint32_t)moved < size)
            break;
    }
    return total;
}

static int32_t try_transfer(const struct vine__operation *operation,
                            struct world_descriptor *descriptor)
{
    const struct transfer transfer = transfer_of(operation, descriptor);
    uint32_t size = 0;

    if ((descriptor->open_flags & O_ACCMODE) == (transfer.is_read ? O_WRONLY : O_RDONLY))
        return -EBADF;
    if ((descriptor->open_flags & O_DIRECT) != 0 && !is_aligned(&transfer))
        return -EINVAL;
    for (uint32_t i = 0; i < transfer.count; i++)
        size += (uint32_t)(transfer.vector ? transfer.vector[i].iov_len : transfer.whole.iov_len);
    if (transfer.is_read && world_happens(world.options.disk_read_error))
        return -EIO;
    if (!transfer.is_read && world_happens(world.options.disk_write_error)) {
        (void)move(descriptor, &transfer, shortened(descriptor, size) * (uint32_t)world_chance(2));
        return -EIO;
    }
    const int32_t moved = move(descriptor, &transfer, shortened(descriptor, size));

    if (moved > 0 && operation->offset == VINE__POLL_STREAM)
        descriptor->position += (uint32_t)moved;
    return moved;
}

/* ---- other operations on files --------------------------------------------------------------- */

static int32_t try_size(const struct vine__operation *operation,
                        struct world_descriptor *descriptor)
{
    struct world_file *const file = descriptor->file;
    const bool is_truncate = operation->kind == VINE__POLL_TRUNCATE;
    const uint64_t size = is_truncate ? operation->offset : operation->offset + operation->length;

    if ((descriptor->open_flags & O_ACCMODE) == O_RDONLY)
        return -EBADF;
    if (world_happens(world.options.disk_write_error))
        return -EIO;
    if (!is_truncate && ((operation->mode & FALLOC_FL_KEEP_SIZE) != 0 || size <= file->now.size))
        return 0;
    const int error = resize(file, size);

    if (error == 0)
        world_file_resized(file, size);
    return error;
}

static int32_t try_stat(const struct vine__operation *operation, const struct world_file *file)
{
    struct statx *const status = operation->status;

    if (file == NULL)
        return -ENOENT;
    memset(status, 0, sizeof(*status));
    status->stx_mask = STATX_BASIC_STATS;
    status->stx_mode = (uint16_t)file->mode;
    status->stx_size = file->now.size;
    status->stx_blksize = 4096;
    status->stx_nlink = 1;
    if ((operation->mode & STATX_DIOALIGN) != 0) {
        status->stx_mask |= STATX_DIOALIGN;
        status->stx_dio_mem_align = BLOCK_BYTES;
        status->stx_dio_offset_align = BLOCK_BYTES;
    }
    return 0;
}

/* ---- names ----------------------------------------------------------------------------------- */

static int32_t try_open(const struct vine__operation *operation)
{
    const int flags = (int)operation->flags;
    struct world_file *file = world_name_find(operation->path);

    if (file != NULL && (flags & O_CREAT) != 0 && (flags & O_EXCL) != 0)
        return -EEXIST;
    if (file == NULL && (flags & O_CREAT) == 0)
        return -ENOENT;
    if (file == NULL) {
        file = world_file_create(S_IFREG | (operation->mode & 07777));
        world_name_set(operation->path, file, NULL);
    }
    const int fd = world_descriptor_open(
        &(struct world_descriptor){.file = file, .open_flags = operation->flags});

    if (fd < 0)
        return fd;
    file->references++;
    if ((flags & O_TRUNC) != 0 && file->now.size > 0) {
        (void)resize(file, 0);
        world_file_resized(file, 0);
    }
    return fd;
}

static int32_t try_name(const struct vine__operation *operation)
{
    struct world_file *const file = world_name_find(operation->path);

    if (world_happens(world.options.disk_name_error))
        return -EIO;
    switch (operation->kind) {
    case VINE__POLL_OPEN:
        return try_open(operation);
    case VINE__POLL_STAT:
        return try_stat(operation, file);
    case VINE__POLL_RENAME:
        if (file != NULL)
            world_name_set(operation->to_path, file, operation->path);
        return file != NULL ? 0 : -ENOENT;
    case VINE__POLL_UNLINK:
        if (file != NULL)
            world_name_set(NULL, NULL, operation->path);
        return file != NULL ? 0 : -ENOENT;
    default:
        if (file != NULL)
            return -EEXIST;
        world_name_set(operation->path, world_file_create(S_IFDIR | operation->mode), NULL);
        return 0;
    }
}

/* ---- when ------------------------------------------------------------------------------------ */

static int32_t try_sync(const struct world_request *request, struct world_file *file)
{
    if (world_happens(world.options.disk_sync_error)) {
        world_file_lose(file, request->mark);
        return -EIO;
    }
    world_file_sync(file, request->mark);
    return 0;
}

static int32_t try_request(const struct world_request *request)
{
    const struct vine__operation *const operation = request->operation;

    if (world_happens(world.options.disk_interrupt))
        return -EINTR;
    if (operation->kind >= VINE__POLL_RENAME || operation->kind == VINE__POLL_OPEN ||
        (operation->kind == VINE__POLL_STAT && operation->path[0] != '\0'))
        return try_name(operation);
    struct world_descriptor *const descriptor = world_descriptor_find(operation->fd);

    switch (operation->kind) {
    case VINE__POLL_SYNC:
        return try_sync(request, descriptor->file);
    case VINE__POLL_ALLOCATE:
    case VINE__POLL_TRUNCATE:
        return try_size(operation, descriptor);
    case VINE__POLL_STAT:
        return try_stat(operation, descriptor->file);
    default:
        return try_transfer(operation, descriptor);
    }
}

static void end_later(struct world_event *event)
{
    struct world_request *const request = VINE_CONTAINER_OF(event, struct world_request, event);

    world_end(request, request->operation->result);
}

/* The effect is there, and its author does not know yet. */
static void have_effect(struct world_event *event)
{
    struct world_request *const request = VINE_CONTAINER_OF(event, struct world_request, event);
    const bool is_hit = request->is_cancelled && world_chance(2) == 0;

    request->operation->result = is_hit ? -ECANCELED : try_request(request);
    world_after(event, 0, 50 * US, end_later);
}

void world_disk_begin(struct world_request *request)
{
    const struct vine__operation *const operation = request->operation;
    const bool is_slow = world_chance(200) == 0;

    world_holds(operation->kind <= VINE__POLL_MAKE_FOLDER, "an operation of kind %d on a file",
                operation->kind);
    if (operation->kind == VINE__POLL_SYNC)
        request->mark = world_descriptor_find(operation->fd)->file->changed;
    world_after(&request->event, 2 * US, is_slow ? 50 * MS : 400 * US, have_effect);
}

/* One that has not had its effect may never have it. */
void world_disk_cancel(struct world_request *request)
{
    if (request->event.fn == have_effect && world_chance(2) == 0)
        world_after(&request->event, 0, 10 * US, have_effect);
}
