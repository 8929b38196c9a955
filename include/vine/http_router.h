/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/http_router.h - which of a service's handlers a request is for.
 *
 * Owns:     nothing. Routes are the caller's constant table; what matched are slices of the path.
 * Threads:  any. There is no state.
 * Blocking: never: no system call, no allocation.
 * Trust:    paths are a hostile peer's. Parameters are handed out as they came, still escaped.
 * Limits:   VINE_HTTP_PARAMETERS_MAX parameters in one pattern. Routes are looked through in their
 *           order, so that a table of hundreds wants something else.
 */
#ifndef VINE_HTTP_ROUTER_H
#define VINE_HTTP_ROUTER_H

#include <vine/base.h>
#include <vine/http.h>

VINE_BEGIN_DECLARATIONS

#define VINE_HTTP_PARAMETERS_MAX 8

/* A method's bit in `methods`; and all of them, with those that are not known. */
#define VINE_HTTP_ON(method)  ((uint16_t)(1U << VINE_HTTP_##method))
#define VINE_HTTP_ANY_METHODS ((uint16_t)((1U << VINE_HTTP_METHOD_COUNT) - 1))

/*
 * One route. A pattern begins with '/'. A part that begins with ':' stands for any one part of a
 * path that is not empty, a last part that begins with '*' for all that is left, also nothing; what
 * follows the ':' or '*' is its name. All else stands for itself, escaped or not. GET answers HEAD.
 */
struct vine_http_route {
    uint16_t methods; /* VINE_HTTP_ON(GET) | ... */
    int id;           /* what to do, as the service numbers it */
    const char *pattern;
};

struct vine_http_match {
    const struct vine_http_route *route; /* NULL: none */
    uint16_t allowed;                    /* methods with which some route would have matched */
    struct vine_http_slice parameters[VINE_HTTP_PARAMETERS_MAX]; /* in the order of the pattern */
    size_t parameter_count;
};

/*
 * Find the first route for a method and a path, which is without its query; an empty one, as of
 * "http://host", counts as "/". Any thread.
 *
 * Returns 200: ret_match->route is it;
 *         404: no pattern is like this path;
 *         405: one is, with other methods: answer with vine_http_write_allow;
 *         501: the method is none that is known, and no route takes any.
 */
VINE_API unsigned vine_http_route(const struct vine_http_route *routes, size_t route_count,
                                  enum vine_http_method method, struct vine_http_slice path,
                                  struct vine_http_match *ret_match);

/* The parameter of that name, still escaped; empty if the route has none. Any thread. */
VINE_API struct vine_http_slice vine_http_parameter(const struct vine_http_match *match,
                                                    const char *name);

struct vine_http_writer;

/* Allow, of a 405 and of the answer to OPTIONS. */
VINE_API void vine_http_write_allow(struct vine_http_writer *writer, uint16_t allowed);

VINE_END_DECLARATIONS

#endif
