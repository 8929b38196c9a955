/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/service.c - a service on all cores: its connections become micro-processes. */

#include <vine/service.h>

#include <errno.h>
#include <stdlib.h>

#include <vine/error.h>
#include <vine/log.h>

#include "arch/guard/guard.h"
#include "core/process/process.h"
#include "utils/assert.h"

struct vine_running {
    const struct vine_service *service;
    struct vine_service_options options;
    struct vine_listener *listener;
    struct vine_stopper stopper;
    struct vine_work closed;
};

static char why[VINE__GUARD_WHY_BYTES];

const char *vine_isolation_name(void)
{
    return vine__guard_name(vine__guard_kind());
}

const char *vine_isolation_why(void)
{
    return why;
}

static int choose_guard(uint8_t isolation)
{
    static const enum vine__guard_kind kinds[] = {
        [VINE_ISOLATE_BEST] = VINE__GUARD_BEST,
        [VINE_ISOLATE_PKU] = VINE__GUARD_PKU,
        [VINE_ISOLATE_MPROTECT] = VINE__GUARD_MPROTECT,
        [VINE_ISOLATE_NONE] = VINE__GUARD_NONE,
    };
    const struct vine__guard_options options = {.wanted = kinds[isolation]};

    return vine__guard_choose(&options, why);
}

static void ended(void *context, const struct vine__process_end *end)
{
    const struct vine_running *const running = context;

    if (end->is_fault)
        vine_log("service", VINE_LOG_ERROR, "%s: coroutine %s, line %u: signal %d at address %#lx",
                 running->service->name, end->type != NULL ? end->type->name : "?",
                 end->point != NULL ? end->point->line : 0, end->fault.signal,
                 (unsigned long)end->fault.address);
}

static void accepted(struct vine_connection *connection, void *context)
{
    struct vine_running *const running = context;
    const struct vine__processes_options processes = {
        .heap_bytes = running->options.heap_bytes,
        .count_max = running->options.connections,
    };
    const struct vine__process_options options = {
        .type = running->service->coroutine,
        .argument = running->options.argument,
        .ended = ended,
        .context = running,
    };

    if (vine__processes_start(&processes) != 0) {
        vine_connection_close(connection, NULL);
        return;
    }

    const int error = vine__process_start(connection, &options);

    if (error != 0)
        vine_log("service", VINE_LOG_WARNING, "%s: a connection is refused: %s",
                 running->service->name, vine_error_text(error));
}

static void see_closed(struct vine_work *work)
{
    struct vine_running *const running = VINE_CONTAINER_OF(work, struct vine_running, closed);

    vine_stopper_done(&running->stopper);
    free(running);
}

static void stop(struct vine_stopper *stopper)
{
    struct vine_running *const running = VINE_CONTAINER_OF(stopper, struct vine_running, stopper);

    vine_listener_close(running->listener, &running->closed);
}

int vine_service_start(const struct vine_service *service, const struct vine_address *address,
                       const struct vine_service_options *options,
                       struct vine_running **ret_running)
{
    struct vine_running *const running = calloc(1, sizeof(*running));
    int error;

    if (running == NULL)
        return -ENOMEM;
    running->service = service;
    running->options = *options;
    running->options.listen.size_bytes = sizeof(running->options.listen);
    error = choose_guard(options->isolation);
    if (error == 0)
        error = vine__processes_prepare();
    if (error == 0)
        error =
            vine_listen(address, &running->options.listen, accepted, running, &running->listener);
    if (error != 0) {
        free(running);
        return error;
    }
    vine_work_init(&running->closed, see_closed);
    vine_at_stop(&running->stopper, stop);
    *ret_running = running;
    return 0;
}

const struct vine_address *vine_service_address(const struct vine_running *running)
{
    return vine_listener_address(running->listener);
}
