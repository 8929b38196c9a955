/* SPDX-License-Identifier: Apache-2.0 */
/* core/service/here.c - a service for one connection that is there already. */

#include <errno.h>

#include "arch/guard/closed.h"
#include "core/network/connection.h"
#include "core/service/service_internal.h"
#include "utils/list.h"

struct here {
    struct vine__service_kind kind;
    struct vine__list link;
    struct vine_connection *connection; /* until it is about to be closed */
    vine_service_done_fn done;
    void *context;
    int error;
};

/* Of core 0. */
static struct vine__list all = {&all, &all};

static void ended(void *context, const struct vine__process_end *end)
{
    struct here *const here = context;

    here->error = end->error;
    here->connection = NULL;
}

static void gone(void *context)
{
    struct here *const here = context;
    const vine_service_done_fn done = here->done;
    void *const its_context = here->context;
    const int error = here->error;

    vine__list_remove(&here->link);
    vine__closed_free(here);
    if (done != NULL)
        done(its_context, error);
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
    *here = (struct here){.done = done, .context = context, .connection = connection};
    vine__service_kind_init(&here->kind, service);
    vine__list_push_back(&all, &here->link);
    error = vine__process_start(connection, &process);
    if (error != 0) {
        vine__list_remove(&here->link);
        vine__closed_free(here);
    }
    return error;
}

void vine_service_hang_up(vine_service_done_fn done, const void *context)
{
    VINE_LIST_FOR_EACH(node, &all)
    {
        const struct here *const here = VINE_LIST_OBJECT(node, struct here, link);

        if (here->done == done && here->context == context && here->connection != NULL)
            vine__connection_hang_up(here->connection);
    }
}
