/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reads and writes. What is aligned as the file wants it goes to the kernel as it is, and what the
 * kernel did in part is continued; what is not goes by bounce.c.
 */
#include "core/file/file_internal.h"

#include <errno.h>

#include "utils/bits.h"

#define PARTS_MAX 1024

/* Of one request; what is larger is continued. Whole blocks of any device. */
#define REQUEST_BYTES_MAX (UINT32_C(1) << 30)

static bool is_read(const struct vine_file_op *op)
{
    return op->kind == VINE__POLL_READ;
}

static void request_next(struct vine_file_op *op)
{
    const bool is_vector = op->vector_within == 0 && op->vector_count > 1;
    const uint64_t left = op->size - op->count;
    struct vine__operation *operation;

    if (is_vector) {
        operation = vine__file_operation(op, is_read(op) ? VINE__POLL_READV : VINE__POLL_WRITEV);
        operation->vector = op->vector;
        operation->size = op->vector_count;
        op->request.size = (uint32_t)vine__min_u64(left, UINT32_MAX);
    } else {
        const struct iovec part = vine__file_part(op);

        operation = vine__file_operation(op, is_read(op) ? VINE__POLL_READ : VINE__POLL_WRITE);
        operation->bytes = part.iov_base;
        operation->size = (uint32_t)vine__min_u64(part.iov_len, REQUEST_BYTES_MAX);
        op->request.size = operation->size;
    }
    operation->offset = op->offset == VINE_FILE_STREAM ? VINE__POLL_STREAM : op->offset + op->count;
    vine__file_request_data(op);
}

/* Whether nothing can come after `size` bytes of a read: direct I/O gives whole blocks but at the
 * end of the file. */
static bool is_at_the_end(const struct vine_file_op *op, uint32_t size)
{
    return size == 0 || (is_read(op) && (size & (op->file->offset_align - 1)) != 0);
}

static void see_data(struct vine_file_op *op)
{
    if (vine__file_is_disturbed(op))
        return;
    const int32_t result = vine__file_request_result(op);

    if (result < 0) {
        vine__file_finish(op, result);
        return;
    }
    op->count += (uint32_t)result;
    if (op->count >= op->size || op->offset == VINE_FILE_STREAM) {
        vine__file_finish(op, (int64_t)op->count);
    } else if (is_at_the_end(op, (uint32_t)result)) {
        /* A device that takes nothing, and says nothing, is not asked for ever. */
        vine__file_finish(op, is_read(op) ? (int64_t)op->count : -EIO);
    } else if (op->is_cancelled) {
        vine__file_finish(op, -ECANCELED);
    } else {
        vine__file_vector_advance(op, (size_t)result);
        request_next(op);
    }
}

static void go_on(struct vine_file_op *op)
{
    op->step = see_data;
    request_next(op);
}

static bool is_aligned(const struct vine_file_op *op)
{
    const uint64_t memory_mask = op->file->memory_align - 1;
    const uint64_t size_mask = op->file->offset_align - 1;
    uint64_t addresses = 0;
    uint64_t sizes = 0;

    for (uint32_t i = 0; i < op->vector_count; i++) {
        addresses |= (uintptr_t)op->vector[i].iov_base;
        sizes |= op->vector[i].iov_len;
    }
    return (addresses & memory_mask) == 0 && ((op->offset | sizes) & size_mask) == 0;
}

/* Bytes of a vector that may start at `offset`. Returns 0 or -EINVAL. */
static int measure(const struct iovec *vector, uint32_t count, uint64_t offset, uint64_t *ret_size)
{
    const uint64_t limit = offset == VINE_FILE_STREAM ? 0 : offset;
    uint64_t size = 0;

    if (count > PARTS_MAX)
        return -EINVAL;
    for (uint32_t i = 0; i < count; i++)
        if (vine__add_overflows_u64(size, vector[i].iov_len, &size))
            return -EINVAL;
    if (limit > INT64_MAX || size > INT64_MAX - limit)
        return -EINVAL;
    *ret_size = size;
    return 0;
}

static void begin(struct vine_file_op *op, enum vine__poll_kind kind, const struct iovec *vector,
                  uint32_t count, uint64_t offset)
{
    struct vine_file *const file = op->file;
    const bool is_direct = file->offset_align > 1;
    int error = measure(vector, count, offset, &op->size);

    if (is_direct && offset == VINE_FILE_STREAM)
        error = -EINVAL;
    if (error != 0 || op->size == 0) {
        vine__file_post_finish(op, error);
        return;
    }
    op->kind = (uint8_t)kind;
    op->offset = offset;
    op->vector = vector;
    op->vector_count = count;
    op->vector_within = 0;
    vine__file_vector_advance(op, 0); /* to the first part that is not empty */
    if (is_direct) {
        if (!is_aligned(op)) {
            vine__file_bounce(op);
            return;
        }
        op->step = go_on;
        if (kind == VINE__POLL_WRITE && !vine__file_hold(op, false))
            return;
    }
    go_on(op);
}

void vine_file_read(struct vine_file_op *op, struct vine_file *file, void *bytes, size_t size,
                    uint64_t offset)
{
    vine__file_begin(op, file, see_data);
    op->one = (struct iovec){.iov_base = bytes, .iov_len = size};
    begin(op, VINE__POLL_READ, &op->one, 1, offset);
}

void vine_file_write(struct vine_file_op *op, struct vine_file *file, const void *bytes,
                     size_t size, uint64_t offset)
{
    vine__file_begin(op, file, see_data);
    op->one = (struct iovec){.iov_base = (void *)(uintptr_t)bytes, .iov_len = size};
    begin(op, VINE__POLL_WRITE, &op->one, 1, offset);
}

void vine_file_readv(struct vine_file_op *op, struct vine_file *file, const struct iovec *vector,
                     uint32_t count, uint64_t offset)
{
    vine__file_begin(op, file, see_data);
    begin(op, VINE__POLL_READ, vector, count, offset);
}

void vine_file_writev(struct vine_file_op *op, struct vine_file *file, const struct iovec *vector,
                      uint32_t count, uint64_t offset)
{
    vine__file_begin(op, file, see_data);
    begin(op, VINE__POLL_WRITE, vector, count, offset);
}
