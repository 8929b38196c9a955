/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/http_stream.h - messages of HTTP/1.1 on sockets of coroutines: heads and bodies as
 * operations that look blocking.
 *
 * Owns:     nothing; a struct vine_http_stream is a field of the coroutine's state.
 * Threads:  coroutines, one at a time on one stream.
 * Blocking: the coroutine alone, and until its deadline (vine_deadline) at the latest.
 * Trust:    peers are hostile: what vine/http.h refuses is raised as -VINE_EPROTOCOL, and a body
 *           that is cut short as -ECONNRESET.
 * Limits:   a head has at most VINE_LOOK_MAX bytes.
 *
 * These are operations as any user may make them, over those of vine/socket.h:
 *
 *     vine_http_request_init(&self->request, self->fields, FIELDS_MAX, HEAD_MAX);
 *     vine_http_read_request(self->head_size, &self->stream, that->socket, &self->request);
 *     ...
 *     vine_skip((size_t)self->head_size);
 *     vine_http_read_body(&self->stream, that->socket, self->request.framing,
 *                         self->request.content_length);
 *     for (;;) {
 *         vine_http_read_part(&self->stream);
 *         if (self->stream.data.size == 0)
 *             break;
 *         ... self->stream.data ...
 *     }
 */
#ifndef VINE_HTTP_STREAM_H
#define VINE_HTTP_STREAM_H

#include <errno.h>

#include <vine/error.h>
#include <vine/http.h>
#include <vine/http_writer.h>
#include <vine/socket.h>

VINE_BEGIN_DECLARATIONS

struct vine_http_stream {
    struct vine_http_slice data; /* of the body, as vine_http_read_part has found it */
    struct vine_socket *socket;  /* what follows is private */
    const char *bytes;
    size_t size, wanted, used;
    uint64_t moved;
    int progress;
    struct vine_http_body body;
};

/* Look at what comes until all of a head is there, for whom vine_http_request_init or
 * vine_http_response_init was called before. `size_lvalue`, an int, is how large it is, and then it
 * is to be skipped when it has been looked at; 0: the peer has ended before it was whole; or
 * -VINE_EPROTOCOL, as `refusal` of the head says. */
#define vine_http_read_request(size_lvalue, stream_pointer, socket_pointer, request_pointer)       \
    vine__http_read_head(size_lvalue, stream_pointer, socket_pointer,                              \
                         vine_http_request_parse((request_pointer), (stream_pointer)->bytes,       \
                                                 (stream_pointer)->size))
#define vine_http_read_response(size_lvalue, stream_pointer, socket_pointer, response_pointer)     \
    vine__http_read_head(size_lvalue, stream_pointer, socket_pointer,                              \
                         vine_http_response_parse((response_pointer), (stream_pointer)->bytes,     \
                                                  (stream_pointer)->size))

/* Begin with the body that follows on the socket: framing and length are the head's. */
VINE_SERVICE_CODE static inline void vine_http_read_body(struct vine_http_stream *stream,
                                                         struct vine_socket *socket,
                                                         enum vine_http_framing framing,
                                                         uint64_t content_length)
{
    stream->socket = socket;
    stream->used = 0;
    stream->progress = VINE_HTTP_MORE;
    vine_http_body_init(&stream->body, framing, content_length);
}

/* The next part of it, as it comes: `data`, which stays until the next call; empty: that was the
 * end, and `body.trailers` are whole. */
#define vine_http_read_part(stream_pointer)                                                        \
    do {                                                                                           \
        (stream_pointer)->data.size = 0;                                                           \
        (stream_pointer)->wanted = 0;                                                              \
        vine_skip_on((stream_pointer)->socket, (stream_pointer)->used);                            \
        for ((stream_pointer)->used = 0;                                                           \
             (stream_pointer)->progress != VINE_HTTP_END && (stream_pointer)->data.size == 0;) {   \
            vine_look_on((stream_pointer)->socket, (stream_pointer)->size,                         \
                         (stream_pointer)->bytes, (stream_pointer)->wanted);                       \
            if (vine__http_take_part(stream_pointer) != 0)                                         \
                vine_raise((stream_pointer)->progress);                                            \
            if ((stream_pointer)->data.size == 0) {                                                \
                vine_skip_on((stream_pointer)->socket, (stream_pointer)->used);                    \
                (stream_pointer)->used = 0;                                                        \
            }                                                                                      \
        }                                                                                          \
    } while (0)

/* Pass all of the rest of it on to another socket: as chunks, or as it is, and then data goes past
 * the heap where it can. Of trailers nothing is passed on. */
#define vine_http_pass_body(stream_pointer, to_socket, in_chunks)                                  \
    do {                                                                                           \
        do {                                                                                       \
            if (!(in_chunks) && vine_http_body_direct(&(stream_pointer)->body) > 0) {              \
                vine_skip_on((stream_pointer)->socket, (stream_pointer)->used);                    \
                (stream_pointer)->used = 0;                                                        \
                vine_splice((stream_pointer)->moved, (stream_pointer)->socket, (to_socket),        \
                            vine_http_body_direct(&(stream_pointer)->body));                       \
                vine_http_body_moved(&(stream_pointer)->body, (stream_pointer)->moved);            \
            }                                                                                      \
            vine_http_read_part(stream_pointer);                                                   \
            if ((in_chunks) && (stream_pointer)->data.size > 0)                                    \
                vine_writef_on((to_socket), "%zx\r\n", (stream_pointer)->data.size);               \
            vine_write_on((to_socket), (stream_pointer)->data.text, (stream_pointer)->data.size);  \
            if ((in_chunks) && (stream_pointer)->data.size > 0)                                    \
                vine_write_on((to_socket), VINE_HTTP_CHUNK_END, 2);                                \
        } while ((stream_pointer)->data.size > 0);                                                 \
        if (in_chunks)                                                                             \
            vine_write_on((to_socket), VINE_HTTP_BODY_END, sizeof(VINE_HTTP_BODY_END) - 1);        \
    } while (0)

/* ---- what stands behind them; private -------------------------------------------------------- */

#define vine__http_read_head(size_lvalue, stream_pointer, socket_pointer, parsed)                  \
    do {                                                                                           \
        for ((size_lvalue) = 0, (stream_pointer)->wanted = 1; (size_lvalue) == 0;) {               \
            vine_look_on((socket_pointer), (stream_pointer)->size, (stream_pointer)->bytes,        \
                         (stream_pointer)->wanted);                                                \
            if ((stream_pointer)->size < (stream_pointer)->wanted)                                 \
                break;                                                                             \
            (size_lvalue) = (parsed);                                                              \
            (stream_pointer)->wanted = (stream_pointer)->size + 1;                                 \
        }                                                                                          \
    } while (0)

/* What was looked at. Returns 0 or, as `progress` is then, what is to be raised. */
VINE_SERVICE_CODE static inline int vine__http_take_part(struct vine_http_stream *stream)
{
    if (stream->size < stream->wanted) {
        stream->progress = vine_http_body_closed(&stream->body) != 0 ? -ECONNRESET : VINE_HTTP_END;
        return stream->progress < 0;
    }
    stream->progress = vine_http_body_next(&stream->body, stream->bytes, stream->size,
                                           &stream->used, &stream->data);
    stream->wanted = stream->progress == VINE_HTTP_MORE ? stream->size - stream->used + 1 : 0;
    return stream->progress < 0;
}

VINE_END_DECLARATIONS

#endif
