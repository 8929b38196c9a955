/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/http.h - what the files of the HTTP service share.
 *
 * Owns:     nothing; a connection's state is its coroutine's.
 * Threads:  coroutines.
 * Blocking: as coroutines do.
 * Trust:    clients are believed of nothing.
 * Limits:   those of vine/http_exchange.h.
 */
#ifndef SERVICES_HTTP_H
#define SERVICES_HTTP_H

#include <vine/http_exchange.h>

#include "http_access.h"
#include "services.h"

/* A connection. */
struct http {
    const struct service_wishes *wishes;
    struct http_access *access; /* while a request is answered that is logged; or NULL */
    int error;
    struct vine_http_exchange exchange;
};

/* Log the answer, whose head lies in the room for it. */
void http_tell(const struct vine_coroutine *that, const struct http *http);

/* Answer a request by a file below the root. */
VINE_COROUTINE_DECLARE(http_file);

#endif
