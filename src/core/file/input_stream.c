/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Reading ahead. The buffers are a ring; `ahead` of them, from `first` on, have been asked for, in
 * the order of the file, and at most `window` are. The window doubles when a buffer was wanted that
 * was not there yet, and shrinks by one when IN_TIME_ENOUGH in a row were.
 */
#include "core/file/stream_internal.h"

#include <errno.h>

#include "core/file/file_internal.h"
#include "utils/bits.h"

#define IN_TIME_ENOUGH 64

static struct vine_file_stream_buffer *buffer_at(struct vine_input_stream *stream, uint32_t index)
{
    return &stream->buffers[(stream->first + index) % stream->buffer_count];
}

static void read_ahead(struct vine_input_stream *stream)
{
    const uint64_t align = stream->file->offset_align;

    while (!stream->has_last && stream->ahead < stream->window && stream->offset < stream->end) {
        struct vine_file_stream_buffer *const buffer = buffer_at(stream, stream->ahead);
        const size_t capacity = vine__stream_capacity(stream->buffer_bytes, stream->offset);
        const uint64_t left = stream->end - stream->offset;

        buffer->offset = stream->offset;
        buffer->fill = vine__min_u64(capacity, left);
        buffer->is_under_way = true;
        stream->under_way++;
        stream->ahead++;
        stream->offset += buffer->fill;
        /* Of a device whole blocks, of which the rest is left out. */
        vine_file_read(&buffer->op, stream->file, buffer->bytes,
                       vine__min_u64(capacity, vine__round_up_u64(buffer->fill, align)),
                       stream->has_places ? buffer->offset : VINE_FILE_STREAM);
    }
}

/* What the first buffer has, or the end. It is not under way. */
static void give(struct vine_input_stream *stream)
{
    struct vine_file_stream_buffer *const buffer = buffer_at(stream, 0);

    stream->view = NULL;
    stream->result = stream->last;
    if (!stream->has_last && stream->ahead == 0)
        stream->has_last = true; /* the end that was set; `last` is 0 */
    else if (!stream->has_last) {
        const uint64_t count = vine__min_u64(vine_file_count(&buffer->op), buffer->fill);
        const int64_t result = vine_file_result(&buffer->op);

        if (result < 0 || count == 0 || (stream->has_places && count < buffer->fill)) {
            stream->has_last = true;
            stream->last = result < 0 ? result : 0;
        }
        if (!stream->has_places)
            stream->offset = buffer->offset + count; /* it gives what it has, and not all */
        stream->result = count > 0 ? (int64_t)count : stream->last;
        stream->view = count > 0 ? buffer->bytes : NULL;
        stream->is_held = true;
    }
}

static void end_call(struct vine_input_stream *stream)
{
    stream->is_asked = false;
    stream->is_ended = false;
    stream->fn(stream);
}

/* Not within the call that began it; what is read meanwhile does not end it once more. */
static void post_end(struct vine_input_stream *stream)
{
    stream->is_ended = true;
    vine_work_post(&stream->work);
}

static void end_posted(struct vine_work *work)
{
    end_call(VINE_CONTAINER_OF(work, struct vine_input_stream, work));
}

static void end_closing(struct vine_input_stream *stream)
{
    vine__stream_free_buffers(stream->buffers, stream->buffer_count);
    stream->buffers = NULL;
    stream->view = NULL;
    stream->result = 0;
}

static void see_read(struct vine_file_op *op)
{
    struct vine_file_stream_buffer *const buffer = vine__stream_buffer(op);
    struct vine_input_stream *const stream = buffer->stream;

    buffer->is_under_way = false;
    stream->under_way--;
    if (stream->is_closing) {
        if (stream->under_way > 0)
            return;
        end_closing(stream);
        end_call(stream);
    } else if (stream->is_asked && !stream->is_ended && buffer == buffer_at(stream, 0)) {
        give(stream);
        end_call(stream);
    }
}

int vine_input_stream_open(struct vine_input_stream *stream, struct vine_file *file,
                           const struct vine_file_stream_options *options)
{
    struct vine_file_stream_options chosen;
    bool has_places = true;
    int error = vine__stream_choose(options, file, &chosen, &has_places);

    *stream = (struct vine_input_stream){.file = file, .has_places = has_places};
    if (error == 0)
        error = vine__stream_make_buffers(&chosen, stream, file, see_read, &stream->buffers);
    if (error != 0)
        return error;
    vine_work_init(&stream->work, end_posted);
    stream->buffer_bytes = chosen.buffer_bytes;
    stream->buffer_count = chosen.buffer_count;
    stream->window = 1;
    stream->offset = chosen.offset;
    stream->end = chosen.length > 0 ? chosen.offset + chosen.length : INT64_MAX;
    return 0;
}

void vine_input_stream_next(struct vine_input_stream *stream, vine_input_stream_fn fn)
{
    VINE_ASSERT(!stream->is_asked && !stream->is_closing);
    stream->is_asked = true;
    stream->fn = fn;
    if (stream->is_held) {
        stream->is_held = false;
        stream->first = (stream->first + 1) % stream->buffer_count;
        stream->ahead--;
    }
    const bool is_begun = stream->ahead > 0;

    read_ahead(stream);
    if (!stream->has_last && stream->ahead > 0 && buffer_at(stream, 0)->is_under_way) {
        /* The very first one is late in any case. */
        if (is_begun) {
            stream->window =
                (uint32_t)vine__min_u64(2 * (uint64_t)stream->window, stream->buffer_count);
            stream->in_time = 0;
        } else if (stream->window == 1 && stream->buffer_count > 1) {
            stream->window = 2;
        }
        read_ahead(stream);
        return;
    }
    if (++stream->in_time >= IN_TIME_ENOUGH && stream->window > 2) {
        stream->window--;
        stream->in_time = 0;
    }
    give(stream);
    post_end(stream);
}

void vine_input_stream_close(struct vine_input_stream *stream, vine_input_stream_fn fn)
{
    VINE_ASSERT(!stream->is_asked && !stream->is_closing);
    stream->is_asked = true;
    stream->is_closing = true;
    stream->fn = fn;
    for (uint32_t i = 0; i < stream->buffer_count; i++)
        if (stream->buffers[i].is_under_way)
            vine_file_cancel(&stream->buffers[i].op);
    if (stream->under_way > 0)
        return;
    end_closing(stream);
    post_end(stream);
}
