/* SPDX-License-Identifier: Apache-2.0 */
#include <vine/call_limit.h>

#include <errno.h>
#include <stdlib.h>

#include <vine/error.h>
#include <vine/gate.h>
#include <vine/metrics.h>

#include "core/reactor/reactor.h"
#include "utils/assert.h"
#include "utils/container_of.h"

/*
 * Calls to one core. Who leaves gives its place to the first who waits, which goes at once, so that
 * nobody overtakes:
 *
 *     in_flight <= in_flight_max, and in_flight == in_flight_max while anybody waits
 */
struct road {
    uint32_t in_flight;
    struct vine_limited_call *first, *last;
};

#define METRICS 5

struct vine_call_limit {
    uint32_t in_flight_max;
    struct vine_gate gate; /* inside is what was taken */
    struct vine_call_limit_counts counts;
    struct vine_metric metrics[METRICS];
    struct road roads[]; /* [core_count] */
};

static int register_metrics(struct vine_call_limit *limit, const char *name)
{
    const struct vine_label label = {.name = "limit", .value = name};
    const struct vine_metric_description descriptions[METRICS] = {
        {.name = "vine_call_limit_in_flight",
         .help = "Calls that are on their way.",
         .kind = VINE_METRIC_GAUGE,
         .level = &limit->counts.in_flight},
        {.name = "vine_call_limit_waiting",
         .help = "Calls that wait until fewer are on their way.",
         .kind = VINE_METRIC_GAUGE,
         .level = &limit->counts.waiting},
        {.name = "vine_call_limit_calls_total",
         .help = "Calls that were taken.",
         .kind = VINE_METRIC_COUNTER,
         .count = &limit->counts.calls},
        {.name = "vine_call_limit_waited_total",
         .help = "Calls that had to wait.",
         .kind = VINE_METRIC_COUNTER,
         .count = &limit->counts.waited},
        {.name = "vine_call_limit_refused_total",
         .help = "Calls that would have had to wait, and were not to.",
         .kind = VINE_METRIC_COUNTER,
         .count = &limit->counts.refused},
    };
    int error = 0;

    for (int i = 0; i < METRICS && error == 0; i++) {
        struct vine_metric_description description = descriptions[i];

        description.labels = &label;
        description.label_count = 1;
        error = vine_metric_register(&limit->metrics[i], &description);
    }
    return error;
}

int vine_call_limit_create(struct vine_call_limit **ret_limit, const char *name,
                           uint32_t in_flight_max)
{
    const size_t core_count = vine_core_count();
    struct vine_call_limit *limit;
    int error = 0;

    if (in_flight_max == 0)
        return -EINVAL;
    limit = calloc(1, sizeof(*limit) + core_count * sizeof(limit->roads[0]));
    if (limit == NULL)
        return -ENOMEM;
    limit->in_flight_max = in_flight_max;
    vine_gate_init(&limit->gate);
    if (name != NULL)
        error = register_metrics(limit, name);
    if (error != 0) {
        vine_call_limit_destroy(limit);
        return error;
    }
    *ret_limit = limit;
    return 0;
}

void vine_call_limit_destroy(struct vine_call_limit *limit)
{
    if (limit == NULL)
        return;
    vine_gate_fini(&limit->gate); /* asserts that nobody is inside */
    for (int i = 0; i < METRICS; i++)
        vine_metric_unregister(&limit->metrics[i]);
    free(limit);
}

void vine_call_limit_close(struct vine_call_limit *limit, struct vine_waiting *waiting)
{
    vine_gate_close(&limit->gate, waiting);
}

void vine_call_limit_get_counts(const struct vine_call_limit *limit,
                                struct vine_call_limit_counts *ret_counts)
{
    *ret_counts = limit->counts;
}

/* ---- a call ---------------------------------------------------------------------------------- */

static void end(struct vine_core_call *call);

/* In its own group, whoever's end it is that makes room. */
static void start(struct vine_limited_call *limited)
{
    const struct vine_group before = vine__group_enter(limited->group);

    vine_core_call(&limited->call, limited->core, limited->fn, limited->argument, end);
    (void)vine__group_enter(before);
}

/* The first who waits has the place of one that has ended. */
static void pass_on(struct vine_call_limit *limit, struct road *road)
{
    struct vine_limited_call *const next = road->first;

    if (next == NULL) {
        road->in_flight--;
        limit->counts.in_flight--;
        return;
    }
    road->first = next->next;
    limit->counts.waiting--;
    start(next);
}

static void end(struct vine_core_call *call)
{
    struct vine_limited_call *const limited =
        VINE_CONTAINER_OF(call, struct vine_limited_call, call);
    struct vine_call_limit *const limit = limited->limit;

    pass_on(limit, &limit->roads[limited->core]);
    vine_gate_leave(&limit->gate); /* who waits for that is called later, when this has returned */
    limited->done(limited);
}

static int make(struct vine_limited_call *call, bool may_wait)
{
    struct vine_call_limit *const limit = call->limit;
    struct road *const road = &limit->roads[call->core];
    const bool is_full = road->in_flight == limit->in_flight_max;
    int error;

    if (vine_gate_is_closed(&limit->gate))
        return -VINE_ECLOSED;
    if (is_full && !may_wait) {
        limit->counts.refused++;
        return -EAGAIN;
    }
    error = vine_gate_enter(&limit->gate);
    VINE_ASSERT(error == 0);
    limit->counts.calls++;
    call->group = vine_group_current();
    if (!is_full) {
        road->in_flight++;
        limit->counts.in_flight++;
        start(call);
        return 0;
    }
    if (road->first == NULL)
        road->first = call;
    else
        road->last->next = call;
    road->last = call;
    limit->counts.waiting++;
    limit->counts.waited++;
    return 0;
}

int vine_limited_call(struct vine_call_limit *limit, struct vine_limited_call *call, uint32_t core,
                      vine_core_call_fn fn, void *argument, vine_limited_call_fn done)
{
    VINE_ASSERT(core < vine_core_count() && fn != NULL && done != NULL);
    *call = (struct vine_limited_call){
        .limit = limit, .fn = fn, .argument = argument, .done = done, .core = core};
    return make(call, true);
}

int vine_limited_call_try(struct vine_call_limit *limit, struct vine_limited_call *call,
                          uint32_t core, vine_core_call_fn fn, void *argument,
                          vine_limited_call_fn done)
{
    VINE_ASSERT(core < vine_core_count() && fn != NULL && done != NULL);
    *call = (struct vine_limited_call){
        .limit = limit, .fn = fn, .argument = argument, .done = done, .core = core};
    return make(call, false);
}
