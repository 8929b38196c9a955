/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/service.h - a listener that gives each connection a micro-process.
 *
 * Owns:     a service that runs: its listener, and what its connections run in.
 * Threads:  reactors: what is started on a core stops there.
 * Blocking: never.
 * Trust:    clients are believed of nothing; what a service's code does to its own heap ends that
 *           connection alone, as far as the guard holds (--isolate).
 * Limits:   as many connections as there are heaps, on each core.
 */
#ifndef VINE_SERVICE_H
#define VINE_SERVICE_H

#include <vine/network.h>
#include <vine/state.h>

VINE_BEGIN_DECLARATIONS

/* What a service is. Zeroed fields are the defaults. */
struct vine_service {
    size_t size_bytes; /* sizeof(struct vine_service) */
    const char *name;
    const char *summary; /* one sentence */
    const struct vine_coroutine_type *coroutine;
};

/* Declare one whose connections run the coroutine `name`, defined before in this file. What follows
 * are fields: VINE_SERVICE(echo, .summary = "send back what comes"). */
#define VINE_SERVICE(name_, ...)                                                                   \
    const struct vine_service vine_service_##name_ = {.size_bytes = sizeof(struct vine_service),   \
                                                      .name = #name_,                              \
                                                      .coroutine = &vine__type_##name_,            \
                                                      __VA_ARGS__}

/* What guards micro-processes from each other. */
enum vine_isolation {
    VINE_ISOLATE_BEST, /* pku where it can be had, else mprotect */
    VINE_ISOLATE_PKU,
    VINE_ISOLATE_MPROTECT,
    VINE_ISOLATE_NONE,
};

struct vine_service_options {
    size_t size_bytes; /* sizeof(struct vine_service_options) */
    struct vine_listen_options listen;
    uint8_t isolation;    /* enum vine_isolation; one for all services of the program */
    uint32_t heap_bytes;  /* the greatest heap; 0: 64 KiB */
    uint32_t connections; /* at most, on each core; 0: 16384 */
    void *argument;       /* of its coroutines */
};

struct vine_running;

/*
 * Serve at `address`, on all cores. Core 0.
 *
 * Returns 0; what vine_listen returns; -EOPNOTSUPP: the isolation cannot be had, and
 *         vine_isolation_why() says why.
 */
VINE_API VINE_MUST_CHECK int vine_service_start(const struct vine_service *service,
                                                const struct vine_address *address,
                                                const struct vine_service_options *options,
                                                struct vine_running **ret_running);

/* Where it listens. */
VINE_API const struct vine_address *vine_service_address(const struct vine_running *running);

/* Which guard there is, "none"; and why it is not a better one, or "". */
VINE_API const char *vine_isolation_name(void);
VINE_API const char *vine_isolation_why(void);

VINE_END_DECLARATIONS

#endif
