/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writing behind. The buffers are a ring: one is being filled, those before it are on their way or
 * free. A flush writes the one that is being filled as it is, which may be within a block; for
 * direct I/O the begin of that block stays in the buffer and is written once more with what comes
 * behind it, so that all other writes are of whole blocks.
 */
#include "core/file/stream_internal.h"

#include <errno.h>
#include <string.h>

#include "core/file/file_internal.h"
#include "utils/bits.h"

static struct vine_file_stream_buffer *filling(struct vine_output_stream *stream)
{
    return &stream->buffers[stream->filling];
}

static void write_buffer(struct vine_output_stream *stream, struct vine_file_stream_buffer *buffer)
{
    buffer->is_under_way = true;
    stream->under_way++;
    vine_file_write(&buffer->op, stream->file, buffer->bytes + buffer->done,
                    buffer->fill - buffer->done,
                    stream->has_places ? buffer->offset : VINE_FILE_STREAM);
}

/* Copy what a write hands over, as far as there are buffers. */
static void take_bytes(struct vine_output_stream *stream)
{
    while (stream->size > 0 && stream->error == 0) {
        struct vine_file_stream_buffer *const buffer = filling(stream);

        if (buffer->is_under_way)
            return;
        if (buffer->fill == 0)
            buffer->offset = stream->offset;
        const size_t capacity = vine__stream_capacity(stream->buffer_bytes, buffer->offset);
        const size_t now = vine__min_u64(stream->size, capacity - buffer->fill);

        memcpy(buffer->bytes + buffer->fill, stream->bytes, now);
        buffer->fill += now;
        stream->bytes += now;
        stream->size -= now;
        if (buffer->fill == capacity) {
            stream->offset = buffer->offset + capacity;
            stream->kept = 0;
            stream->filling = (stream->filling + 1) % stream->buffer_count;
            write_buffer(stream, buffer);
        }
    }
}

/* All has been written: what is left in the buffer that is being filled is the begin of a block. */
static void keep_tail(struct vine_output_stream *stream)
{
    struct vine_file_stream_buffer *const buffer = filling(stream);
    const uint64_t end = buffer->offset + buffer->fill;
    const size_t tail = end & (stream->file->offset_align - 1);

    if (buffer->fill == 0)
        return;
    stream->kept = tail <= buffer->fill ? tail : 0;
    stream->offset = end - stream->kept;
    memmove(buffer->bytes, buffer->bytes + buffer->fill - stream->kept, stream->kept);
    buffer->fill = stream->kept;
    buffer->offset = stream->offset;
}

/* Returns whether the call that waits has come to its end. */
static bool go_on(struct vine_output_stream *stream)
{
    if (!stream->is_flushing) {
        take_bytes(stream);
        return stream->size == 0 || stream->error != 0;
    }
    if (stream->under_way > 0)
        return false;
    if (stream->error == 0)
        keep_tail(stream);
    stream->is_flushing = false;
    if (stream->is_closing) {
        vine__stream_free_buffers(stream->buffers, stream->buffer_count);
        stream->buffers = NULL;
    }
    return true;
}

static void end_call(struct vine_output_stream *stream)
{
    stream->is_asked = false;
    stream->is_ended = false;
    stream->result = stream->error;
    stream->fn(stream);
}

/* Not within the call that began it; what ends meanwhile does not end it once more. */
static void post_end(struct vine_output_stream *stream)
{
    stream->is_ended = true;
    vine_work_post(&stream->work);
}

static void end_posted(struct vine_work *work)
{
    end_call(VINE_CONTAINER_OF(work, struct vine_output_stream, work));
}

static void see_written(struct vine_file_op *op)
{
    struct vine_file_stream_buffer *const buffer = vine__stream_buffer(op);
    struct vine_output_stream *const stream = buffer->stream;
    int64_t result = vine_file_result(op);

    buffer->is_under_way = false;
    stream->under_way--;
    if (!stream->has_places && result >= 0) {
        buffer->done += (size_t)result;
        if (result > 0 && buffer->done < buffer->fill) {
            write_buffer(stream, buffer);
            return;
        }
        result = buffer->done < buffer->fill ? -EIO : 0;
    }
    buffer->done = 0;
    /* One that is not full is being flushed, and filled further then. */
    if (buffer->fill == vine__stream_capacity(stream->buffer_bytes, buffer->offset))
        buffer->fill = 0;
    if (result < 0 && stream->error == 0)
        stream->error = result;
    if (stream->is_asked && !stream->is_ended && go_on(stream))
        end_call(stream);
}

int vine_output_stream_open(struct vine_output_stream *stream, struct vine_file *file,
                            const struct vine_file_stream_options *options)
{
    struct vine_file_stream_options chosen;
    bool has_places = true;
    int error = vine__stream_choose(options, file, &chosen, &has_places);

    *stream = (struct vine_output_stream){.file = file, .has_places = has_places};
    if (error == 0)
        error = vine__stream_make_buffers(&chosen, stream, file, see_written, &stream->buffers);
    if (error != 0)
        return error;
    vine_work_init(&stream->work, end_posted);
    stream->buffer_bytes = chosen.buffer_bytes;
    stream->buffer_count = chosen.buffer_count;
    stream->offset = chosen.offset;
    return 0;
}

static void begin(struct vine_output_stream *stream, vine_output_stream_fn fn)
{
    VINE_ASSERT(!stream->is_asked && !stream->is_closing);
    stream->is_asked = true;
    stream->fn = fn;
}

void vine_output_stream_write(struct vine_output_stream *stream, const void *bytes, size_t size,
                              vine_output_stream_fn fn)
{
    begin(stream, fn);
    stream->bytes = bytes;
    stream->size = size;
    if (go_on(stream))
        post_end(stream);
}

static void flush(struct vine_output_stream *stream)
{
    struct vine_file_stream_buffer *const buffer = filling(stream);

    stream->is_flushing = true;
    if (!buffer->is_under_way && buffer->fill > stream->kept && stream->error == 0)
        write_buffer(stream, buffer);
    if (go_on(stream))
        post_end(stream);
}

void vine_output_stream_flush(struct vine_output_stream *stream, vine_output_stream_fn fn)
{
    begin(stream, fn);
    flush(stream);
}

void vine_output_stream_close(struct vine_output_stream *stream, vine_output_stream_fn fn)
{
    begin(stream, fn);
    stream->is_closing = true;
    flush(stream);
}
