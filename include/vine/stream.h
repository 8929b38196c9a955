/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/stream.h - bytes to a procedure and back, both ways at once.
 *
 * Owns:     a stream owns its session, its tasks and their data. It lives no longer than its pipe.
 * Threads:  one at a time; while anything is in flight always the same one.
 * Blocking: writing, reading and ending, for the time-out that they are given; with 0 never (but a
 *           pipe with `throttle` waits for memory).
 * Trust:    as vine/talk.h. What is read is copied out of the appliance's half once.
 * Limits:   `writes_max` and `reads_max` chunks in flight: so much memory it has in our half and in
 *           the appliance's, whatever the other side does.
 *
 * For procedures that have streams (`has_streams`): a coroutine of the appliance reads what is
 * written here, in order, as its standard input, and whose output is read here. A write is done
 * when its bytes are handed over; while the coroutine takes none, so many fit into the window, and
 * then writing waits. The same the other way: a coroutine that writes what nobody reads waits when
 * the window is full.
 *
 * Without blocking, in a loop of the program's own (vine_pipe_arm): try to write and read with a
 * time-out of 0 whenever something has ended, until -EAGAIN.
 *
 * Caveats:  a coroutine that writes while it reads may wait for its reader, which is us. So that
 *           nobody waits for each other, a write that finds the window full while output fills the
 *           other one returns -EAGAIN at once, whatever its time-out: read first.
 */
#ifndef VINE_STREAM_H
#define VINE_STREAM_H

#include <vine/talk.h>

VINE_BEGIN_DECLARATIONS

#define VINE_STREAM_WINDOW_MAX 16 /* chunks in flight, each way */

struct vine_stream;

/* All zero (or NULL instead of the struct) means the defaults. */
struct vine_stream_options {
    size_t size_bytes;                    /* sizeof(struct vine_stream_options) */
    struct vine_accelerator *accelerator; /* as of a task */
    const uint64_t *scalars;              /* of the procedure's VINE_SCALAR arguments, the first */
    uint32_t scalar_count;
    uint32_t chunk_bytes; /* of a write or a read at most; default 65,536, and at most what the
                           * procedure takes */
    uint32_t writes_max;  /* chunks in flight; default 4 */
    uint32_t reads_max;   /* chunks that there is room for; default 4 */
    /* Or NULL. Called whenever one of its tasks has ended, as callbacks of tasks are, until it is
     * closed: it is time to write and read again, with a time-out of 0, but not in there. */
    void (*stirred)(void *context);
    void *context;
};

/*
 * Open a stream. Nothing is sent before the first write, read or end. One input or bytes at most
 * and one output or result, of bytes and without a least size, are what its procedure may have.
 * Never blocks.
 *
 * Returns 0; -VINE_ESESSION  the procedure has no streams; -VINE_EARGUMENT  it has other arguments,
 * or the scalars are not within their bounds; -EINVAL; -VINE_EQUOTA  too many sessions; -ENOMEM; or
 * as vine_pipe_status.
 */
VINE_API VINE_MUST_CHECK int vine_stream_open(struct vine_pipe *pipe,
                                              struct vine_procedure *procedure,
                                              const struct vine_stream_options *options,
                                              struct vine_stream **ret_stream);

/*
 * Write: `bytes` are copied. Goes on until all of it is handed over or the time is over.
 *
 * Returns 0           and how much was written in *ret_size: at least 1 byte, if `size` is any;
 *         -EAGAIN     nothing, as the window is full: with a time-out of 0, or where there is
 *                     something to be read first (see Caveats);
 *         -ETIMEDOUT  nothing in that time;
 *         -EPIPE      the coroutine has ended, reads no more, or the input was ended here. What it
 *                     wrote can be read still; what was handed over before that was known is lost;
 *         -EBUSY      the memory of vine_stream_map was not handed over;
 *         -VINE_EQUOTA  the pipe's memory is used up;
 *         or what vine_stream_error says.
 */
VINE_API VINE_MUST_CHECK int vine_stream_write(struct vine_stream *stream, const void *bytes,
                                               size_t size, uint64_t timeout_ns, size_t *ret_size);

/*
 * The same without a copy: get the memory of the next write, at most `chunk_bytes`, fill it, and
 * hand `size` bytes of it over. It stays ours until then. To hand over 0 bytes gives it back.
 *
 * Mapping returns 0 or as vine_stream_write; -VINE_EARGUMENT  the procedure has no input that is
 * data. Handing over returns 0; -EINVAL  more than it holds, or nothing is mapped; -EAGAIN  too
 * much is in flight on this thread's channel: it stays mapped, come again; or as vine_stream_write.
 */
VINE_API VINE_MUST_CHECK int vine_stream_map(struct vine_stream *stream, uint64_t timeout_ns,
                                             void **ret_memory, size_t *ret_size);
VINE_API VINE_MUST_CHECK int vine_stream_commit(struct vine_stream *stream, size_t size);

/*
 * Read what has come, at most `size` bytes, at least one.
 *
 * Returns 0           and how much in *ret_size; 0 bytes: the end, now and for ever after. The
 *                     coroutine may read on, if it has not ended itself;
 *         -EAGAIN     nothing is there, with a time-out of 0;
 *         -ETIMEDOUT  nothing in that time;
 *         or what vine_stream_error says, behind all that came before.
 */
VINE_API VINE_MUST_CHECK int vine_stream_read(struct vine_stream *stream, void *bytes, size_t size,
                                              uint64_t timeout_ns, size_t *ret_size);

/*
 * End what is written, a half close: behind it the coroutine reads the end. Reading goes on. Once
 * is enough, and again does nothing.
 *
 * Returns 0; -EAGAIN  too much is in flight on this thread's channel, with a time-out of 0;
 * -ETIMEDOUT; -EBUSY as vine_stream_write; or what vine_stream_error says.
 */
VINE_API VINE_MUST_CHECK int vine_stream_end(struct vine_stream *stream, uint64_t timeout_ns);

/* Give it up: whatever the coroutine waits for ends with -ECANCELED, and what it wrote and nobody
 * has read is lost. From here on everything returns -VINE_ECANCELED. Never blocks. */
VINE_API void vine_stream_cancel(struct vine_stream *stream);

/* 0, or why the stream failed, first of all: the code that the coroutine raised or ended with
 * (-VINE_EFAILED for a fault, or for an errno of that machine), -VINE_ECANCELED, -VINE_EPEERLOST,
 * ... Never blocks; what has ended is seen by writing and reading. */
VINE_API int vine_stream_error(const struct vine_stream *stream);

/* Why it failed in the words of the coroutine, as vine_task_reason; empty where it said nothing.
 * Valid until it is closed. */
VINE_API const char *vine_stream_reason(const struct vine_stream *stream);

/* Free it. One whose end was not read is given up first, as by vine_stream_cancel. Before its pipe
 * is closed. NULL is allowed. Never blocks. */
VINE_API void vine_stream_close(struct vine_stream *stream);

VINE_END_DECLARATIONS

#endif
