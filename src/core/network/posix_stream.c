/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Connections over descriptors of any kind that this process was given, pipes, terminals and files
 * among them: one to read from, and one to write to. At most one read and one write are under way.
 */
#include "core/network/posix_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "arch/net/socket.h"
#include "arch/net/stream.h"
#include "utils/bits.h"
#include "utils/container_of.h"

#define VIEW_BYTES  (16 * 1024U)
#define AT_ONCE_MAX (1U << 30)

struct stream_connection {
    struct vine_connection base;
    struct vine__stream stream; /* `out` is -1 when it is closed */
    bool is_reading;            /* `read` is the kernel's, and so is `write` below */
    bool is_writing;
    bool is_read_cancelled;
    bool has_end; /* of what is read: `end` is 0 or an error */
    bool is_shut; /* nothing can be written any more */
    bool is_closing;
    int32_t end;
    unsigned char *view;           /* what its owner looks at; from the first receive on */
    unsigned char *raw;            /* of one with a colour, what the kernel reads into, */
    unsigned char *out;            /* and writes from */
    struct vine__send_queue sends; /* the first is the kernel's */
    struct vine__operation read;
    struct vine__operation write;
};

static struct stream_connection *stream_of(struct vine_connection *base)
{
    return VINE_CONTAINER_OF(base, struct stream_connection, base);
}

static struct vine__poller *poller_of(const struct stream_connection *connection)
{
    return connection->base.network->poller;
}

static void look(struct stream_connection *connection);

/* A thread of the kernel's may do what a descriptor cannot do without waiting, and such a thread
 * has no rights to what has a colour. */
static bool is_copied(const struct stream_connection *connection)
{
    return connection->base.colour != VINE__CONNECTION_UNCOLOURED;
}

/* `*place`, which is made if need be. Returns NULL: no memory. */
static unsigned char *copy_at(unsigned char **place)
{
    if (*place == NULL)
        *place = malloc(VIEW_BYTES);
    return *place;
}

/* ---- receiving ------------------------------------------------------------------------------- */

static void begin_read(struct stream_connection *connection);

static void on_read(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct stream_connection *const connection =
        VINE_CONTAINER_OF(operation, struct stream_connection, read);
    struct vine_network_counts *const counts = &connection->base.network->counts;
    struct vine_receive *const reader = connection->base.reader;

    (void)flags;
    VINE_ASSERT(reader != NULL && !reader->has_ended);
    connection->is_reading = false;
    connection->is_read_cancelled = false;
    if (result > 0) {
        counts->received_bytes += (uint32_t)result;
        counts->receives++;
        unsigned char *const bytes = reader->into != NULL ? reader->into : connection->view;

        if (is_copied(connection))
            memcpy(bytes, connection->raw, (size_t)result);
        vine__receive_end(reader, bytes, result);
    } else if (reader->wish != 0 &&
               (result == -ECANCELED || result == -EINTR || result == -EAGAIN)) {
        vine__receive_end(reader, NULL, reader->wish);
    } else if ((result == -EINTR || result == -EAGAIN) && !connection->base.is_aborted) {
        begin_read(connection);
    } else {
        connection->has_end = true;
        connection->end = result;
        vine__connection_tell_end(&connection->base);
        counts->receive_errors += result < 0;
        vine__receive_end(reader, NULL, result);
    }
    look(connection);
}

static void begin_read(struct stream_connection *connection)
{
    const struct vine_receive *const reader = connection->base.reader;
    unsigned char *bytes = reader->into != NULL ? reader->into : connection->view;
    uint32_t size = reader->into != NULL ? reader->into_bytes : VIEW_BYTES;

    if (is_copied(connection)) {
        bytes = connection->raw;
        size = (uint32_t)vine__min_u64(size, VIEW_BYTES);
    }
    connection->is_reading = true;
    connection->read = (struct vine__operation){
        .fn = on_read,
        .kind = VINE__POLL_READ,
        .fd = connection->stream.in,
        .bytes = bytes,
        .size = size,
        .offset = VINE__POLL_STREAM,
    };
    vine__poller_begin(poller_of(connection), &connection->read);
}

static void stream_receive(struct vine_connection *base, struct vine_receive *receive)
{
    struct stream_connection *const connection = stream_of(base);

    if (connection->has_end) {
        vine__receive_end(receive, NULL, connection->end);
        return;
    }
    if (receive->descriptors != NULL) {
        vine__receive_end(receive, NULL, -EOPNOTSUPP);
        return;
    }
    if (receive->into == NULL && connection->view == NULL)
        connection->view = vine__view_take(base, VIEW_BYTES);
    if ((receive->into == NULL && connection->view == NULL) ||
        (is_copied(connection) && copy_at(&connection->raw) == NULL)) {
        vine__receive_end(receive, NULL, -ENOMEM);
        return;
    }
    begin_read(connection);
}

static void cancel_read(struct stream_connection *connection)
{
    if (!connection->is_reading || connection->is_read_cancelled)
        return;
    connection->is_read_cancelled = true;
    vine__poller_cancel(poller_of(connection), &connection->read);
}

static void stream_receive_cancel(struct vine_connection *base, struct vine_receive *receive)
{
    (void)receive; /* it is what the kernel reads for */
    cancel_read(stream_of(base));
}

/* ---- sending --------------------------------------------------------------------------------- */

static void begin_next(struct stream_connection *connection);

static void end_first(struct stream_connection *connection, int error)
{
    struct vine_send *const send = vine__send_queue_take(&connection->sends);

    if (error != 0 && send->sent != 0)
        connection->is_shut = true;
    vine__send_end(send, error);
}

static void on_written(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct stream_connection *const connection =
        VINE_CONTAINER_OF(operation, struct stream_connection, write);
    int error;

    (void)flags;
    connection->is_writing = false;
    if (vine__send_went(connection->sends.first, &connection->base.network->counts, result, &error))
        end_first(connection, error);
    if (!connection->base.is_aborted)
        begin_next(connection);
    look(connection);
}

/* The output is closed, which is how a pipe's reader is told. */
static void on_shut(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct stream_connection *const connection =
        VINE_CONTAINER_OF(operation, struct stream_connection, write);

    (void)flags;
    if (result == -ECANCELED)
        vine__socket_close(connection->stream.out);
    connection->stream.out = -1;
    connection->is_writing = false;
    end_first(connection, 0);
    if (!connection->base.is_aborted)
        begin_next(connection);
    look(connection);
}

/* Returns 1: the kernel has it, or how it has ended. */
static int shut(struct stream_connection *connection)
{
    connection->is_shut = true;
    if (connection->stream.is_out_socket)
        return vine__socket_shutdown(connection->stream.out, SHUT_WR);
    if (connection->stream.is_out_special)
        return 0;
    connection->is_writing = true;
    connection->write = (struct vine__operation){
        .fn = on_shut, .kind = VINE__POLL_CLOSE, .fd = connection->stream.out};
    vine__poller_begin(poller_of(connection), &connection->write);
    return 1;
}

/* What is left of the piece at which a send is. */
static struct iovec piece_of(const struct vine_send *send)
{
    size_t skip = send->sent;

    if (send->kind == VINE__SEND_VECTOR) {
        for (uint32_t i = 0; i < send->vector_count; i++) {
            if (skip < send->vector[i].iov_len)
                return (struct iovec){
                    .iov_base = (unsigned char *)send->vector[i].iov_base + skip,
                    .iov_len = send->vector[i].iov_len - skip,
                };
            skip -= send->vector[i].iov_len;
        }
    }
    return (struct iovec){.iov_base = (void *)(uintptr_t)(send->bytes + skip),
                          .iov_len = send->size - skip};
}

static int begin_first(struct stream_connection *connection)
{
    const struct vine_send *const send = connection->sends.first;

    if (send->kind == VINE__SEND_DESCRIPTORS)
        return -EOPNOTSUPP;
    if (connection->is_shut)
        return -EPIPE;
    if (send->kind == VINE__SEND_SHUTDOWN)
        return shut(connection);
    if (send->size == 0)
        return 0;

    struct iovec piece = piece_of(send);

    if (is_copied(connection) && !connection->stream.is_out_socket) {
        if (copy_at(&connection->out) == NULL)
            return -ENOMEM;
        piece.iov_len = vine__min_u64(piece.iov_len, VIEW_BYTES);
        memcpy(connection->out, piece.iov_base, piece.iov_len);
        piece.iov_base = connection->out;
    }
    connection->is_writing = true;
    connection->write = (struct vine__operation){
        .fn = on_written,
        .kind = connection->stream.is_out_socket ? VINE__POLL_SEND : VINE__POLL_WRITE,
        .flags = connection->stream.is_out_socket ? MSG_NOSIGNAL : 0,
        .fd = connection->stream.out,
        .bytes = piece.iov_base,
        .size = (uint32_t)vine__min_u64(piece.iov_len, AT_ONCE_MAX),
        .offset = connection->stream.is_out_socket ? 0 : VINE__POLL_STREAM,
    };
    vine__poller_begin(poller_of(connection), &connection->write);
    return 1;
}

static void begin_next(struct stream_connection *connection)
{
    while (connection->sends.first != NULL) {
        const int error = begin_first(connection);

        if (error > 0)
            return;
        end_first(connection, error);
    }
}

static void stream_send(struct vine_connection *base, struct vine_send *send)
{
    struct stream_connection *const connection = stream_of(base);

    vine__send_queue_add(&connection->sends, send);
    if (connection->sends.first == send)
        begin_next(connection);
}

static void stream_send_cancel(struct vine_connection *base, struct vine_send *send)
{
    struct stream_connection *const connection = stream_of(base);

    if (connection->sends.first != send) {
        vine__send_queue_remove(&connection->sends, send);
        vine__send_end(send, send->wish);
    } else if (connection->write.fn != on_shut) {
        vine__poller_cancel(poller_of(connection), &connection->write);
    }
}

/* ---- the end --------------------------------------------------------------------------------- */

static void let_go(struct stream_connection *connection)
{
    if (!connection->is_reading && !connection->is_writing)
        vine__connection_let_go(&connection->base);
}

static void on_in_closed(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct stream_connection *const connection =
        VINE_CONTAINER_OF(operation, struct stream_connection, read);

    (void)flags;
    if (result == -ECANCELED)
        vine__socket_close(connection->stream.in);
    connection->is_reading = false;
    let_go(connection);
}

static void on_out_closed(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct stream_connection *const connection =
        VINE_CONTAINER_OF(operation, struct stream_connection, write);

    (void)flags;
    if (result == -ECANCELED)
        vine__socket_close(connection->stream.out);
    connection->is_writing = false;
    let_go(connection);
}

/* Close both if it is aborted and nothing is the kernel's any more. */
static void look(struct stream_connection *connection)
{
    if (!connection->base.is_aborted || connection->is_closing || connection->is_reading ||
        connection->is_writing)
        return;
    connection->is_closing = true;
    connection->is_reading = true;
    connection->read = (struct vine__operation){
        .fn = on_in_closed, .kind = VINE__POLL_CLOSE, .fd = connection->stream.in};
    vine__poller_begin(poller_of(connection), &connection->read);
    if (connection->stream.out < 0)
        return;
    connection->is_writing = true;
    connection->write = (struct vine__operation){
        .fn = on_out_closed, .kind = VINE__POLL_CLOSE, .fd = connection->stream.out};
    vine__poller_begin(poller_of(connection), &connection->write);
}

static void stream_end_all(struct vine_connection *base)
{
    struct stream_connection *const connection = stream_of(base);
    struct vine_send *const first = connection->sends.first;

    if (connection->is_reading) {
        base->reader->wish = -ECANCELED;
        cancel_read(connection);
    }
    if (first != NULL) {
        vine__send_queue_cancel_rest(&connection->sends);
        if (first->wish == 0) {
            first->wish = -ECANCELED;
            stream_send_cancel(base, first);
        }
    }
    look(connection);
}

static int stream_get_address(struct vine_connection *base, bool is_peer,
                              struct vine_address *ret_address)
{
    (void)base;
    (void)is_peer;
    (void)ret_address;
    return -ENOTCONN;
}

static void stream_free(struct vine_connection *base)
{
    struct stream_connection *const connection = stream_of(base);

    vine__view_give(base, connection->view, VIEW_BYTES);
    free(connection->raw);
    free(connection->out);
    vine__closed_free(connection);
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

/* ---- the beginning --------------------------------------------------------------------------- */

static int adopt_socket(struct vine__network *network, const struct vine__stream *stream,
                        struct vine_connection **ret_connection)
{
    struct posix_connection *const connection =
        vine__posix_connection_create(network, stream->in, stream->is_local, false);

    if (connection == NULL)
        return -ENOMEM;
    *ret_connection = &connection->base;
    return 0;
}

int vine__posix_adopt(struct vine__network *network, int fd_in, int fd_out,
                      struct vine_connection **ret_connection)
{
    struct stream_connection *connection;
    struct vine__stream stream;
    const int error = vine__stream_take(fd_in, fd_out, &stream);

    if (error != 0)
        return error;
    if (stream.is_socket)
        return adopt_socket(network, &stream, ret_connection);
    connection = vine__closed_alloc(sizeof(*connection));
    if (connection == NULL) {
        vine__socket_close(stream.in);
        vine__socket_close(stream.out);
        return -ENOMEM;
    }
    connection->stream = stream;
    connection->base.never_resets = true;
    vine__connection_init(&connection->base, network, &stream_ops, false);
    *ret_connection = &connection->base;
    return 0;
}
