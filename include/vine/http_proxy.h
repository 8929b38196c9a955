/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/http_proxy.h - passing HTTP/1.1 heads on (RFC 9110 7.6).
 *
 * Owns:     nothing.
 * Threads:  any, one at a time on one object. There is no state but in the objects.
 * Blocking: never: no system call, no allocation.
 * Trust:    both sides are hostile. What is passed on is written anew from what was understood: no
 *           framing, no field of one connection, and no odd white space goes through.
 * Limits:   those of vine/http_writer.h.
 */
#ifndef VINE_HTTP_PROXY_H
#define VINE_HTTP_PROXY_H

#include <vine/base.h>
#include <vine/http.h>
#include <vine/http_writer.h>

VINE_BEGIN_DECLARATIONS

/* Whether a field is of this connection alone: it is one of those that always are, or Connection
 * names it. Any thread. */
VINE_API bool vine_http_is_hop_by_hop(const struct vine_http_head *head,
                                      const struct vine_http_field *field);

/* Whether a request may go further: RFC 9110 7.6.2 bounds how far TRACE and OPTIONS go by
 * Max-Forwards. Else answer it here. Any thread. */
VINE_API bool vine_http_may_forward(const struct vine_http_request *request);

/* Zeroed fields: no Via, the connection is kept. */
struct vine_http_forward {
    size_t size_bytes;   /* sizeof(struct vine_http_forward) */
    const char *via;     /* our name in Via, or NULL */
    bool closes;         /* the next connection, or the client's, is closed behind it */
    bool answers_expect; /* the 100 was, or will be, sent by us: Expect stays here */
    const struct vine_http_slice *host; /* another Host; NULL: the one that was asked for */
};

/*
 * Write a request's head for an origin, but for its end: a target in origin-form, Host, all fields
 * that are not this connection's, Content-Length or chunked as the body came, Via. Further fields
 * follow, as X-Forwarded-For, then vine_http_write_end. A CONNECT is not passed on: -EINVAL.
 */
VINE_API void vine_http_forward_request(struct vine_http_writer *writer,
                                        const struct vine_http_request *request,
                                        const struct vine_http_forward *forward);

/* All of that head into `room`. Returns its size; -VINE_EPROTOCOL: it is not to be passed on; or
 * -ENOSPC: the room is too small. */
VINE_API VINE_MUST_CHECK int vine_http_pass_request(char *room, size_t room_size,
                                                    const struct vine_http_request *request,
                                                    const struct vine_http_forward *forward);

/*
 * Write a response's head for the client that asked, but for its end. `ret_plan` says how its body
 * has to be sent: chunks to HTTP/1.1 where its length is not known, until it closes to HTTP/1.0. An
 * interim response is passed on to HTTP/1.1 alone (RFC 9110 15.2), which the caller sees to; 101 is
 * not.
 */
VINE_API void vine_http_forward_response(struct vine_http_writer *writer,
                                         const struct vine_http_response *response,
                                         const struct vine_http_request *request,
                                         const struct vine_http_forward *forward,
                                         struct vine_http_reply_plan *ret_plan);

/* All of that head into `room`. Returns as vine_http_pass_request does. */
VINE_API VINE_MUST_CHECK int vine_http_pass_response(char *room, size_t room_size,
                                                     const struct vine_http_response *response,
                                                     const struct vine_http_request *request,
                                                     const struct vine_http_forward *forward,
                                                     struct vine_http_reply_plan *ret_plan);

VINE_END_DECLARATIONS

#endif
