/* SPDX-License-Identifier: Apache-2.0 */
/*
 * harness/serve_on_reactors.h - an appliance on three reactors, as a whole process.
 *
 * Owns:     the process, until SIGTERM.
 * Threads:  it starts them: the process has a single one before.
 * Blocking: until it has drained.
 * Trust:    the test's own.
 * Limits:   once a process.
 */
#ifndef VINE_TESTS_HARNESS_SERVE_ON_REACTORS_H
#define VINE_TESTS_HARNESS_SERVE_ON_REACTORS_H

#include <vine/runtime.h>
#include <vine/serving.h>

#include "harness/restless.h"

/* Whether its pipes move from core to core all the time. */
#ifndef SERVE_RESTLESS
#define SERVE_RESTLESS false
#endif

static struct {
    const char *path;
    const struct vine_appliance_options *options;
    int (*offer)(struct vine_appliance *appliance);
    uint32_t worker_count;
    struct vine_serving *serving;
    const struct vine_service_options *coroutines; /* or NULL: none run */
    void (*started)(void);                         /* it listens; or NULL */
    bool takes_over;                               /* from who listens there */
} serving_on_reactors;

static inline void serve_on_reactors_ended(void *context, struct vine_serving *serving)
{
    (void)context;
    if (!SERVE_RESTLESS) /* else timers of other cores may look at it */
        vine_serving_destroy(serving);
    if (serving_on_reactors.takes_over)
        vine_stop(0); /* another one has taken over */
}

static inline int serve_on_reactors_begin(int argc, char **argv)
{
    const struct vine_serving_options options = {
        .size_bytes = sizeof options,
        .appliance = serving_on_reactors.options,
        .worker_count = serving_on_reactors.worker_count,
        .ended = serve_on_reactors_ended,
        .coroutines = serving_on_reactors.coroutines,
        .takes_over = serving_on_reactors.takes_over,
    };

    (void)argc;
    (void)argv;
    if (vine_serving_create(&options, &serving_on_reactors.serving) != 0)
        return 1;
    if (serving_on_reactors.offer(vine_serving_appliance(serving_on_reactors.serving)) != 0)
        return 2;
    if (vine_serving_start(serving_on_reactors.serving, serving_on_reactors.path) != 0)
        return 3;
    if (serving_on_reactors.started != NULL)
        serving_on_reactors.started();
    if (SERVE_RESTLESS && restless_begin(serving_on_reactors.serving) != 0)
        return 4;
    return VINE_MAIN_GOES_ON;
}

/* Returns an exit code: 0 where it has drained. */
static inline int serve_on_reactors(const char *path, const struct vine_appliance_options *options,
                                    int (*offer)(struct vine_appliance *appliance),
                                    uint32_t worker_count)
{
    /* Few processors for three cores: an idle one leaves its to others. */
    char name[] = "test", cores[] = "--smp=3", shared[] = "--overprovisioned",
         memory[] = "--memory=384M", quiet[] = "--default-log-level=error";
    char *arguments[] = {name, cores, shared, memory, quiet, NULL};

    serving_on_reactors.path = path;
    serving_on_reactors.options = options;
    serving_on_reactors.offer = offer;
    serving_on_reactors.worker_count = worker_count;
    const int code = vine_main(5, arguments, NULL, serve_on_reactors_begin);

    if (SERVE_RESTLESS)
        vine_serving_destroy(serving_on_reactors.serving);
    return code;
}

#endif
