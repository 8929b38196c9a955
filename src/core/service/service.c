/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/service.c - a service on all cores: its connections become micro-processes. */

#include <vine/service.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/error.h>
#include <vine/log.h>

#include "arch/guard/guard.h"
#include "core/process/process.h"
#include "core/reactor/reactor.h"
#include "core/service/service_internal.h"
#include "utils/assert.h"

struct vine_running {
    struct vine_running *next;
    struct vine__service_kind kind;
    struct vine_service_options options;
    struct vine_listener *listener;
    struct vine_stopper stopper;
    struct vine_work closed;
};

#define TLS_NS    (10 * VINE_NS_PER_SECOND)
#define RUN_NS    VINE_NS_PER_SECOND
#define BEGUN_MAX 64U /* services with something to begin */

/* All that were started, on core 0. They stay: the end of the reactors uses them to its last
 * turn. */
static struct vine_running *all;

static char why[VINE__GUARD_WHY_BYTES];

const char *vine_isolation_name(void)
{
    return vine__guard_name(vine__guard_kind());
}

const char *vine_isolation_why(void)
{
    return why;
}

/* The calling core has micro-processes from now on. */
static int start_core(const struct vine_service_options *options)
{
    const struct vine__processes_options processes = {
        .heap_bytes = options->heap_bytes,
        .count_max = options->connections,
        .drain_ns = options->drain_ns,
    };

    return vine__processes_start(&processes);
}

/* Once, whatever it runs for: core 0. Those that have begun are few, and stay. */
static int begin_once(const struct vine_service *service, const void *argument)
{
    static const struct vine_service *begun[BEGUN_MAX];
    uint32_t at = 0;
    int error;

    if (service->begin == NULL)
        return 0;
    while (at < BEGUN_MAX && begun[at] != NULL && begun[at] != service)
        at++;
    if (at == BEGUN_MAX)
        return -ENOSPC;
    if (begun[at] == service)
        return 0;
    error = service->begin(argument);
    if (error == 0)
        begun[at] = service;
    return error;
}

int vine__service_prepare(const struct vine_service *service,
                          const struct vine_service_options *options)
{
    static const enum vine__guard_kind kinds[] = {
        [VINE_ISOLATE_BEST] = VINE__GUARD_BEST,
        [VINE_ISOLATE_PKU] = VINE__GUARD_PKU,
        [VINE_ISOLATE_MPROTECT] = VINE__GUARD_MPROTECT,
        [VINE_ISOLATE_NONE] = VINE__GUARD_NONE,
    };
    const struct vine__guard_options guard = {
        .wanted = kinds[options->isolation],
        .has_rings = strcmp(vine__poller_name(vine__reactor_poller()), "io_uring") == 0,
        .run_ns = options->run_ns == 0              ? RUN_NS
                  : options->run_ns == VINE_FOREVER ? 0
                                                    : options->run_ns,
    };
    int error = vine__guard_choose(&guard, why);

    vine__service_tell_ends();
    /* An earlier service has chosen. */
    if (error == 0 || error == -EBUSY)
        error = vine__processes_prepare();
    /* Before the listener is known to those who stop: what it was given is drained behind it. */
    if (error == 0)
        error = start_core(options);
    return error != 0 ? error : begin_once(service, options->argument);
}

/* The connection becomes a micro-process, or is closed. */
static void start(struct vine_running *running, struct vine_connection *connection)
{
    const struct vine__process_options options = {
        .type = running->kind.service->coroutine,
        .kind = &running->kind.base,
        .argument = running->options.argument,
    };
    const int error = vine__process_start(connection, &options);

    if (error != 0)
        vine_log("service", VINE_LOG_WARNING, "%s: a connection is refused: %s",
                 running->kind.service->name, vine_error_text(error));
}

/* A client that we greet. */
struct greeting {
    struct vine_running *running;
    struct vine_tls_start start;
};

static void greeted(struct vine_tls_start *handshake)
{
    struct greeting *const greeting = VINE_CONTAINER_OF(handshake, struct greeting, start);

    if (handshake->error == 0)
        start(greeting->running, handshake->connection);
    free(greeting);
}

static void accepted(struct vine_connection *connection, void *context)
{
    struct vine_running *const running = context;

    if (start_core(&running->options) != 0) {
        vine_connection_close(connection, NULL);
        return;
    }
    if (running->options.tls == NULL) {
        start(running, connection);
        return;
    }

    struct greeting *const greeting = calloc(1, sizeof(*greeting));

    if (greeting == NULL) {
        vine_connection_close(connection, NULL);
        return;
    }
    greeting->running = running;
    greeting->start.deadline_ns = vine_clock_now(VINE_CLOCK_COARSE) + running->options.tls_ns;
    vine_tls_accept(running->options.tls, &greeting->start, connection, greeted);
}

static void see_closed(struct vine_work *work)
{
    struct vine_running *const running = VINE_CONTAINER_OF(work, struct vine_running, closed);

    vine_stopper_done(&running->stopper);
}

static void stop(struct vine_stopper *stopper)
{
    struct vine_running *const running = VINE_CONTAINER_OF(stopper, struct vine_running, stopper);

    vine_listener_close(running->listener, &running->closed);
}

/* Listen at the address, or at a socket that does so already. */
static int listen_at(struct vine_running *running, const struct vine_address *address, int fd)
{
    if (address != NULL)
        return vine_listen(address, &running->options.listen, accepted, running,
                           &running->listener);
    return vine_listen_descriptor(fd, &running->options.listen, accepted, running,
                                  &running->listener);
}

static int begin(const struct vine_service *service, const struct vine_address *address, int fd,
                 const struct vine_service_options *options, struct vine_running **ret_running)
{
    struct vine_running *const running = calloc(1, sizeof(*running));
    int error;

    if (running == NULL)
        return -ENOMEM;
    vine__service_kind_init(&running->kind, service);
    running->options = *options;
    if (running->options.tls_ns == 0)
        running->options.tls_ns = TLS_NS;
    running->options.listen.size_bytes = sizeof(running->options.listen);
    if (service->is_on_one_core)
        running->options.listen.balance = VINE_BALANCE_HERE;
    error = vine__service_prepare(service, options);
    if (error == 0)
        error = listen_at(running, address, fd);
    if (error != 0) {
        free(running);
        return error;
    }
    running->next = all;
    all = running;
    vine_work_init(&running->closed, see_closed);
    vine_at_stop(&running->stopper, stop);
    *ret_running = running;
    return 0;
}

int vine_service_start(const struct vine_service *service, const struct vine_address *address,
                       const struct vine_service_options *options,
                       struct vine_running **ret_running)
{
    return begin(service, address, -1, options, ret_running);
}

int vine_service_start_at(const struct vine_service *service, int fd,
                          const struct vine_service_options *options,
                          struct vine_running **ret_running)
{
    return begin(service, NULL, fd, options, ret_running);
}

const struct vine_address *vine_service_address(const struct vine_running *running)
{
    return vine_listener_address(running->listener);
}
