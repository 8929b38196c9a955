/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/file/file_internal.h - what the files of this folder share.
 *
 * The way of an operation: a function of vine/file.h begins it (vine__file_begin) and either gives
 * a request to the kernel or waits, for the file (hold.c) or for a buffer (buffers.c). The end of a
 * request posts the operation's work; its `step` looks at the result and gives the next request, or
 * finishes. Requests that move data go by the I/O queue, of this core or of a neighbour (road.c).
 */
#ifndef VINE_CORE_FILE_INTERNAL_H
#define VINE_CORE_FILE_INTERNAL_H

#include "core/file/file.h"
#include "core/file/io_queue.h"

#include "arch/poll/poll.h"
#include "core/reactor/reactor.h"
#include "utils/assert.h"
#include "utils/container_of.h"

/* Of the core's buffers, and of their size. */
#define VINE__FILE_BUFFER_ALIGN 4096

/* Where an operation is; its field `state`. */
enum vine__file_state {
    VINE__FILE_IDLE,       /* its owner's */
    VINE__FILE_HOLDING_ON, /* waits for its file */
    VINE__FILE_UNBUFFERED, /* waits for a buffer */
    VINE__FILE_REQUESTED,  /* its request is under way */
    VINE__FILE_POSTED,     /* its step is to run */
};

/* Buffers of a core, in one piece that the kernel knows, where it can. */
struct vine__file_pool {
    unsigned char *bytes; /* NULL: not made yet */
    uint32_t count;
    uint32_t buffer_bytes;
    uint32_t *free;
    uint32_t free_count;
    bool is_registered;
    struct vine_file_op *waiting_first, **waiting_last;
};

/* Requests that go to one other core, all that there are at once; and while they are on their way,
 * those that will go next. */
struct vine__io_batch {
    struct vine_core_call call;
    struct vine_io_request *first, **last;
    struct vine_io_request *sent; /* cancels: they stay here */
    bool is_away;
};

/* Of the operations of a class that this core began, when they have ended. */
struct vine__file_counts {
    uint64_t operations, errors, read_bytes, written_bytes;
};

struct vine__file_core {
    uint32_t core;
    uint32_t core_count;
    uint32_t neighbour; /* without a queue of our own: who has one */
    bool has_queue;
    struct vine__poller *poller;
    struct vine__io_queue queue;
    uint32_t begun; /* requests given to the poller */
    struct vine__file_pool pool;
    struct vine__file_counts counts[VINE_IO_CLASSES_MAX];
    struct vine_metrics_refresh refresh; /* looks for classes that are new */
    uint32_t told;                       /* a bit for each class that has metrics */
    struct vine__io_batch out;           /* requests, to the neighbour */
    struct vine__io_batch cancels;       /* of those, to the neighbour */
    struct vine__io_batch *returns;      /* [core_count] requests of others that have ended */
};

VINE_STATIC_ASSERT(sizeof(struct vine__operation) <=
                       sizeof(((struct vine_io_request *)0)->operation),
                   "vine/file.h has room for an operation of the poller's");

static inline struct vine__operation *vine__io_operation(struct vine_io_request *request)
{
    return (struct vine__operation *)(void *)request->operation;
}

/* ---- op.c ------------------------------------------------------------------------------------ */

struct vine__file_core *vine__file_here(void);

/* `op` is under way from now on, and its step is `step`. `file` may be NULL. */
void vine__file_begin(struct vine_file_op *op, struct vine_file *file,
                      void (*step)(struct vine_file_op *op));

/* A zeroed operation of the poller's for its next request. */
struct vine__operation *vine__file_operation(struct vine_file_op *op, enum vine__poll_kind kind);

/* Give the request to the kernel, past the I/O queue; its step comes after. */
void vine__file_request(struct vine_file_op *op);

/* The same through the I/O queue. `fd`, bytes and offset are filled in. */
void vine__file_request_data(struct vine_file_op *op);

/* Have the step run in a later turn. */
void vine__file_post(struct vine_file_op *op);

/* It ends with `result`: at once, from a step; or posted, from anywhere. */
void vine__file_finish(struct vine_file_op *op, int64_t result);
void vine__file_post_finish(struct vine_file_op *op, int64_t result);

/* Whether the request was disturbed by a signal, and was therefore given anew. */
bool vine__file_is_disturbed(struct vine_file_op *op);

/* What a step that was not disturbed sees: the request's result, and -EINTR as what it was. */
int32_t vine__file_request_result(const struct vine_file_op *op);

/* ---- road.c: requests to and from the core that has a queue ---------------------------------- */

void vine__io_send(struct vine__file_core *core, struct vine_io_request *request);
void vine__io_send_cancel(struct vine__file_core *core, struct vine_io_request *request);
void vine__io_send_back(struct vine__file_core *core, struct vine_io_request *request);

/* In op.c: take one of another core into our queue; end one; tell its operation. */
void vine__io_take(struct vine__file_core *core, struct vine_io_request *request);
void vine__io_cancel(struct vine__file_core *core, struct vine_io_request *request);
void vine__io_arrive(struct vine_io_request *request);

/* ---- counts.c -------------------------------------------------------------------------------- */

/* An operation has ended, with its result and its count. */
void vine__file_count(struct vine__file_core *core, const struct vine_file_op *op);

/* ---- hold.c: writes that run alone ----------------------------------------------------------- */

/* Take hold of the file, alone or beside others. Returns false: it has to wait, and `step` is
 * called when it has it. */
bool vine__file_hold(struct vine_file_op *op, bool is_alone);
void vine__file_let_go(struct vine_file_op *op);
void vine__file_stop_waiting(struct vine_file_op *op);

/* ---- buffers.c ------------------------------------------------------------------------------- */

void vine__file_pool_init(struct vine__file_pool *pool, const struct vine__file_options *options);
void vine__file_pool_fini(struct vine__file_pool *pool);

/* Make it, if it is not there. Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__file_pool_make(struct vine__file_core *core);

/* Whether memory is all within buffers that the kernel knows. */
static inline bool vine__file_pool_knows(const struct vine__file_pool *pool, const void *bytes,
                                         size_t size)
{
    const size_t at = (size_t)((const unsigned char *)bytes - pool->bytes);
    const size_t pool_bytes = (size_t)pool->count * pool->buffer_bytes;

    return pool->is_registered && at < pool_bytes && size <= pool_bytes - at;
}

/* Take a buffer for `op`. Returns false: it has to wait, and `step` is called when it has it. */
bool vine__file_bounce_take(struct vine_file_op *op);
void vine__file_bounce_release(struct vine_file_op *op);
void vine__file_bounce_stop_waiting(struct vine_file_op *op);

/* ---- vector.c: the memory of an operation, part by part ---------------------------------------
 * */

/* What is left of the first part. */
static inline struct iovec vine__file_part(const struct vine_file_op *op)
{
    return (struct iovec){
        .iov_base = (unsigned char *)op->vector->iov_base + op->vector_within,
        .iov_len = op->vector->iov_len - op->vector_within,
    };
}

/* Move on by `size` bytes, which are there. */
void vine__file_vector_advance(struct vine_file_op *op, size_t size);

/* Copy `size` bytes into it, and move on. */
void vine__file_vector_fill(struct vine_file_op *op, const void *bytes, size_t size);

/* Copy its next `size` bytes, and stay: what was copied may not all be taken. */
void vine__file_vector_peek(const struct vine_file_op *op, void *ret_bytes, size_t size);

/* ---- bounce.c -------------------------------------------------------------------------------- */

/* Read or write what is not aligned; the operation's fields are set. */
void vine__file_bounce(struct vine_file_op *op);

#endif
