/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/http.h - HTTP/1.1 messages: heads of requests and responses, and bodies, as bytes come.
 *
 * Owns:     nothing. Results are positions within the caller's bytes; fields go to the caller's
 *           array.
 * Threads:  any, one at a time on one object. There is no state but in the objects.
 * Blocking: never: no system call, no allocation.
 * Trust:    bytes are a hostile peer's. What two readers of one message could take differently is
 *           refused (RFC 9112, 9110 and what was seen in request smuggling), with the status to
 *           answer and a sentence.
 * Limits:   a head of VINE_HTTP_HEAD_MAX bytes and VINE_HTTP_FIELDS_MAX fields, of which the caller
 *           chooses less; a field's name has at most 255 bytes, a length is at most 2^63 - 1.
 *
 * What writes messages is in vine/http_writer.h; paths, conditions, ranges and routes are in
 * vine/http_resource.h. What is accepted and what is refused with which status:
 * docs/formats/http.md.
 */
#ifndef VINE_HTTP_H
#define VINE_HTTP_H

#include <stdbool.h>
#include <string.h>

#include <vine/base.h>

VINE_BEGIN_DECLARATIONS

#define VINE_HTTP_HEAD_MAX   65535
#define VINE_HTTP_FIELDS_MAX 255

/* ---- text ----------------------------------------------------------------------------------- */

/* Bytes of somebody else, without a zero at their end. */
struct vine_http_slice {
    const char *text;
    size_t size;
};

/* A constant text as a slice. */
static inline struct vine_http_slice vine_http_slice(const char *text)
{
    const struct vine_http_slice slice = {text, strlen(text)};

    return slice;
}

/* Whether both are the same but for upper and lower case of ASCII. Any thread. */
VINE_API bool vine_http_is(struct vine_http_slice slice, const char *text);

/*
 * Take the next member of a list with commas, without the white space around it; commas within
 * quoted strings separate nothing, and empty members are passed over. `rest` becomes what is
 * behind it. Any thread.
 *
 * Returns whether there was one.
 */
VINE_API bool vine_http_list_next(struct vine_http_slice *rest, struct vine_http_slice *ret_member);

/* ---- fields --------------------------------------------------------------------------------- */

/* X(symbol, name): the fields that are known by number. Those up to PROXY_AUTHORIZATION belong to
 * one connection, and no proxy forwards them. */
#define VINE_HTTP_FIELDS(X)                                                                        \
    X(CONNECTION, "connection")                                                                    \
    X(TRANSFER_ENCODING, "transfer-encoding")                                                      \
    X(UPGRADE, "upgrade")                                                                          \
    X(TE, "te")                                                                                    \
    X(TRAILER, "trailer")                                                                          \
    X(KEEP_ALIVE, "keep-alive")                                                                    \
    X(PROXY_CONNECTION, "proxy-connection")                                                        \
    X(PROXY_AUTHENTICATE, "proxy-authenticate")                                                    \
    X(PROXY_AUTHORIZATION, "proxy-authorization")                                                  \
    X(HOST, "host")                                                                                \
    X(CONTENT_LENGTH, "content-length")                                                            \
    X(EXPECT, "expect")                                                                            \
    X(VIA, "via")                                                                                  \
    X(RANGE, "range")                                                                              \
    X(IF_RANGE, "if-range")                                                                        \
    X(IF_MATCH, "if-match")                                                                        \
    X(IF_NONE_MATCH, "if-none-match")                                                              \
    X(IF_MODIFIED_SINCE, "if-modified-since")                                                      \
    X(IF_UNMODIFIED_SINCE, "if-unmodified-since")                                                  \
    X(ACCEPT, "accept")                                                                            \
    X(ACCEPT_ENCODING, "accept-encoding")                                                          \
    X(ACCEPT_LANGUAGE, "accept-language")                                                          \
    X(ACCEPT_RANGES, "accept-ranges")                                                              \
    X(AUTHORIZATION, "authorization")                                                              \
    X(CACHE_CONTROL, "cache-control")                                                              \
    X(CONTENT_ENCODING, "content-encoding")                                                        \
    X(CONTENT_RANGE, "content-range")                                                              \
    X(CONTENT_TYPE, "content-type")                                                                \
    X(COOKIE, "cookie")                                                                            \
    X(DATE, "date")                                                                                \
    X(ETAG, "etag")                                                                                \
    X(LAST_MODIFIED, "last-modified")                                                              \
    X(LOCATION, "location")                                                                        \
    X(MAX_FORWARDS, "max-forwards")                                                                \
    X(ORIGIN, "origin")                                                                            \
    X(REFERER, "referer")                                                                          \
    X(SERVER, "server")                                                                            \
    X(SET_COOKIE, "set-cookie")                                                                    \
    X(USER_AGENT, "user-agent")                                                                    \
    X(VARY, "vary")                                                                                \
    X(X_FORWARDED_FOR, "x-forwarded-for")

enum vine_http_field_id {
    VINE_HTTP_FIELD_OTHER,
#define VINE_HTTP_FIELD_VALUE(symbol, name) VINE_HTTP_FIELD_##symbol,
    VINE_HTTP_FIELDS(VINE_HTTP_FIELD_VALUE)
#undef VINE_HTTP_FIELD_VALUE
        VINE_HTTP_FIELD_COUNT,
};

/* One field line: where its name and its value lie in the head, without white space around it. */
struct vine_http_field {
    uint16_t name_at;
    uint16_t value_at;
    uint16_t value_size;
    uint8_t name_size;
    uint8_t id; /* enum vine_http_field_id */
};

/* A part of a head. */
struct vine_http_span {
    uint16_t at;
    uint16_t size;
};

/* What was wrong. `what` is a constant sentence that repeats nothing of the peer's. */
struct vine_http_refusal {
    const char *what;
    uint64_t offset; /* of the byte at which it was seen */
    uint16_t status; /* with which a server answers; who reads responses answers 502 */
};

/* The fields of one message. `bytes` is where the head lay when it was last parsed: who moves it
 * says so here. */
struct vine_http_head {
    const char *bytes;
    struct vine_http_field *fields;
    uint64_t present;  /* bit `id` of each known field that there is */
    uint64_t repeated; /* of those that there are more than once */
    uint16_t field_count;
    uint16_t field_max; /* 0 without `fields`: they are checked, and not kept */
    uint16_t size_max;
    uint16_t line_at;  /* the line that is incomplete */
    uint16_t searched; /* how far a line's end was looked for already; 0: not yet */
    uint8_t stage;
    uint8_t first[VINE_HTTP_FIELD_COUNT]; /* where the first of an id is, if it is present */
    struct vine_http_refusal refusal;
};

/* A part of a head as a slice; valid as long as the bytes. */
static inline struct vine_http_slice vine_http_text(const struct vine_http_head *head,
                                                    struct vine_http_span span)
{
    const struct vine_http_slice slice = {head->bytes + span.at, span.size};

    return slice;
}

static inline struct vine_http_slice vine_http_field_name(const struct vine_http_head *head,
                                                          const struct vine_http_field *field)
{
    const struct vine_http_slice slice = {head->bytes + field->name_at, field->name_size};

    return slice;
}

static inline struct vine_http_slice vine_http_field_value(const struct vine_http_head *head,
                                                           const struct vine_http_field *field)
{
    const struct vine_http_slice slice = {head->bytes + field->value_at, field->value_size};

    return slice;
}

static inline bool vine_http_has(const struct vine_http_head *head, enum vine_http_field_id id)
{
    return (head->present >> id & 1) != 0;
}

/* The value of the first field `id`. Any thread.
 *
 * Returns whether there is one; else `ret_value` is untouched. */
static inline bool vine_http_value(const struct vine_http_head *head, enum vine_http_field_id id,
                                   struct vine_http_slice *ret_value)
{
    if (!vine_http_has(head, id))
        return false;
    *ret_value = vine_http_field_value(head, &head->fields[head->first[id]]);
    return true;
}

/*
 * The next field `id`, for those that may come several times: NULL as `after` finds the first. Any
 * thread.
 *
 * Returns NULL where there is no further one.
 */
VINE_API const struct vine_http_field *vine_http_next(const struct vine_http_head *head,
                                                      enum vine_http_field_id id,
                                                      const struct vine_http_field *after);

/* The same by name, of any case, known or not. Any thread. */
VINE_API const struct vine_http_field *vine_http_find(const struct vine_http_head *head,
                                                      const char *name,
                                                      const struct vine_http_field *after);

/* ---- requests ------------------------------------------------------------------------------- */

enum vine_http_method {
    VINE_HTTP_OTHER, /* a word that is none of these: see request->method_name */
    VINE_HTTP_GET,
    VINE_HTTP_HEAD,
    VINE_HTTP_POST,
    VINE_HTTP_PUT,
    VINE_HTTP_DELETE,
    VINE_HTTP_CONNECT,
    VINE_HTTP_OPTIONS,
    VINE_HTTP_TRACE,
    VINE_HTTP_PATCH,
    VINE_HTTP_METHOD_COUNT,
};

/* How a message ends. */
enum vine_http_framing {
    VINE_HTTP_NO_BODY,
    VINE_HTTP_LENGTH,  /* after Content-Length bytes */
    VINE_HTTP_CHUNKED, /* after the last chunk and trailers */
    VINE_HTTP_CLOSE,   /* of responses: with the connection */
};

enum vine_http_target_form {
    VINE_HTTP_ORIGIN_FORM,    /* /path?query */
    VINE_HTTP_ABSOLUTE_FORM,  /* http://authority/path?query */
    VINE_HTTP_AUTHORITY_FORM, /* host:port, of CONNECT */
    VINE_HTTP_ASTERISK_FORM,  /* *, of OPTIONS */
};

struct vine_http_request {
    struct vine_http_head head;
    uint64_t content_length; /* with VINE_HTTP_LENGTH */
    struct vine_http_span method_name;
    struct vine_http_span target;    /* as it came */
    struct vine_http_span authority; /* of the target, else of Host; may be empty */
    struct vine_http_span path;      /* begins with '/', or is empty (also of http://host) */
    struct vine_http_span query;     /* behind '?' */
    uint8_t method;                  /* enum vine_http_method */
    uint8_t target_form;             /* enum vine_http_target_form */
    uint8_t framing;                 /* enum vine_http_framing */
    uint8_t minor;                   /* 0 of HTTP/1.0, 1 of HTTP/1.1 and later ones */
    bool keeps_alive;                /* the peer would send more on this connection */
    bool expects_continue;           /* it waits for 100 before it sends the body */
    bool offers_upgrade;             /* to another protocol, which may be passed over */
    bool has_query;                  /* a '?' was there */
};

/*
 * Begin to read a request: `fields` has room for `field_max` (at most VINE_HTTP_FIELDS_MAX) fields,
 * and the head has at most `head_max` (at most VINE_HTTP_HEAD_MAX) bytes. Who owns the request.
 */
VINE_API void vine_http_request_init(struct vine_http_request *request,
                                     struct vine_http_field *fields, size_t field_max,
                                     size_t head_max);

/*
 * Read the head at the start of `bytes`. Where more is wanted, call it again with the same bytes
 * and further ones behind them (they may have moved): whole lines are not read again. Nothing is
 * copied. The body begins behind the head. A refusal comes when its line has ended, at the latest.
 * Who owns the request.
 *
 * Returns the size of the head: all of it was there, and the request is filled in;
 *         0                     more bytes are wanted;
 *         -VINE_EPROTOCOL       refused: request->head.refusal says what to answer, after which the
 *                               connection is closed.
 */
VINE_API VINE_MUST_CHECK int vine_http_request_parse(struct vine_http_request *request,
                                                     const void *bytes, size_t size_bytes);

/* The name of a method, or "" of VINE_HTTP_OTHER. Any thread. The text is constant. */
VINE_API const char *vine_http_method_name(enum vine_http_method method);

/* ---- responses ------------------------------------------------------------------------------ */

struct vine_http_response {
    struct vine_http_head head;
    uint64_t content_length; /* with VINE_HTTP_LENGTH */
    struct vine_http_span reason;
    uint16_t status;
    uint8_t framing; /* enum vine_http_framing */
    uint8_t minor;
    uint8_t request_method; /* enum vine_http_method */
    bool keeps_alive;       /* the connection may be used again when the body has ended */
    bool is_interim;        /* 1xx: another response follows */
    bool is_tunnel;         /* what follows is no HTTP: CONNECT that succeeded, or 101 */
};

/* Begin to read the response to a request with this method, by which the end of its body is told.
 * After an interim response begin again. Else as vine_http_request_init. */
VINE_API void vine_http_response_init(struct vine_http_response *response,
                                      enum vine_http_method request_method,
                                      struct vine_http_field *fields, size_t field_max,
                                      size_t head_max);

/* As vine_http_request_parse. What is refused is a gateway's 502. */
VINE_API VINE_MUST_CHECK int vine_http_response_parse(struct vine_http_response *response,
                                                      const void *bytes, size_t size_bytes);

/* ---- bodies --------------------------------------------------------------------------------- */

/* Bytes of extensions that all chunks of one body may have, and of its trailers. */
#define VINE_HTTP_EXTENSIONS_MAX 4096
#define VINE_HTTP_TRAILERS_MAX   4096

enum vine_http_progress {
    VINE_HTTP_MORE, /* more bytes are wanted */
    VINE_HTTP_DATA, /* there was data; call it again with what is behind it */
    VINE_HTTP_END,  /* the body is whole */
};

struct vine_http_body {
    uint64_t left;     /* bytes of data until the end of the body or of the chunk */
    uint64_t received; /* bytes of data so far: a bound of a body with chunks is the caller's */
    uint64_t offset;   /* bytes used so far */
    uint16_t extensions;
    uint8_t framing; /* enum vine_http_framing */
    uint8_t stage;
    uint8_t digits;
    struct vine_http_head trailers; /* whole at the end of a body with chunks */
    struct vine_http_refusal refusal;
};

/* Begin to read a body: framing and length are the request's or the response's. Whoever owns it. */
VINE_API void vine_http_body_init(struct vine_http_body *body, enum vine_http_framing framing,
                                  uint64_t content_length);

/* Keep trailers, too; without it they are checked and passed over. They are never merged into the
 * head's fields. Before the first bytes. */
VINE_API void vine_http_body_keep_trailers(struct vine_http_body *body,
                                           struct vine_http_field *fields, size_t field_max);

/*
 * Take the next piece of a body from what came. `ret_used` bytes are done with; what is behind
 * them is given again, with more, at the next call. Data is not copied: `ret_data` lies in `bytes`;
 * it is empty but with VINE_HTTP_DATA. Only trailers have to be in one piece, so that whoever calls
 * needs room for VINE_HTTP_TRAILERS_MAX bytes of them. Whoever owns the body.
 *
 * Returns enum vine_http_progress; -VINE_EPROTOCOL: refused, as body->refusal says, and the
 * connection is of no further use.
 */
VINE_API VINE_MUST_CHECK int vine_http_body_next(struct vine_http_body *body, const void *bytes,
                                                 size_t size_bytes, size_t *ret_used,
                                                 struct vine_http_slice *ret_data);

/* How many bytes of data come next whatever they are, so that they may be moved without being
 * looked at (splice): 0 where framing is next. Then say how many were moved, at most as many. */
VINE_API uint64_t vine_http_body_direct(const struct vine_http_body *body);
VINE_API void vine_http_body_moved(struct vine_http_body *body, uint64_t size_bytes);

/*
 * The peer has closed the connection. Whoever owns the body.
 *
 * Returns 0: that was its end; -VINE_EPROTOCOL: it is cut short.
 */
VINE_API VINE_MUST_CHECK int vine_http_body_closed(struct vine_http_body *body);

VINE_END_DECLARATIONS

#endif
