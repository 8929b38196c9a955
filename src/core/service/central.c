/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/service/central.c - what a service has once, beside its connections: a coroutine in a
 * micro-process of its own on core 0, which the others reach by mail.
 *
 * One that fails is begun anew a moment later; who sent to it meanwhile was told that it is gone.
 */

#include <errno.h>

#include <vine/error.h>
#include <vine/log.h>
#include <vine/timer.h>

#include "arch/guard/closed.h"
#include "core/service/service_internal.h"
#include "utils/container_of.h"

#define AGAIN_NS (100 * 1000 * 1000ULL)

struct central {
    struct central *next;
    struct vine__service_kind kind;
    const void *argument;
    bool is_there; /* it runs, or will */
    bool was_told; /* that it cannot, since it did last */
    struct vine_timer again;
};

/* On core 0, which ends after them: they stay. */
static struct central *all;

static void ended(void *context, const struct vine__process_end *end);

static int start(struct central *central)
{
    const struct vine__process_options options = {.type = central->kind.service->central,
                                                  .kind = &central->kind.base,
                                                  .argument = central->argument,
                                                  .ended = ended,
                                                  .context = central};
    const int error = vine__process_start(NULL, &options);

    central->is_there = error == 0;
    return error;
}

static void start_again(struct vine_timer *timer)
{
    struct central *const central = VINE_CONTAINER_OF(timer, struct central, again);
    const int error = start(central);

    if (error == 0) {
        central->was_told = false;
        return;
    }
    if (!central->was_told)
        vine_log("service", VINE_LOG_ERROR, "%s: its central part cannot begin anew: %s",
                 central->kind.service->name, vine_error_text(error));
    central->was_told = true;
    if (error == -VINE_ECLOSED)
        return;
    central->is_there = true; /* what is lacking may be there a moment later */
    vine_timer_arm_after(&central->again, AGAIN_NS);
}

static void ended(void *context, const struct vine__process_end *end)
{
    struct central *const central = context;

    central->is_there = false;
    if (end->error == 0 || end->error == -ECANCELED)
        return;
    central->is_there = true;
    vine_timer_arm_after(&central->again, AGAIN_NS);
}

int vine__service_begin_central(const struct vine_service *service,
                                const struct vine_service_options *options)
{
    struct central *central = all;

    if (service->central == NULL)
        return 0;
    while (central != NULL && central->kind.service != service)
        central = central->next;
    if (central == NULL) {
        central = vine__closed_alloc(sizeof(*central));
        if (central == NULL)
            return -ENOMEM;
        vine__service_kind_init(&central->kind, service);
        central->next = all;
        all = central;
    }
    if (central->is_there)
        return 0;
    central->argument = options->argument;
    vine_timer_init(&central->again, VINE_CLOCK_COARSE, start_again);
    return start(central);
}
