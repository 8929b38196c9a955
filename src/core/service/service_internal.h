/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/service_internal.h - between services that listen and those that run once. */
#ifndef VINE_CORE_SERVICE_SERVICE_INTERNAL_H
#define VINE_CORE_SERVICE_SERVICE_INTERNAL_H

#include <vine/service.h>

#include <vine/metrics.h>
#include <vine/timer.h>

#include "core/process/process.h"
#include "core/service/service.h"

/* Why a connection is turned away. */
enum vine__away {
    VINE__AWAY_FULL,
    VINE__AWAY_RATE,
    VINE__AWAY_HEAPS,
    VINE__AWAY_DESCRIPTORS,
    VINE__AWAY_COUNT,
};

/* What micro-processes of a service have in common. */
struct vine__service_kind {
    struct vine__process_kind base;
    const struct vine_service *service;
};

struct vine__clients;
struct vine_running;

/* What a core has of a service that listens. */
struct vine__service_core {
    struct vine_running *running;
    int64_t connections;
    uint64_t accepted;
    uint64_t turned_away[VINE__AWAY_COUNT];
    struct vine_metric metrics[2 + VINE__AWAY_COUNT];
    bool has_begun;
    bool is_telling;        /* the timer is armed: */
    struct vine_timer tell; /* how many were turned away, at most once a second */
    uint32_t told_count;
    uint32_t leaving; /* those that are being told that there is no room */
    char why[VINE__HEAP_WHY_BYTES];
};

struct vine_running {
    struct vine_running *next;
    struct vine__service_kind kind;
    struct vine_service_options options;
    struct vine_listener *listener;
    struct vine_stopper stopper;
    struct vine_work closed;
    struct vine_timer greeted; /* when it stops: until nobody is greeted any more */
    uint64_t greeted_until_ns;
    struct vine__clients *clients; /* NULL: their rate has no limit */
    uint32_t connections;          /* atomic, in no order with anything: of all cores */
    uint32_t greetings;            /* the same of those that TLS has not let in yet */
    struct vine__service_core *cores;
};

/* turn_away.c: there is no room for it. It is told so, where that can be, and closed. */
void vine__service_turn_away(struct vine__service_core *core, struct vine_connection *connection,
                             enum vine__away reason, bool may_be_told);

/* access_log.c: the calling core has one from now on, until it stops; before its micro-processes.
 * Returns 0 or -ENOMEM. */
VINE_MUST_CHECK int vine__access_log_begin(const char *path);
/* The lines of the calling core that are not being written yet, or NULL: it has no log. */
char *vine__access_log_lines(void);

/* service_metrics.c: what this core has of it is known from now on. */
void vine__service_core_begin(struct vine__service_core *core, struct vine_running *running);

/* clients.c: how often each address came of late. Of all cores together. */
VINE_MUST_CHECK int vine__clients_create(uint32_t rate, struct vine__clients **ret_clients);
void vine__clients_destroy(struct vine__clients *clients);
/* Whether this one may come now; it is counted if so. Any core. */
bool vine__clients_may(struct vine__clients *clients, const struct vine_address *address,
                       uint64_t now_ns);

void vine__service_kind_init(struct vine__service_kind *kind, const struct vine_service *service);

/* crash.c: this process may end by a fault, and says what it did then. */
void vine__service_tell_ends(void);

/* central.c: begin what it has beside its connections, unless it is there. Core 0. Returns 0 or a
 * negative error. */
VINE_MUST_CHECK int vine__service_begin_central(const struct vine_service *service,
                                                const struct vine_service_options *options);

#endif
