/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/http.h - what the files of the HTTP service share.
 *
 * Owns:     nothing; a connection's state is its coroutine's.
 * Threads:  coroutines.
 * Blocking: as coroutines do.
 * Trust:    clients are believed of nothing.
 * Limits:   HTTP_HEAD_MAX bytes of a head, HTTP_FIELDS_MAX fields.
 */
#ifndef SERVICES_HTTP_H
#define SERVICES_HTTP_H

#include <vine/http.h>
#include <vine/http_writer.h>

#include "http_access.h"
#include "services.h"

#define HTTP_HEAD_MAX   16000
#define HTTP_FIELDS_MAX 64
#define HTTP_ROOM_MIN   1024 /* for an answer's head, or a small answer */

/* A connection. */
struct http {
    const struct service_wishes *wishes;
    const char *bytes; /* what came */
    char *room;
    size_t size, wanted, room_size;
    int head_size; /* 0: it is not whole */
    int error;
    size_t answered;            /* bytes of the answer's head and what is with it */
    struct http_access *access; /* while a request is answered that is logged; or NULL */
    bool keeps;                 /* the connection, for another request */
    bool is_half;               /* an answer is out in part, and nothing can follow */
    struct vine_http_date date;
    struct vine_http_request request;
    struct vine_http_field fields[HTTP_FIELDS_MAX];
    struct vine_http_body body;
};

/* Answer with an error, the request's own where `status` is 0. Returns how much of the room that
 * took. */
size_t http_refuse(struct http *http, unsigned status, const char *what);

/* Log the answer, whose head lies in the room, before it is written. */
void http_tell(const struct vine_coroutine *that, const struct http *http);

/* The Date of now. */
const char *http_date(struct http *http);

/* Take head and body away; the body is thrown away, and the head can be looked at no more. Raises
 * -VINE_EPROTOCOL. */
VINE_COROUTINE_DECLARE(http_drop);

/* Answer a request by a file below the root. It takes the request away. */
VINE_COROUTINE_DECLARE(http_file);

#endif
