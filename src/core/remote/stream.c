/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/remote/stream.c - a stream to a procedure as a connection: whenever something of it has
 * ended, what waits is tried again.
 */
#include "core/remote/remote_internal.h"

#include <errno.h>

#include <vine/stream.h>

#include "arch/guard/closed.h"
#include "core/network/connection.h"
#include "core/network/send_queue.h"
#include "utils/atomic.h"

#define CHUNK_BYTES 16384U
#define WRITES      2U
#define READS       2U
#define TASKS       (WRITES + READS + 1) /* in flight, with the end */

struct vine__remote_stream {
    struct vine_connection base;
    struct vine__way_user user;
    struct vine_remote_connect *connect; /* until its function has been called; NULL: it has */
    struct vine_stream *stream;          /* NULL: it is not there yet, or not any more */
    struct vine__send_queue sends;
    unsigned char *view; /* what the reader looks at; from the first receive on */
    struct vine_work on;
    struct vine_work letting_go;
    int error;   /* why it is not there any more */
    bool is_cut; /* a part of what was to be sent was, and nothing can follow */
    bool is_freed;
};

static struct vine__remote_stream *stream_of(struct vine_connection *base)
{
    return VINE_CONTAINER_OF(base, struct vine__remote_stream, base);
}

static bool has_reader(const struct vine__remote_stream *stream)
{
    return stream->base.reader != NULL && !stream->base.reader->has_ended;
}

/* Something has changed: soon, as this may be in the middle of a poll. */
static void stirred(void *context)
{
    struct vine__remote_stream *const stream = context;

    vine_work_post(&stream->on);
}

/* ---- reading --------------------------------------------------------------------------------- */

static void serve_reader(struct vine__remote_stream *stream)
{
    struct vine_receive *const reader = stream->base.reader;
    unsigned char *to;
    size_t size = 0;
    int error;

    if (!has_reader(stream))
        return;
    if (stream->stream == NULL) {
        vine__receive_end(reader, NULL, stream->error);
        return;
    }
    if (reader->into == NULL && stream->view == NULL)
        stream->view = vine__view_take(&stream->base, CHUNK_BYTES);
    to = reader->into != NULL ? reader->into : stream->view;
    if (to == NULL) {
        vine__receive_end(reader, NULL, -ENOMEM);
        return;
    }
    error = vine_stream_read(stream->stream, to,
                             reader->into != NULL ? reader->into_bytes : CHUNK_BYTES, 0, &size);
    if (error == -EAGAIN)
        return;
    vine__receive_end(reader, error == 0 ? to : NULL, error == 0 ? (int64_t)size : error);
    if (stream->sends.first != NULL)
        vine_work_post(&stream->on); /* it may have waited for that */
}

static void stream_receive(struct vine_connection *base, struct vine_receive *receive)
{
    if (receive->descriptors != NULL)
        vine__receive_end(receive, NULL, -EOPNOTSUPP);
    else
        serve_reader(stream_of(base));
}

static void stream_receive_cancel(struct vine_connection *base, struct vine_receive *receive)
{
    (void)base;
    vine__receive_end(receive, NULL, receive->wish);
}

/* ---- writing --------------------------------------------------------------------------------- */

/* Returns 0: all of it is on its way; -EAGAIN: it has to wait; or another error. */
static int send_one(struct vine__remote_stream *stream, struct vine_send *send)
{
    int error = 0;

    if (stream->stream == NULL)
        return stream->error;
    if (stream->is_cut)
        return -EPIPE;
    if (send->kind == VINE__SEND_SHUTDOWN)
        return vine_stream_end(stream->stream, 0);
    while (error == 0 && send->sent < send->size) {
        size_t size, written = 0;
        const unsigned char *const piece = vine__send_piece(send, &size);

        error = vine_stream_write(stream->stream, piece, size, 0, &written);
        if (error == 0)
            send->sent += written;
    }
    return error;
}

static void send_on(struct vine__remote_stream *stream)
{
    while (stream->sends.first != NULL) {
        const int error = send_one(stream, stream->sends.first);

        if (error == -EAGAIN)
            break;
        vine__send_end(vine__send_queue_take(&stream->sends), error);
    }
}

static void stream_send(struct vine_connection *base, struct vine_send *send)
{
    struct vine__remote_stream *const stream = stream_of(base);

    if (send->kind == VINE__SEND_DESCRIPTORS) {
        vine__send_end(send, -EOPNOTSUPP);
        return;
    }
    vine__send_queue_add(&stream->sends, send);
    if (stream->sends.first == send)
        send_on(stream);
}

static void stream_send_cancel(struct vine_connection *base, struct vine_send *send)
{
    struct vine__remote_stream *const stream = stream_of(base);

    vine__send_queue_remove(&stream->sends, send);
    stream->is_cut |= send->sent > 0;
    vine__send_end(send, send->wish);
    send_on(stream);
}

/* ---- life ------------------------------------------------------------------------------------ */

static void free_stream(struct vine__remote_stream *stream)
{
    stream->is_freed = true;
    if (!stream->on.is_posted)
        vine__closed_free(stream);
}

static void close_stream(struct vine__remote_stream *stream, int error)
{
    vine_stream_close(stream->stream);
    stream->stream = NULL;
    stream->error = error;
    vine__way_leave(&stream->user);
}

static void let_go(struct vine_work *work)
{
    struct vine__remote_stream *const stream =
        VINE_CONTAINER_OF(work, struct vine__remote_stream, letting_go);

    vine__connection_let_go(&stream->base);
}

static void stream_end_all(struct vine_connection *base)
{
    struct vine__remote_stream *const stream = stream_of(base);

    if (has_reader(stream))
        vine__receive_end(base->reader, NULL, -ECANCELED);
    vine__send_queue_end(&stream->sends, -ECANCELED);
    close_stream(stream, -ECANCELED);
    vine_work_post(&stream->letting_go);
}

static int stream_get_address(struct vine_connection *base, bool is_peer,
                              struct vine_address *ret_address)
{
    (void)base, (void)is_peer, (void)ret_address;
    return -ENOTCONN;
}

static void stream_free(struct vine_connection *base)
{
    struct vine__remote_stream *const stream = stream_of(base);

    vine__view_give(base, stream->view, CHUNK_BYTES);
    free_stream(stream);
}

static const struct vine__connection_ops stream_ops = {
    .receive = stream_receive,
    .receive_cancel = stream_receive_cancel,
    .send = stream_send,
    .send_cancel = stream_send_cancel,
    .end_all = stream_end_all,
    .get_address = stream_get_address,
    .free = stream_free,
};

static void go_on(struct vine_work *work)
{
    struct vine__remote_stream *const stream =
        VINE_CONTAINER_OF(work, struct vine__remote_stream, on);

    if (stream->is_freed) {
        vine__closed_free(stream);
        return;
    }
    serve_reader(stream);
    send_on(stream);
}

/* ---- connecting ------------------------------------------------------------------------------ */

static struct vine__remote_stream *stream_that_uses(struct vine__way_user *user)
{
    return VINE_CONTAINER_OF(user, struct vine__remote_stream, user);
}

static void tell(struct vine_work *work)
{
    struct vine_remote_connect *const connect =
        VINE_CONTAINER_OF(work, struct vine_remote_connect, work);
    struct vine__remote_stream *const stream = connect->stream;
    struct vine__network *network = NULL;

    connect->stream = NULL;
    if (connect->error == 0)
        connect->error = vine__network_here(&network);
    if (connect->error == 0) {
        stream->connect = NULL;
        stream->base.is_layer = true; /* it is no connection of the core's load */
        vine__connection_init(&stream->base, network, &stream_ops, false);
        connect->connection = &stream->base;
    } else if (stream != NULL) {
        close_stream(stream, connect->error);
        free_stream(stream);
    }
    connect->fn(connect);
}

static int go(struct vine__way_user *user, struct vine_pipe *pipe, struct vine_procedure *procedure)
{
    struct vine__remote_stream *const stream = stream_that_uses(user);
    const struct vine_stream_options options = {
        .size_bytes = sizeof(options),
        .scalars = stream->connect->scalars,
        .scalar_count = stream->connect->scalar_count,
        .chunk_bytes = CHUNK_BYTES,
        .writes_max = WRITES,
        .reads_max = READS,
        .stirred = stirred,
        .context = stream,
    };
    int error;

    if (!vine__way_reserve(user, TASKS))
        return -EAGAIN;
    error = vine_stream_open(pipe, procedure, &options, &stream->stream);
    if (error == 0)
        vine_work_post(&stream->connect->work);
    return error;
}

static void fail(struct vine__way_user *user, int error)
{
    struct vine_remote_connect *const connect = stream_that_uses(user)->connect;

    connect->error = error;
    vine_work_post(&connect->work);
}

static void lose(struct vine__way_user *user, int error)
{
    struct vine__remote_stream *const stream = stream_that_uses(user);

    close_stream(stream, error);
    vine_work_post(&stream->on);
}

static const struct vine__way_user_ops user_ops = {
    .lets_others_pass = true, .go = go, .fail = fail, .lose = lose};

void vine_remote_connect(struct vine_remote_connect *connect, struct vine_remote remote,
                         const char *procedure, vine_remote_connect_fn fn)
{
    struct vine__remote_stream *const stream = vine__closed_alloc(sizeof(*stream));

    connect->error = 0;
    connect->connection = NULL;
    connect->fn = fn;
    connect->stream = stream;
    vine_work_init(&connect->work, tell);
    if (stream == NULL) {
        connect->error = -ENOMEM;
        vine_work_post(&connect->work);
        return;
    }
    stream->connect = connect;
    vine_work_init(&stream->on, go_on);
    vine_work_init(&stream->letting_go, let_go);
    stream->user =
        (struct vine__way_user){.ops = &user_ops, .procedure = procedure, .remote = remote.number};
    vine__way_ask(&stream->user);
}

void vine_remote_connect_cancel(struct vine_remote_connect *connect)
{
    struct vine__remote_stream *const stream = connect->stream;

    if (stream == NULL || connect->work.is_posted)
        return;
    close_stream(stream, -ECANCELED);
    connect->error = -ECANCELED;
    vine_work_post(&connect->work);
}
