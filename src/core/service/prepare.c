/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/prepare.c - what there has to be before a service has connections: the guard, the
 * coroutines, micro-processes of the core, and what the service begins with. */

#include <errno.h>
#include <string.h>

#include <vine/error.h>
#include <vine/log.h>
#include <vine/service.h>

#include "arch/guard/guard.h"
#include "core/process/process.h"
#include "core/reactor/reactor.h"
#include "core/service/service_internal.h"
#include "utils/assert.h"
#include "utils/atomic.h"

#define RUN_NS    VINE_NS_PER_SECOND
#define BEGUN_MAX 64U /* services with something to begin */

static char why[VINE__GUARD_WHY_BYTES];
static const char *access_path; /* or NULL */

static const enum vine__guard_kind kinds[] = {
    [VINE_ISOLATE_BEST] = VINE__GUARD_BEST,
    [VINE_ISOLATE_PKU] = VINE__GUARD_PKU,
    [VINE_ISOLATE_MPROTECT] = VINE__GUARD_MPROTECT,
    [VINE_ISOLATE_NONE] = VINE__GUARD_NONE,
};

VINE_STATIC_ASSERT(VINE_SERVICE_WHY_BYTES >= VINE__GUARD_WHY_BYTES, "a sentence has room");

int vine_isolation_check(enum vine_isolation isolation, char ret_why[VINE_SERVICE_WHY_BYTES])
{
    return vine__guard_check(kinds[isolation], ret_why);
}

const char *vine_isolation_name(void)
{
    return vine__guard_name(vine__guard_kind());
}

const char *vine_isolation_why(void)
{
    return why;
}

void vine_service_log_access(const char *path)
{
    access_path = path;
}

int vine__service_start_core(const struct vine_service *service,
                             const struct vine_service_options *options)
{
    static bool has_begun[VINE_CORES_MAX]; /* its log */
    const struct vine__processes_options processes = {
        .heap_bytes = options->heap_bytes,
        .count_max = options->connections,
        .sockets_max = options->sockets != 0 ? options->sockets : service->sockets,
        .drain_ns = options->drain_ns,
    };
    int error = 0;

    /* What is registered first is stopped last: so all that is to be logged is. */
    if (VINE__UNLIKELY(!has_begun[vine_core()]) && access_path != NULL) {
        error = vine__access_log_begin(access_path);
        has_begun[vine_core()] = error == 0;
    }
    return error != 0 ? error : vine__processes_start(&processes);
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
    if (error != 0) {
        vine_log("service", VINE_LOG_ERROR, "%s refuses to begin: %s", service->name,
                 vine_error_text(error));
        return -VINE_ECONFIG;
    }
    begun[at] = service;
    return 0;
}

int vine__service_prepare(const struct vine_service *service,
                          const struct vine_service_options *options)
{
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
        error = vine__service_start_core(service, options);
    if (error == 0)
        error = begin_once(service, options->argument);
    return error != 0 ? error : vine__service_begin_central(service, options);
}
