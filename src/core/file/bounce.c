/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Direct reads and writes that are not aligned, by way of a buffer of the core, a piece at a time.
 * A piece is whole blocks [piece_start, piece_start + piece_size) around what is left of the
 * operation, as many as the buffer holds.
 *
 * Of a write, the blocks at its edges that it covers in part are read first. If the last one is not
 * whole in the file, the file ends there: it is padded with zeroes, written, and cut off again.
 */
#include "core/file/file_internal.h"

#include <errno.h>
#include <string.h>

#include "utils/bits.h"

struct piece {
    uint64_t start;
    uint64_t position; /* of the operation's next byte */
    uint32_t size;
    uint32_t bytes; /* of the operation, in it */
    bool has_tail;  /* its last block is covered in part, at its end */
};

static struct piece next_piece(const struct vine_file_op *op)
{
    const uint32_t align = op->file->offset_align;
    const uint64_t position = op->offset + op->count;
    const uint64_t end = op->offset + op->size;
    const uint64_t start = vine__round_down_u64(position, align);
    const uint64_t whole_end = vine__round_up_u64(end, align);
    const uint64_t piece_end =
        vine__min_u64(whole_end, start + vine__file_here()->pool.buffer_bytes);

    return (struct piece){
        .start = start,
        .position = position,
        .size = (uint32_t)(piece_end - start),
        .bytes = (uint32_t)(vine__min_u64(end, piece_end) - position),
        .has_tail = end < piece_end,
    };
}

static void request(struct vine_file_op *op, enum vine__poll_kind kind, uint64_t offset,
                    uint32_t at, uint32_t size)
{
    struct vine__operation *const operation = vine__file_operation(op, kind);

    operation->bytes = op->bounce + at;
    operation->size = size;
    operation->offset = offset;
    op->request.size = size;
    vine__file_request_data(op);
}

/* ---- reads ----------------------------------------------------------------------------------- */

static void see_read(struct vine_file_op *op);

static void read_piece(struct vine_file_op *op)
{
    const struct piece piece = next_piece(op);

    op->step = see_read;
    request(op, VINE__POLL_READ, piece.start, 0, piece.size);
}

static void see_read(struct vine_file_op *op)
{
    const struct piece piece = next_piece(op);
    const uint32_t skipped = (uint32_t)(piece.position - piece.start);

    if (vine__file_is_disturbed(op))
        return;
    const int32_t result = vine__file_request_result(op);

    if (result < 0) {
        vine__file_finish(op, result);
        return;
    }
    const uint32_t read = (uint32_t)result;
    const uint32_t useful =
        read > skipped ? (uint32_t)vine__min_u64(read - skipped, piece.bytes) : 0;

    vine__file_vector_fill(op, op->bounce + skipped, useful);
    op->count += useful;
    if (op->count == op->size || useful == 0 || (read & (op->file->offset_align - 1)) != 0)
        vine__file_finish(op, (int64_t)op->count);
    else if (op->is_cancelled)
        vine__file_finish(op, -ECANCELED);
    else
        read_piece(op);
}

/* ---- writes ---------------------------------------------------------------------------------- */

static void see_written(struct vine_file_op *op);
static void see_tail(struct vine_file_op *op);

static void write_piece(struct vine_file_op *op, const struct piece *piece)
{
    vine__file_vector_peek(op, op->bounce + (piece->position - piece->start), piece->bytes);
    op->step = see_written;
    request(op, VINE__POLL_WRITE, piece->start, 0, piece->size);
}

static void read_tail(struct vine_file_op *op, const struct piece *piece)
{
    const uint32_t align = op->file->offset_align;

    op->step = see_tail;
    request(op, VINE__POLL_READ, piece->start + piece->size - align, piece->size - align, align);
}

/* A block was read, at `at` of the buffer: what the file has not got is zero. Returns false if it
 * was an end: an error, or another try. */
static bool see_block(struct vine_file_op *op, uint32_t at, uint32_t *ret_size)
{
    const uint32_t align = op->file->offset_align;

    if (vine__file_is_disturbed(op))
        return false;
    const int32_t result = vine__file_request_result(op);

    if (result < 0 || op->is_cancelled) {
        vine__file_finish(op, result < 0 ? result : -ECANCELED);
        return false;
    }
    memset(op->bounce + at + result, 0, align - (uint32_t)result);
    *ret_size = (uint32_t)result;
    return true;
}

static void note_tail(struct vine_file_op *op, const struct piece *piece, uint32_t size)
{
    const uint32_t align = op->file->offset_align;
    const uint64_t end = op->offset + op->size;

    op->cuts_tail = size < align;
    op->tail_end = size > 0 ? vine__max_u64(end, piece->start + piece->size - align + size) : end;
}

static void see_tail(struct vine_file_op *op)
{
    const struct piece piece = next_piece(op);
    uint32_t size;

    if (!see_block(op, piece.size - op->file->offset_align, &size))
        return;
    note_tail(op, &piece, size);
    write_piece(op, &piece);
}

static void see_head(struct vine_file_op *op)
{
    const struct piece piece = next_piece(op);
    const bool is_tail = piece.size == op->file->offset_align;
    uint32_t size;

    if (!see_block(op, 0, &size))
        return;
    if (piece.has_tail && !is_tail) {
        read_tail(op, &piece);
        return;
    }
    if (piece.has_tail)
        note_tail(op, &piece, size);
    write_piece(op, &piece);
}

static void begin_piece(struct vine_file_op *op)
{
    const struct piece piece = next_piece(op);

    op->cuts_tail = false;
    if (piece.position != piece.start) {
        op->step = see_head;
        request(op, VINE__POLL_READ, piece.start, 0, op->file->offset_align);
    } else if (piece.has_tail) {
        read_tail(op, &piece);
    } else {
        write_piece(op, &piece);
    }
}

static void cut_tail(struct vine_file_op *op);

static void see_cut(struct vine_file_op *op)
{
    const int32_t result = op->request.result;

    /* Also if it is cancelled: what is behind the tail is not the caller's. */
    if (result == -EINTR || result == -ECANCELED)
        cut_tail(op);
    else
        vine__file_finish(op, result < 0 ? result : (int64_t)op->count);
}

static void cut_tail(struct vine_file_op *op)
{
    struct vine__operation *const operation = vine__file_operation(op, VINE__POLL_TRUNCATE);

    operation->offset = op->tail_end;
    op->step = see_cut;
    vine__file_request(op);
}

static void see_written(struct vine_file_op *op)
{
    const struct piece piece = next_piece(op);
    const uint32_t skipped = (uint32_t)(piece.position - piece.start);

    if (vine__file_is_disturbed(op))
        return;
    const int32_t result = vine__file_request_result(op);

    if (result <= 0) {
        vine__file_finish(op, result < 0 ? result : -EIO);
        return;
    }
    const uint32_t written = (uint32_t)result;
    const uint32_t useful =
        written > skipped ? (uint32_t)vine__min_u64(written - skipped, piece.bytes) : 0;

    vine__file_vector_advance(op, useful);
    op->count += useful;
    if (op->cuts_tail && written == piece.size)
        cut_tail(op);
    else if (op->count == op->size)
        vine__file_finish(op, (int64_t)op->count);
    else if (op->is_cancelled)
        vine__file_finish(op, -ECANCELED);
    else
        begin_piece(op);
}

/* ---- what they wait for first ---------------------------------------------------------------- */

static void go_on(struct vine_file_op *op)
{
    if (op->kind == VINE__POLL_READ)
        read_piece(op);
    else
        begin_piece(op);
}

static void take_buffer(struct vine_file_op *op)
{
    op->step = go_on;
    if (vine__file_bounce_take(op))
        go_on(op);
}

void vine__file_bounce(struct vine_file_op *op)
{
    const int error = vine__file_pool_make(vine__file_here());

    if (error != 0) {
        vine__file_post_finish(op, error);
        return;
    }
    op->step = take_buffer;
    if (op->kind == VINE__POLL_READ || vine__file_hold(op, true))
        take_buffer(op);
}
