/* SPDX-License-Identifier: Apache-2.0 */
/* An appliance on reactors as its program handles it: made, started, ended with them. */
#include "core/appliance/serving_internal.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include <vine/error.h>

#include "arch/guard/closed.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#define DRAIN_NS     (5 * VINE_NS_PER_SECOND)
#define TAKE_OVER_NS (10 * VINE_NS_PER_SECOND) /* until the other one has left the listener */

/* Core 0's: those that serve, and what ends them with the reactors. There is one set of reactors in
 * a process at a time. */
static struct vine_serving *all_serving;
static struct vine_stopper stopper;
static bool is_registered, is_stopping;

void vine__serving_log(const struct vine_serving *serving, enum vine_log_level level,
                       const char *format, ...)
{
    const struct vine_appliance_options *const options = &serving->appliance_options;
    char text[256];
    va_list arguments;

    if (options->log == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    options->log(options->log_context, level, text);
}

/* ---- made ------------------------------------------------------------------------------------ */

/* Options begin with their size, as their user knows it: what is behind that is zero. NULL: all of
 * it is. Returns whether the size makes sense. */
static bool copy_options(void *to, size_t size_bytes, const void *from)
{
    const size_t own_bytes = from != NULL ? *(const size_t *)from : 0;

    if (from != NULL && (own_bytes < sizeof(size_t) || own_bytes > size_bytes))
        return false;
    if (from != NULL)
        memcpy(to, from, own_bytes);
    *(size_t *)to = size_bytes;
    return true;
}

static int take_options(struct vine_serving *serving, const struct vine_serving_options *options)
{
    struct vine_serving_options *const own = &serving->options;

    if (!copy_options(own, sizeof(*own), options))
        return -EINVAL;
    if (!copy_options(&serving->appliance_options, sizeof(serving->appliance_options),
                      own->appliance) ||
        !copy_options(&serving->coroutine_options, sizeof(serving->coroutine_options),
                      own->coroutines))
        return -EINVAL;
    serving->has_coroutines = own->coroutines != NULL;
    own->appliance = NULL; /* the caller's, who may take them away */
    own->coroutines = NULL;
    if (own->core_count > vine_core_count())
        return -EINVAL;
    if (own->drain_ns == 0)
        own->drain_ns = DRAIN_NS;
    serving->core_count = own->core_count != 0 ? own->core_count : vine_core_count();
    return 0;
}

static void give_up(struct vine_timer *timer)
{
    const struct vine_serving *const serving =
        VINE_CONTAINER_OF(timer, struct vine_serving, give_up);

    vine_appliance_stop(serving->first);
}

int vine_serving_create(const struct vine_serving_options *options,
                        struct vine_serving **ret_serving)
{
    VINE_ASSERT(vine_core() == 0);

    struct vine_serving *const serving = vine__closed_alloc(sizeof(*serving));
    int error = serving == NULL ? -ENOMEM : take_options(serving, options);

    if (error == 0) {
        serving->parts = vine__closed_alloc_lines(serving->core_count * sizeof(*serving->parts));
        error = serving->parts == NULL ? -ENOMEM : 0;
    }
    if (error == 0)
        error = vine__serving_create(&serving->appliance_options, NULL, &serving->first);
    if (error == 0 && serving->has_coroutines)
        error = vine__coroutines_create(serving->first, &serving->coroutine_options,
                                        &serving->parts[0].coroutines);
    if (error != 0) {
        vine_serving_destroy(serving);
        return error;
    }
    for (uint32_t core = 0; core < serving->core_count; core++) {
        serving->parts[core].serving = serving;
        serving->parts[core].core = core;
    }
    vine_timer_init(&serving->give_up, VINE_CLOCK_COARSE, give_up);
    *ret_serving = serving;
    return 0;
}

struct vine_appliance *vine_serving_appliance(struct vine_serving *serving)
{
    return serving->first;
}

void vine_serving_destroy(struct vine_serving *serving)
{
    if (serving == NULL)
        return;
    VINE_ASSERT(!serving->is_started || serving->has_ended);
    if (serving->parts != NULL)
        for (uint32_t core = 1; core < serving->core_count; core++)
            vine_appliance_destroy(serving->parts[core].appliance);
    vine_appliance_destroy(serving->first);
    if (serving->parts != NULL)
        for (uint32_t core = 0; core < serving->core_count; core++)
            vine__coroutines_destroy(serving->parts[core].coroutines);
    vine__closed_free(serving->parts);
    vine__closed_free(serving);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void stop_one(struct vine_serving *serving)
{
    vine_timer_arm_after(&serving->give_up, serving->options.drain_ns);
    vine_appliance_stop(serving->first);
}

static void stop_all(struct vine_stopper *nothing)
{
    (void)nothing;
    is_stopping = true;
    for (struct vine_serving *serving = all_serving; serving != NULL; serving = serving->next)
        stop_one(serving);
    if (all_serving == NULL) {
        is_registered = false;
        vine_stopper_done(&stopper);
    }
}

static void ended(struct vine_work *work)
{
    struct vine_serving *const serving = VINE_CONTAINER_OF(work, struct vine_serving, ending);
    struct vine_serving **link = &all_serving;

    while (*link != serving)
        link = &(*link)->next;
    *link = serving->next;
    (void)vine_timer_cancel(&serving->give_up);
    serving->has_ended = true;
    if (serving->options.ended != NULL)
        serving->options.ended(serving->options.context, serving);
    else
        vine_serving_destroy(serving);
    if (is_stopping && all_serving == NULL) {
        is_registered = false;
        vine_stopper_done(&stopper);
    }
}

void vine__serving_end_if_over(struct vine_serving *serving)
{
    if (serving->parts_left == 0 && serving->handed == 0)
        vine__workers_join(serving, ended);
}

void vine__serving_part_over(struct vine_serving *serving)
{
    VINE_ASSERT(serving->parts_left > 0);
    serving->parts_left--;
    vine__serving_end_if_over(serving);
}

/* ---- started --------------------------------------------------------------------------------- */

static int64_t begin_part(void *part)
{
    return vine__part_begin(part);
}

/* One that could not be made is no part. */
static void see_part(struct vine_core_call *call)
{
    struct vine__part *const part = VINE_CONTAINER_OF(call, struct vine__part, beginning);
    struct vine_serving *const serving = part->serving;
    const int64_t error = vine_core_call_result(call);

    serving->handed--;
    if (error == 0) {
        vine__serving_end_if_over(serving);
        return;
    }
    part->has_failed = true;
    vine__serving_log(serving, VINE_LOG_WARNING, "core %u serves no pipes: %s", part->core,
                      vine_error_text((int)error));
    vine__serving_part_over(serving);
}

static void end_with_reactors(struct vine_serving *serving)
{
    serving->next = all_serving;
    all_serving = serving;
    if (!is_registered) {
        is_stopping = false;
        vine_at_stop(&stopper, stop_all);
    }
    is_registered = true;
    if (is_stopping)
        stop_one(serving);
}

int vine_serving_start(struct vine_serving *serving, const char *address)
{
    VINE_ASSERT(vine_core() == 0 && !serving->is_started);

    int error = serving->options.takes_over
                    ? vine_appliance_take_over(serving->first, address, TAKE_OVER_NS)
                    : -VINE_ENOAPPLIANCE;

    /* Nobody is there, or nobody any more. */
    if (error == -VINE_ENOAPPLIANCE || error == -VINE_EPEERLOST)
        error = vine_appliance_listen(serving->first, address);

    if (error == 0 && !vine__serving_takes_connections(serving->first))
        serving->core_count = 1; /* nothing comes to the others */
    if (error == 0)
        error = vine__part_begin(&serving->parts[0]);
    if (error != 0)
        return error;
    serving->is_started = true;
    serving->parts_left = serving->core_count;
    vine__workers_start(serving);
    /* A call that is on its way uses memory of the serving, as a connection does. */
    for (uint32_t core = 1; core < serving->core_count; core++) {
        struct vine__part *const part = &serving->parts[core];

        serving->handed++;
        vine_core_call(&part->beginning, core, begin_part, part, see_part);
    }
    end_with_reactors(serving);
    return 0;
}
