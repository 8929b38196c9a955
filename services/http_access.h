/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/http_access.h - what the access log is told of a request by HTTP.
 *
 * Owns:     nothing; the words of a request are the coroutine's.
 * Threads:  coroutines.
 * Blocking: never.
 * Trust:    what a client sent is quoted, so that it stays within its place in a line.
 * Limits:   HTTP_ACCESS_BYTES of a request's words; what is longer is cut.
 *
 * A line is what others call combined: "GET / HTTP/1.1" 200 5 "referer" "agent".
 */
#ifndef SERVICES_HTTP_ACCESS_H
#define SERVICES_HTTP_ACCESS_H

#include <vine/coroutine.h>
#include <vine/http.h>

#define HTTP_ACCESS_BYTES 1024

/* The words of a request that are logged, for its head has gone when it is answered. */
struct http_access {
    uint16_t line_bytes, all_bytes; /* of its first line, and with the rest */
    char text[HTTP_ACCESS_BYTES];
};

/* Note them. */
void http_access_note(struct http_access *access, const struct vine_http_request *request);

/* Log it, when the head of its answer is `head`, `size` bytes from there at most. `access`: NULL if
 * it was not understood. */
void http_access_tell(const struct vine_coroutine *that, const struct http_access *access,
                      const char *head, size_t size);

#endif
