/* SPDX-License-Identifier: Apache-2.0 */
/*
 * resource_internal.h - what conditions tell ranges.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    a request is a peer's.
 * Limits:   none.
 */
#ifndef VINE_HTTP_RESOURCE_INTERNAL_H
#define VINE_HTTP_RESOURCE_INTERNAL_H

#include <vine/http_resource.h>

/* Whether Range counts (RFC 9110 13.1.5); it does without If-Range. */
bool vine__http_if_range(const struct vine_http_request *request,
                         const struct vine_http_state *state);

#endif
