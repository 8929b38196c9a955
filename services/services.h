/* SPDX-License-Identifier: Apache-2.0 */
/*
 * services/services.h - the services that come with Vine, and what their command line says to them.
 *
 * Owns:     nothing; each service is one file.
 * Threads:  the wishes are set before the services start, and read by all cores.
 * Blocking: as coroutines do.
 * Trust:    clients are believed of nothing.
 * Limits:   of each service.
 */
#ifndef SERVICES_SERVICES_H
#define SERVICES_SERVICES_H

#include <vine/coroutine.h>

/* What the user wishes, in memory that all coroutines can read. */
struct service_wishes {
    bool hello;             /* http: "hello", whatever is asked for */
    struct vine_root root;  /* http: or files below it */
    const char *access_log; /* http: where each request is a line; NULL: nowhere */
    const char *crash;      /* http: a path whose coroutine faults; NULL: none */
    uint64_t header_ns;     /* in which a request's head has to come */
    uint64_t body_ns;       /* in which more of a body, or by RESP of a command, has to come */
    uint64_t idle_ns;       /* between two requests */
    uint64_t memory_bytes;  /* resp: of all keys and values; 0: no bound */
};

/* Tell what is wrong, on standard error. Returns 1. */
int serve_fail(const char *what, const char *why);

/* Serve standard input and output; the program ends when that one has ended. As an app_main of
 * vine_main returns. */
int serve_stdio(const struct vine_service *service, const struct vine_service_options *options);

extern const struct vine_service vine_service_echo;
extern const struct vine_service vine_service_http;
extern const struct vine_service vine_service_resp;

#endif
