/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/here.c - a service for one connection that is there already. */

#include <errno.h>

#include "arch/guard/closed.h"
#include "core/service/service_internal.h"

struct here {
    struct vine__service_kind kind;
    vine_service_done_fn done;
    void *context;
    int error;
};

static void ended(void *context, const struct vine__process_end *end)
{
    struct here *const here = context;

    here->error = end->error;
}

static void gone(void *context)
{
    const struct here here = *(const struct here *)context;

    vine__closed_free(context);
    if (here.done != NULL)
        here.done(here.context, here.error);
}

int vine_service_run_here(const struct vine_service *service, struct vine_connection *connection,
                          const struct vine_service_options *options, vine_service_done_fn done,
                          void *context)
{
    struct here *const here = vine__closed_alloc(sizeof(*here));
    const struct vine__process_options process = {
        .type = service->coroutine,
        .kind = here != NULL ? &here->kind.base : NULL,
        .argument = options->argument,
        .ended = ended,
        .gone = gone,
        .context = here,
    };
    int error = here == NULL ? -ENOMEM : vine__service_prepare(service, options);

    if (error != 0) {
        vine_connection_close(connection, NULL);
        vine__closed_free(here);
        return error;
    }
    *here = (struct here){.done = done, .context = context};
    vine__service_kind_init(&here->kind, service);
    error = vine__process_start(connection, &process);
    if (error != 0)
        vine__closed_free(here);
    return error;
}
