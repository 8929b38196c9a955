/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/file_stream.h - the bytes of a file in order: read ahead, written behind.
 *
 * Owns:     buffers, from opening to closing; the file is the caller's, and stays open.
 * Threads:  a stream belongs to the core of its file.
 * Blocking: never.
 * Trust:    contents are not looked at.
 * Limits:   VINE_FILE_STREAM_BUFFERS_MAX buffers of up to 1 GiB. One call at a time: the function
 *           of the last one has been called before the next is made.
 *
 * Functions are called from work in the scheduling group of who opened the stream, and never within
 * the call that began them.
 *
 * Caveats:  who writes to what is being read ahead may be read or not. What an output stream has
 *           taken is in the file when a flush or the close has ended without an error, and on the
 *           device after a vine_file_sync. What has no places, as a pipe, is read and written where
 *           it stands: a stream uses one buffer of it then, and has to begin at 0.
 */
#ifndef VINE_FILE_STREAM_H
#define VINE_FILE_STREAM_H

#include <stdbool.h>

#include <vine/base.h>
#include <vine/file.h>
#include <vine/reactor.h>

VINE_BEGIN_DECLARATIONS

#define VINE_FILE_STREAM_BUFFERS_MAX 16

struct vine_input_stream;
struct vine_output_stream;
typedef void (*vine_input_stream_fn)(struct vine_input_stream *stream);
typedef void (*vine_output_stream_fn)(struct vine_output_stream *stream);

/* Zeroed fields are defaults. */
struct vine_file_stream_options {
    size_t size_bytes;     /* sizeof(struct vine_file_stream_options) */
    size_t buffer_bytes;   /* of each, rounded up to pages; 0: 128 KiB */
    uint32_t buffer_count; /* at most so many, under way or held; 0: 4 */
    uint64_t offset;       /* where the stream begins */
    uint64_t length;       /* where an input stream ends at the latest; 0: with the file */
    struct vine_io_class io_class;
};

/* One buffer of a stream. Private. */
struct vine_file_stream_buffer {
    struct vine_file_op op;
    void *stream;
    unsigned char *bytes;
    uint64_t offset;
    size_t fill; /* bytes that are wanted of it, or handed over in it */
    size_t done; /* of those, written where there are no places */
    bool is_under_way;
    bool is_core; /* one of the core's, known to the kernel */
};

/* Private fields. */
struct vine_input_stream {
    struct vine_work work;
    struct vine_file *file;
    vine_input_stream_fn fn;
    struct vine_file_stream_buffer *buffers;
    size_t buffer_bytes;
    uint32_t buffer_count;
    uint32_t window;  /* how many buffers are used now: what was seen to be enough */
    uint32_t first;   /* the buffer that is next in order */
    uint32_t ahead;   /* buffers that have been asked for, from the first on */
    uint32_t in_time; /* how often in a row a buffer was there when it was wanted */
    uint32_t under_way;
    uint64_t offset; /* of what will be asked for next */
    uint64_t end;
    const unsigned char *view;
    int64_t result;
    int64_t last;  /* with `has_last`: what every call ends with from now on */
    bool has_last; /* the end, or an error, was seen */
    bool is_held;  /* the caller has a view of the first buffer */
    bool is_asked; /* a call waits for its end */
    bool is_ended; /* which has come and is still to be told */
    bool is_closing;
    bool has_places;
};

/* Private fields. */
struct vine_output_stream {
    struct vine_work work;
    struct vine_file *file;
    vine_output_stream_fn fn;
    struct vine_file_stream_buffer *buffers;
    size_t buffer_bytes;
    uint32_t buffer_count;
    uint32_t filling; /* the buffer that is being filled */
    uint32_t under_way;
    uint64_t offset;            /* where the buffer begins that will be filled next */
    size_t kept;                /* bytes of the buffer that is being filled that are in the file */
    const unsigned char *bytes; /* what a write has still to hand over */
    size_t size;
    int64_t error; /* the first */
    int64_t result;
    bool is_asked; /* a call waits for its end */
    bool is_ended; /* which has come and is still to be told */
    bool is_flushing, is_closing;
    bool has_places;
};

/* ---- reading --------------------------------------------------------------------------------- */

/*
 * Open a stream over a file that is open for reading. Nothing is read yet.
 * Returns 0, -EINVAL, -ENOMEM, or -ESPIPE: it has no places, and the stream is to begin at one.
 */
VINE_API VINE_MUST_CHECK int vine_input_stream_open(struct vine_input_stream *stream,
                                                    struct vine_file *file,
                                                    const struct vine_file_stream_options *options);

/* Have `fn` called when the next bytes are there, or there will be none. The bytes that were had
 * before are given back. */
VINE_API void vine_input_stream_next(struct vine_input_stream *stream, vine_input_stream_fn fn);

/* How many bytes came: 0 at the end, or a negative error, which stands where it occurred: all
 * before it came. And where they are, until the next call. */
static inline int64_t vine_input_stream_result(const struct vine_input_stream *stream)
{
    return stream->result;
}

static inline const void *vine_input_stream_bytes(const struct vine_input_stream *stream)
{
    return stream->view;
}

/* Cancel what is being read ahead, give everything back, and call `fn`. */
VINE_API void vine_input_stream_close(struct vine_input_stream *stream, vine_input_stream_fn fn);

/* ---- writing --------------------------------------------------------------------------------- */

/*
 * Open a stream over a file that is open for writing; for reading, too, if it is for direct I/O and
 * the stream does not begin at a whole block, or is flushed within one.
 * Returns 0, -EINVAL, -ENOMEM, or -ESPIPE: as above.
 */
VINE_API VINE_MUST_CHECK int
vine_output_stream_open(struct vine_output_stream *stream, struct vine_file *file,
                        const struct vine_file_stream_options *options);

/* Hand over bytes, which are used until `fn` is called: they have been copied then, and are written
 * when a buffer is full. With all buffers on their way `fn` waits for one. */
VINE_API void vine_output_stream_write(struct vine_output_stream *stream, const void *bytes,
                                       size_t size, vine_output_stream_fn fn);

/* Write all that was handed over, and call `fn` then. */
VINE_API void vine_output_stream_flush(struct vine_output_stream *stream, vine_output_stream_fn fn);

/* Flush, give everything back, and call `fn`. Once. */
VINE_API void vine_output_stream_close(struct vine_output_stream *stream, vine_output_stream_fn fn);

/* 0, or the first error of the stream: it writes nothing more then. */
static inline int64_t vine_output_stream_result(const struct vine_output_stream *stream)
{
    return stream->result;
}

VINE_END_DECLARATIONS

#endif
