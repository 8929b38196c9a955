/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Opening and closing. A file for direct I/O is asked after its alignment: the kernel tells it of
 * the file (Linux 6.1 and later), or else, on a worker, of the device.
 */
#include "core/file/file_internal.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "arch/storage/storage.h"
#include "utils/bits.h"

void vine_file_adopt(struct vine_file *file, int fd)
{
    *file = (struct vine_file){.fd = fd, .memory_align = 1, .offset_align = 1, .is_open = true};
}

/* ---- a file that was opened, and is of no use ------------------------------------------------ */

static void see_given_up(struct vine_file_op *op)
{
    vine__file_finish(op, op->result);
}

static void give_up(struct vine_file_op *op, int64_t error)
{
    struct vine_file *const file = op->target;
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_CLOSE);

    operation->fd = file->fd;
    file->is_open = false;
    op->result = error;
    op->step = see_given_up;
    vine__file_request(op);
}

/* ---- alignment ------------------------------------------------------------------------------- */

static void use_alignment(struct vine_file_op *op, uint32_t memory_align, uint32_t offset_align)
{
    struct vine_file *const file = op->target;
    struct vine__file_core *const core = vine__file_here();
    int error = vine__file_pool_make(core);
    uint32_t place;

    /* What the kernel says is no mistake of ours. */
    if (error == 0 &&
        (!vine__is_power_of_two_u64(memory_align) || !vine__is_power_of_two_u64(offset_align) ||
         offset_align > VINE__FILE_BUFFER_ALIGN || memory_align > VINE__FILE_BUFFER_ALIGN))
        error = -EINVAL;
    if (error == 0 && op->is_cancelled)
        error = -ECANCELED;
    if (error != 0) {
        give_up(op, error);
        return;
    }
    file->memory_align = memory_align;
    file->offset_align = offset_align;
    /* The kernel keeps hold of it, where it can; else operations go by the descriptor. */
    if (core->has_queue && vine__poller_register_file(core->poller, file->fd, &place) == 0)
        file->place = place + 1;
    vine__file_finish(op, 0);
}

static int32_t ask_the_device(void *file)
{
    return (int32_t)vine__storage_block_bytes(((struct vine_file *)file)->fd);
}

static void see_device(struct vine_file_op *op)
{
    const int32_t result = vine__file_request_result(op);

    if (result < 0)
        give_up(op, result);
    else
        use_alignment(op, (uint32_t)result, (uint32_t)result);
}

static void begin_device(struct vine_file_op *op)
{
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_CALL);

    operation->call = ask_the_device;
    operation->context = op->target;
    op->step = see_device;
    vine__file_request(op);
}

static void see_alignment(struct vine_file_op *op)
{
    struct statx *const status = op->one.iov_base;

    if (vine__file_is_disturbed(op))
        return;
    const int32_t result = vine__file_request_result(op);
    const bool is_known = result == 0 && (status->stx_mask & STATX_DIOALIGN) != 0;
    const uint32_t memory_align = is_known ? status->stx_dio_mem_align : 0;
    const uint32_t offset_align = is_known ? status->stx_dio_offset_align : 0;

    free(status);
    if (result < 0)
        give_up(op, result);
    else if (!is_known)
        begin_device(op);
    else if (offset_align == 0)
        give_up(op, -EINVAL); /* there is none on this file */
    else
        use_alignment(op, memory_align, offset_align);
}

static void begin_alignment(struct vine_file_op *op)
{
    struct vine_file *const file = op->target;
    struct statx *const status = calloc(1, sizeof(*status));

    if (status == NULL) {
        give_up(op, -ENOMEM);
        return;
    }
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_STAT);

    operation->fd = file->fd;
    operation->path = "";
    operation->flags = AT_EMPTY_PATH;
    operation->mode = STATX_DIOALIGN;
    operation->status = status;
    op->one.iov_base = status;
    op->step = see_alignment;
    vine__file_request(op);
}

/* ---- open and close -------------------------------------------------------------------------- */

static void see_opened(struct vine_file_op *op)
{
    struct vine_file *const file = op->target;

    if (vine__file_is_disturbed(op))
        return;
    const int32_t result = vine__file_request_result(op);

    if (result < 0) {
        vine__file_finish(op, result);
        return;
    }
    vine_file_adopt(file, result);
    if (op->is_cancelled)
        give_up(op, -ECANCELED);
    else if (((int)op->offset & O_DIRECT) != 0)
        begin_alignment(op);
    else
        vine__file_finish(op, 0);
}

void vine_file_open(struct vine_file_op *op, struct vine_file *file, struct vine_file *folder,
                    const char *path, int flags, uint32_t mode)
{
    vine__file_begin(op, folder, see_opened);
    VINE_ASSERT(!file->is_open);
    if ((flags & O_DIRECT) != 0 && (flags & O_APPEND) != 0) {
        vine__file_post_finish(op, -EINVAL);
        return;
    }
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_OPEN);

    op->target = file;
    op->offset = (uint32_t)flags;
    operation->fd = folder != NULL ? folder->fd : AT_FDCWD;
    operation->path = path;
    operation->flags = (uint32_t)flags | O_CLOEXEC;
    operation->mode = mode;
    vine__file_request(op);
}

static void see_closed(struct vine_file_op *op)
{
    const int32_t result = op->request.result;

    /* Linux closes it whatever it says of a signal. */
    vine__file_finish(op, result == -EINTR ? 0 : result);
}

void vine_file_close(struct vine_file_op *op, struct vine_file *file)
{
    struct vine__file_core *const core = vine__file_here();

    VINE_ASSERT(file->pending == 0);
    vine__file_begin(op, NULL, see_closed);
    if (!file->is_open) {
        vine__file_post_finish(op, -EBADF);
        return;
    }
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_CLOSE);

    if (file->place != 0)
        vine__poller_unregister_file(core->poller, file->place - 1);
    operation->fd = file->fd;
    *file = (struct vine_file){.fd = -1};
    vine__file_request(op);
}
