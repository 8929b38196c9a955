/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/http_exchange.h - a server of HTTP/1.1 on a connection: one request after the other, and an
 * answer to each.
 *
 * Owns:     nothing; a struct vine_http_exchange is a field of the coroutine's state.
 * Threads:  coroutines; the connection is the coroutine's own, that->socket.
 * Blocking: the coroutine alone, for at most the times that the exchange has.
 * Trust:    clients are hostile: what vine/http.h refuses is raised as -VINE_EPROTOCOL, and who is
 *           silent for too long as -ETIMEDOUT; vine_http_fail tells them so.
 * Limits:   a head of VINE_HTTP_EXCHANGE_HEAD bytes and VINE_HTTP_EXCHANGE_FIELDS fields.
 *
 *     do {
 *         vine_http_next(&self->http);
 *         if (!self->http.has_request)
 *             break;
 *         ... self->http.request ...
 *         vine_http_drop(&self->http);
 *         vine_http_answer(&self->http, 200, "text/plain", "hello\n", 6);
 *     } while (self->http.keeps_alive);
 *     vine_catch(self->error)
 *     {
 *         vine_http_fail(&self->http, self->error);
 *     }
 *
 * Between two requests the connection is parked (vine_park), whose rules hold for it: the first
 * coroutine of the connection calls vine_http_next, with nothing of vine_alloc. When the service
 * ends, a client that asks on and on is told so with its last answer.
 */
#ifndef VINE_HTTP_EXCHANGE_H
#define VINE_HTTP_EXCHANGE_H

#include <time.h>

#include <vine/http.h>
#include <vine/http_stream.h>
#include <vine/http_writer.h>
#include <vine/socket.h>

VINE_BEGIN_DECLARATIONS

#define VINE_HTTP_EXCHANGE_HEAD   16000
#define VINE_HTTP_EXCHANGE_FIELDS 64

/* Room for the head of an answer, and for a small one with its body. */
#define VINE_HTTP_EXCHANGE_ROOM 1024

/* Begin with zeros. */
struct vine_http_exchange {
    /* The caller's, before the first request; 0: a minute, 10 seconds, 30 seconds. */
    uint64_t idle_ns;   /* for a request to begin, */
    uint64_t header_ns; /* for its head to come, */
    uint64_t body_ns;   /* and for each part of a body */
    /* Also the caller's, for the answer: */
    uint16_t allowed; /* methods, of a 405 (vine/http_router.h) */
    bool is_half;     /* it is out in part, and what follows is its rest or nothing */
    /* What was asked; the bytes of its head are there until its body begins or it is answered. */
    bool has_request; /* false: the client has ended */
    int head_size;    /* of these bytes, at request.head.bytes; below 0: refused, 0: not whole */
    bool keeps_alive; /* and from its answer on: whether another one may follow */
    bool is_taken;    /* private: the head is gone, and the body has begun */
    struct vine_http_writer writer; /* of its answer, in the room for it */
    struct vine_http_date date;     /* private: of the answer */
    struct vine_http_request request;
    struct vine_http_stream stream; /* its body: `data` */
    /* Private. */
    struct vine_http_field fields[VINE_HTTP_EXCHANGE_FIELDS];
};

/* ---- requests -------------------------------------------------------------------------------- */

/* Wait for the next request: `has_request`, or its client has ended. */
#define vine_http_next(exchange)                                                                   \
    do {                                                                                           \
        vine__http_begin(exchange);                                                                \
        vine_deadline((exchange)->idle_ns);                                                        \
        vine_park();                                                                               \
        do {                                                                                       \
            vine_look((exchange)->stream.size, (exchange)->stream.bytes,                           \
                      (exchange)->stream.wanted);                                                  \
            if ((exchange)->stream.size < (exchange)->stream.wanted)                               \
                break;                                                                             \
            (exchange)->head_size = vine_http_request_parse(                                       \
                &(exchange)->request, (exchange)->stream.bytes, (exchange)->stream.size);          \
            if ((exchange)->head_size == 0 && (exchange)->stream.wanted == 1)                      \
                vine_deadline((exchange)->header_ns);                                              \
            (exchange)->stream.wanted = (exchange)->stream.size + 1;                               \
        } while ((exchange)->head_size == 0);                                                      \
        if ((exchange)->head_size < 0)                                                             \
            vine_raise((exchange)->head_size);                                                     \
        (exchange)->has_request = (exchange)->head_size > 0;                                       \
        if (vine_is_draining())                                                                    \
            vine__http_say_last(exchange);                                                         \
    } while (0)

/* Read more of its body: `stream.data`, which stays until the next call; empty: that was the end.
 * The first time takes the head away, and asks for the body where the client waits for that. */
#define vine_http_next_part(exchange)                                                              \
    do {                                                                                           \
        if (!(exchange)->is_taken) {                                                               \
            (exchange)->is_taken = true;                                                           \
            vine_skip((size_t)(exchange)->head_size);                                              \
            if ((exchange)->request.expects_continue)                                              \
                vine_write(VINE_HTTP_CONTINUE, sizeof(VINE_HTTP_CONTINUE) - 1);                    \
            vine_http_read_body(&(exchange)->stream, that->socket, (exchange)->request.framing,    \
                                (exchange)->request.content_length);                               \
        }                                                                                          \
        vine_deadline((exchange)->body_ns);                                                        \
        vine_http_read_part(&(exchange)->stream);                                                  \
    } while (0)

/* Read what is left of it, and throw it away. Without a body the head stays where it is. */
#define vine_http_drop(exchange)                                                                   \
    while (!vine__http_is_read(exchange))                                                          \
    vine_http_next_part(exchange)

/* ---- answers --------------------------------------------------------------------------------- */

/* A request is answered once. One whose body was not read to its end is answered all the same: then
 * the connection is not kept. */

/* Answer with `size_bytes` of memory of the heap, or constant ones. */
#define vine_http_answer(exchange, status, content_type, body_bytes, size_bytes)                   \
    do {                                                                                           \
        vine_http_room(exchange);                                                                  \
        if (vine__http_put((exchange), (status), (content_type), (body_bytes), (size_bytes))) {    \
            vine_http_wrote(exchange);                                                             \
        } else {                                                                                   \
            vine_http_wrote(exchange);                                                             \
            vine_write((body_bytes), (size_bytes));                                                \
        }                                                                                          \
    } while (0)

/* By one that was made before, for a request that it fits (vine_http_ready_fits). */
#define vine_http_answer_ready(exchange, ready)                                                    \
    do {                                                                                           \
        vine__http_room((exchange), (ready)->size);                                                \
        vine__http_put_ready((exchange), (ready));                                                 \
        vine_http_wrote(exchange);                                                                 \
    } while (0)

/* By an error with its name, and a constant sentence or NULL; 405 by what is `allowed`. */
#define vine_http_refuse(exchange, status, what)                                                   \
    do {                                                                                           \
        vine_http_room(exchange);                                                                  \
        vine__http_put_refusal((exchange), (status), (what));                                      \
        vine_http_wrote(exchange);                                                                 \
    } while (0)

/* For vine_catch: tell the client what was raised, in its words, if it waits for an answer that has
 * not begun: as what was wrong with its request, 408 after a time-out, or 500. */
#define vine_http_fail(exchange, error)                                                            \
    do {                                                                                           \
        if (vine__http_may_tell((exchange), (error))) {                                            \
            vine_deadline(2 * VINE_NS_PER_SECOND);                                                 \
            vine_http_room(exchange);                                                              \
            vine__http_put_failure((exchange), (error));                                           \
            vine_wrote((exchange)->writer.size);                                                   \
        }                                                                                          \
    } while (0)

/* Answers of one's own: room for the head, which `writer` writes, from vine_http_put_head to
 * vine_http_write_end; and have it go out. */
#define vine_http_room(exchange) vine__http_room((exchange), VINE_HTTP_EXCHANGE_ROOM)
#define vine_http_wrote(exchange)                                                                  \
    do {                                                                                           \
        vine_wrote((exchange)->writer.size);                                                       \
        if (!(exchange)->is_taken)                                                                 \
            vine_skip((size_t)(exchange)->head_size);                                              \
        (exchange)->is_taken = true;                                                               \
    } while (0)

/* Write a head but for its end: `reply` has no request, and no date. Returns whether a body goes
 * out behind it. */
VINE_API bool vine_http_put_head(struct vine_http_exchange *exchange,
                                 const struct vine_http_reply *reply);

/* ---- what stands behind them; private -------------------------------------------------------- */

#define vine__http_room(exchange, least)                                                           \
    do {                                                                                           \
        vine_room((exchange)->writer.size_max, (exchange)->writer.bytes, (least));                 \
        (exchange)->writer.size = 0;                                                               \
        (exchange)->writer.error = 0;                                                              \
        (void)vine_http_date_refresh(&(exchange)->date, time(NULL));                               \
    } while (0)

VINE_API void vine__http_choose_times(struct vine_http_exchange *exchange);
VINE_API void vine__http_say_last(struct vine_http_exchange *exchange);
VINE_API bool vine__http_put(struct vine_http_exchange *exchange, unsigned status,
                             const char *content_type, const void *bytes, size_t size_bytes);
VINE_API void vine__http_put_refusal(struct vine_http_exchange *exchange, unsigned status,
                                     const char *what);
VINE_API bool vine__http_may_tell(struct vine_http_exchange *exchange, int error);
VINE_API void vine__http_put_failure(struct vine_http_exchange *exchange, int error);

/* Whether nothing is left of the body. */
static inline bool vine__http_is_read(const struct vine_http_exchange *exchange)
{
    return exchange->request.framing == VINE_HTTP_NO_BODY ||
           (exchange->is_taken && exchange->stream.progress == VINE_HTTP_END);
}

VINE_SERVICE_CODE static inline void vine__http_begin(struct vine_http_exchange *exchange)
{
    if (exchange->idle_ns == 0 || exchange->header_ns == 0 || exchange->body_ns == 0)
        vine__http_choose_times(exchange);
    exchange->head_size = 0;
    exchange->stream.wanted = 1;
    exchange->is_taken = false;
    exchange->has_request = false;
    vine_http_request_init(&exchange->request, exchange->fields, VINE_HTTP_EXCHANGE_FIELDS,
                           VINE_HTTP_EXCHANGE_HEAD);
}

VINE_SERVICE_CODE static inline void vine__http_put_ready(struct vine_http_exchange *exchange,
                                                          const struct vine_http_ready *ready)
{
    exchange->keeps_alive = vine__http_is_read(exchange);
    exchange->writer.size =
        vine_http_ready_write(ready, exchange->date.text, exchange->writer.bytes);
}

VINE_END_DECLARATIONS

#endif
