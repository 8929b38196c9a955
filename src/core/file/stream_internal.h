/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/file/stream_internal.h - what both kinds of streams share: their buffers.
 */
#ifndef VINE_CORE_FILE_STREAM_INTERNAL_H
#define VINE_CORE_FILE_STREAM_INTERNAL_H

#include <vine/file_stream.h>

/* Options with their defaults, and whether the file has places. Returns 0, -EINVAL or -ESPIPE. */
VINE_MUST_CHECK int vine__stream_choose(const struct vine_file_stream_options *options,
                                        const struct vine_file *file,
                                        struct vine_file_stream_options *ret_options,
                                        bool *ret_has_places);

/* Buffers for `stream`, whose operations end with `fn`: of the core, where that serves. Returns 0
 * or -ENOMEM. */
VINE_MUST_CHECK int vine__stream_make_buffers(const struct vine_file_stream_options *options,
                                              void *stream, const struct vine_file *file,
                                              vine_file_fn fn,
                                              struct vine_file_stream_buffer **ret_buffers);
void vine__stream_free_buffers(struct vine_file_stream_buffer *buffers, uint32_t count);

static inline struct vine_file_stream_buffer *vine__stream_buffer(struct vine_file_op *op)
{
    return (struct vine_file_stream_buffer *)(void *)op; /* its first field */
}

/* How much a buffer that begins at `offset` holds: the next one begins at a whole page then. */
static inline size_t vine__stream_capacity(size_t buffer_bytes, uint64_t offset)
{
    return buffer_bytes - (size_t)(offset % 4096);
}

#endif
