/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/http_writer.h - HTTP/1.1 messages: heads, chunks and small answers, into bounded memory.
 *
 * Owns:     nothing. Whatever is written goes to the caller's bytes.
 * Threads:  any, one at a time on one object. There is no state but in the objects.
 * Blocking: never: no system call, no allocation; the time of a Date is the caller's.
 * Trust:    names and values may come from a peer: one with a control character in it, by which a
 *           response could be split in two, is refused.
 * Limits:   nothing is written beyond the room that there is; a writer that failed once writes no
 *           more, and says so at its end.
 */
#ifndef VINE_HTTP_WRITER_H
#define VINE_HTTP_WRITER_H

#include <vine/base.h>
#include <vine/http.h>

VINE_BEGIN_DECLARATIONS

/* ---- dates ---------------------------------------------------------------------------------- */

/* "Sun, 06 Nov 1994 08:49:37 GMT", without a zero. */
#define VINE_HTTP_DATE_BYTES 29

/* A date and the second that it tells: begin with zeros. */
struct vine_http_date {
    int64_t seconds;
    char text[VINE_HTTP_DATE_BYTES + 3];
};

/* Write a time since 1970 as RFC 9110 5.6.7 wants it, and a zero behind it; what lies beyond the
 * years 0 to 9999 is the nearest time within. Any thread. */
VINE_API void vine_http_date_write(int64_t seconds, char text[VINE_HTTP_DATE_BYTES + 1]);

/* The text of that second, which is made once for each. Whoever owns the date. */
VINE_API const char *vine_http_date_refresh(struct vine_http_date *date, int64_t seconds);

/* ---- writers -------------------------------------------------------------------------------- */

struct vine_http_writer {
    char *bytes;
    size_t size_max;
    size_t size;
    int error;
};

/* Begin to write at `bytes`. Whoever owns the writer, as below. */
static inline void vine_http_writer_init(struct vine_http_writer *writer, void *bytes,
                                         size_t size_max)
{
    writer->bytes = (char *)bytes;
    writer->size_max = size_max;
    writer->size = 0;
    writer->error = 0;
}

/* "Not Found" of 404; "" of a status that has no name. Any thread. The text is constant. */
VINE_API const char *vine_http_status_text(unsigned status);

/* "HTTP/1.1 404 Not Found\r\n"; the status has three digits. */
VINE_API void vine_http_write_status(struct vine_http_writer *writer, unsigned status);

/* The same with words of one's own. */
VINE_API void vine_http_write_status_reason(struct vine_http_writer *writer, unsigned status,
                                            struct vine_http_slice reason);

/* "METHOD TARGET HTTP/1.1\r\n". */
VINE_API void vine_http_write_request_line(struct vine_http_writer *writer,
                                           struct vine_http_slice method,
                                           struct vine_http_slice target);

/* A field; `name` is a token. */
VINE_API void vine_http_write_field(struct vine_http_writer *writer, const char *name,
                                    struct vine_http_slice value);
VINE_API void vine_http_write_text(struct vine_http_writer *writer, const char *name,
                                   const char *value);
VINE_API void vine_http_write_number(struct vine_http_writer *writer, const char *name,
                                     uint64_t value);

/* Bytes as they are: of a body, behind the head's end. */
VINE_API void vine_http_write_bytes(struct vine_http_writer *writer, const void *bytes,
                                    size_t size_bytes);

/* The empty line behind a head or behind trailers. */
VINE_API void vine_http_write_end(struct vine_http_writer *writer);

/* Returns how much was written; -ENOSPC: there was not enough room; -EINVAL: a name or a value that
 * must not be written. */
VINE_API VINE_MUST_CHECK int vine_http_writer_result(const struct vine_http_writer *writer);

/* ---- replies -------------------------------------------------------------------------------- */

/* What a server answers. Zeroed fields: a body of no bytes, nothing else said. */
struct vine_http_reply {
    size_t size_bytes;                       /* sizeof(struct vine_http_reply) */
    const struct vine_http_request *request; /* NULL: of none that was understood */
    const char *date;                        /* VINE_HTTP_DATE_BYTES, or NULL: no Date */
    const char *content_type;                /* or NULL */
    uint64_t content_length;                 /* with VINE_HTTP_LENGTH */
    uint16_t status;
    uint8_t framing; /* enum vine_http_framing; VINE_HTTP_NO_BODY: Content-Length is 0 */
    bool closes;     /* the connection is to be closed behind this answer */
};

/* What follows a reply's head. */
struct vine_http_reply_plan {
    uint8_t framing;  /* how the body is to be sent: chunks become VINE_HTTP_CLOSE for HTTP/1.0 */
    bool omits_body;  /* none is sent: of HEAD, 204, 304 */
    bool keeps_alive; /* the next request may follow on this connection; else close it */
};

/*
 * Write the head of an answer but for its end: status, Date, Content-Type, framing and Connection,
 * as request, status and `closes` want them. Further fields follow, then vine_http_write_end.
 */
VINE_API void vine_http_write_reply(struct vine_http_writer *writer,
                                    const struct vine_http_reply *reply,
                                    struct vine_http_reply_plan *ret_plan);

/* All of a small answer: head, end, and `body`, whose length it gets. Returns whether the
 * connection is kept. */
VINE_API bool vine_http_write_small(struct vine_http_writer *writer,
                                    const struct vine_http_reply *reply,
                                    struct vine_http_slice body);

/*
 * An answer of one sentence, with the status' name, as plain text; `what` is constant text or NULL.
 * Without a request (none was understood) the connection is closed. 405 wants an Allow: write that
 * by vine_http_write_reply. Returns whether the connection is kept.
 */
VINE_API bool vine_http_write_error(struct vine_http_writer *writer,
                                    const struct vine_http_request *request, unsigned status,
                                    const char *what, const char *date);

/* Before a body that the peer waits to be asked for (request->expects_continue). */
#define VINE_HTTP_CONTINUE "HTTP/1.1 100 Continue\r\n\r\n"

/* ---- ready answers -------------------------------------------------------------------------- */

/* An answer that was written once and changes in nothing but its Date. */
struct vine_http_ready {
    const char *bytes;
    uint32_t size;
    uint32_t date_at;
};

/*
 * Make an answer that is sent over and over, in `memory`, which stays in use: to requests of
 * HTTP/1.1 that keep their connection and are no HEAD.
 *
 * Returns 0; -ENOSPC; -EINVAL: a content type that must not be written.
 */
VINE_API VINE_MUST_CHECK int vine_http_ready_init(struct vine_http_ready *ready, void *memory,
                                                  size_t size_max, unsigned status,
                                                  const char *content_type,
                                                  struct vine_http_slice body);

/* Whether it answers this request: one by CONNECT would have a tunnel begin (RFC 9110 9.3.6). */
static inline bool vine_http_ready_fits(const struct vine_http_request *request)
{
    return request->keeps_alive && request->minor > 0 && request->method != VINE_HTTP_HEAD &&
           request->method != VINE_HTTP_CONNECT;
}

/* Write it to `out`, which has room for ready->size bytes: two copies. */
static inline size_t vine_http_ready_write(const struct vine_http_ready *ready, const char *date,
                                           char *out)
{
    memcpy(out, ready->bytes, ready->size);
    memcpy(out + ready->date_at, date, VINE_HTTP_DATE_BYTES);
    return ready->size;
}

/* ---- chunks --------------------------------------------------------------------------------- */

/* Sixteen digits and a line's end. */
#define VINE_HTTP_CHUNK_HEAD_MAX 18

/* What follows the data of a chunk; and the end of a body without trailers, instead of which
 * VINE_HTTP_LAST_CHUNK, trailers and vine_http_write_end may stand. */
#define VINE_HTTP_CHUNK_END  "\r\n"
#define VINE_HTTP_LAST_CHUNK "0\r\n"
#define VINE_HTTP_BODY_END   "0\r\n\r\n"

/* What stands before the data of a chunk of `size_bytes`, which is not 0. Any thread. Returns its
 * size. */
VINE_API size_t vine_http_chunk_head(uint64_t size_bytes, char text[VINE_HTTP_CHUNK_HEAD_MAX]);

VINE_END_DECLARATIONS

#endif
