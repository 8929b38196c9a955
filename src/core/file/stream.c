/* SPDX-License-Identifier: Apache-2.0 */
#include "core/file/stream_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/storage/storage.h"
#include "core/file/file_internal.h"
#include "utils/bits.h"

#define BUFFER_BYTES_DEFAULT (128U * 1024)
#define BUFFER_BYTES_MAX     (1U << 30)
#define BUFFER_COUNT_DEFAULT 4

int vine__stream_choose(const struct vine_file_stream_options *options,
                        const struct vine_file *file, struct vine_file_stream_options *ret_options,
                        bool *ret_has_places)
{
    const bool has_places = vine__storage_has_places(file->fd);
    struct vine_file_stream_options chosen = {.size_bytes = sizeof(chosen)};

    if (options != NULL) {
        if (options->size_bytes != sizeof(chosen))
            return -EINVAL;
        chosen = *options;
    }
    if (chosen.buffer_bytes == 0)
        chosen.buffer_bytes = BUFFER_BYTES_DEFAULT;
    if (chosen.buffer_count == 0)
        chosen.buffer_count = BUFFER_COUNT_DEFAULT;
    if (chosen.buffer_bytes > BUFFER_BYTES_MAX ||
        chosen.buffer_count > VINE_FILE_STREAM_BUFFERS_MAX || chosen.offset > INT64_MAX ||
        chosen.length > INT64_MAX - chosen.offset)
        return -EINVAL;
    if (!has_places && chosen.offset > 0)
        return -ESPIPE;
    /* Of several requests that are under way nothing says which one is served first. */
    if (!has_places)
        chosen.buffer_count = 1;
    chosen.buffer_bytes = vine__round_up_u64(chosen.buffer_bytes, VINE__FILE_BUFFER_ALIGN);
    *ret_options = chosen;
    *ret_has_places = has_places;
    return 0;
}

void vine__stream_free_buffers(struct vine_file_stream_buffer *buffers, uint32_t count)
{
    for (uint32_t i = 0; i < count; i++) {
        if (buffers[i].is_core)
            vine_file_buffer_put(buffers[i].bytes);
        else
            free(buffers[i].bytes);
    }
    free(buffers);
}

/* Only for direct I/O does it pay that the kernel knows the memory. */
static bool take_memory(struct vine_file_stream_buffer *buffer, size_t size, bool is_direct)
{
    if (is_direct && size <= vine_file_buffer_size()) {
        buffer->bytes = vine_file_buffer_get();
        buffer->is_core = buffer->bytes != NULL;
    }
    if (buffer->bytes == NULL)
        buffer->bytes = aligned_alloc(VINE__FILE_BUFFER_ALIGN, size);
    return buffer->bytes != NULL;
}

int vine__stream_make_buffers(const struct vine_file_stream_options *options, void *stream,
                              const struct vine_file *file, vine_file_fn fn,
                              struct vine_file_stream_buffer **ret_buffers)
{
    struct vine_file_stream_buffer *const buffers = calloc(options->buffer_count, sizeof(*buffers));

    if (buffers == NULL)
        return -ENOMEM;
    for (uint32_t i = 0; i < options->buffer_count; i++) {
        vine_file_op_init(&buffers[i].op, fn);
        vine_file_op_set_class(&buffers[i].op, options->io_class);
        buffers[i].stream = stream;
        if (!take_memory(&buffers[i], options->buffer_bytes, file->offset_align > 1)) {
            vine__stream_free_buffers(buffers, options->buffer_count);
            return -ENOMEM;
        }
    }
    *ret_buffers = buffers;
    return 0;
}
