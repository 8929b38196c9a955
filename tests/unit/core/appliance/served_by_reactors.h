/* SPDX-License-Identifier: Apache-2.0 */
/* The appliance of ../talk/served.h on reactors, SERVED_CORES of them. */
#ifndef VINE_TESTS_SERVED_BY_REACTORS_H
#define VINE_TESTS_SERVED_BY_REACTORS_H

#include "harness/reactors.h"

#include <vine/serving.h>

#ifndef SERVED_CORES
#define SERVED_CORES 3
#endif

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
        .ended = served_see_end,
        .context = self,
    };
    int error = vine_serving_create(&options, &self->serving);

    for (size_t i = 0; error == 0 && i < SERVED_PROCEDURES; i++)
        error =
            vine_appliance_register(vine_serving_appliance(self->serving), &served_procedures[i]);
    return error == 0 ? vine_serving_start(self->serving, self->served->path) : error;
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
    (void)reactors_call(0, served_destroy, self->serving);
    reactors_close(&self->reactors);
    free(self);
}

#endif
