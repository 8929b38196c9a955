/* SPDX-License-Identifier: Apache-2.0 */
/* The appliance of ../talk/served.h on reactors, SERVED_CORES of them. With SERVED_RESTLESS its
 * pipes move from core to core all the time. */
#ifndef VINE_TESTS_SERVED_BY_REACTORS_H
#define VINE_TESTS_SERVED_BY_REACTORS_H

#include "harness/reactors.h"

#include <vine/serving.h>

#ifndef SERVED_CORES
#define SERVED_CORES 3
#endif

#ifndef SERVED_RESTLESS
#define SERVED_RESTLESS false
#endif

/* How coroutines run, a struct vine_service_options; NULL: they do not. */
#ifndef SERVED_COROUTINES
#define SERVED_COROUTINES NULL
#endif

#include "harness/restless.h"

struct served_reactors {
    struct reactors reactors;
    struct vine_serving *serving;
    const struct served *served;
    const struct vine_appliance_options *options;
    pthread_mutex_t lock;
    pthread_cond_t changed;
    bool has_ended;
    bool destroys_it; /* as it ends: nobody else uses it */
};

static inline void served_see_end(void *context, struct vine_serving *serving)
{
    struct served_reactors *const self = context;

    if (self->destroys_it)
        vine_serving_destroy(serving);
    pthread_mutex_lock(&self->lock);
    self->has_ended = true;
    pthread_cond_broadcast(&self->changed);
    pthread_mutex_unlock(&self->lock);
}

static inline int64_t served_destroy(void *serving)
{
    vine_serving_destroy(serving);
    return 0;
}

static inline int64_t served_begin_here(void *context)
{
    struct served_reactors *const self = context;
    const struct vine_serving_options options = {
        .size_bytes = sizeof options,
        .appliance = self->options,
        .worker_count = (uint32_t)self->served->worker_count,
        .coroutines = SERVED_COROUTINES,
        .ended = served_see_end,
        .context = self,
    };
    int error = vine_serving_create(&options, &self->serving);

    for (size_t i = 0; error == 0 && i < SERVED_PROCEDURES; i++)
        error =
            vine_appliance_register(vine_serving_appliance(self->serving), &served_procedures[i]);
    if (error == 0)
        error = vine_serving_start(self->serving, self->served->path);
    return error == 0 && SERVED_RESTLESS ? restless_begin(self->serving) : error;
}

static inline void served_begin(struct served *served, const struct vine_appliance_options *options)
{
    struct served_reactors *const self = calloc(1, sizeof *self);

    assert_non_null(self);
    *self = (struct served_reactors){
        .served = served,
        .options = options,
        .lock = PTHREAD_MUTEX_INITIALIZER,
        .changed = PTHREAD_COND_INITIALIZER,
    };
    reactors_open(&self->reactors, SERVED_CORES);
    assert_int_equal(reactors_call(0, served_begin_here, self), 0);
    served->others = self;
    served->appliance = vine_serving_appliance(self->serving);
    served_wait_for_workers(served->appliance, (uint32_t)served->worker_count);
}

static inline void served_end(struct served *served)
{
    struct served_reactors *const self = served->others;

    vine_appliance_stop(served->appliance);
    pthread_mutex_lock(&self->lock);
    while (!self->has_ended)
        pthread_cond_wait(&self->changed, &self->lock);
    pthread_mutex_unlock(&self->lock);
    for (uint32_t core = 0; SERVED_RESTLESS && core < SERVED_CORES; core++)
        (void)reactors_call(core, restless_end_here, NULL);
    (void)reactors_call(0, served_destroy, self->serving);
    reactors_close(&self->reactors);
    free(self);
}

#endif
