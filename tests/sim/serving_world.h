/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/serving_world.h - an appliance on simulated reactors: what it offers, and its coming and
 * going.
 */
#ifndef VINE_TESTS_SIM_SERVING_WORLD_H
#define VINE_TESTS_SIM_SERVING_WORLD_H

#include "sim/world.h"

#include <vine/appliance.h>
#include <vine/coroutine.h>
#include <vine/error.h>
#include <vine/handler.h>
#include <vine/log.h>
#include <vine/serving.h>

#include "core/appliance/serving_internal.h"
#include "harness/procedures.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define DATA_MAX 3000U

/* ---- what is offered ------------------------------------------------------------------------- */

VINE_COROUTINE(echoes)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_forward(that->socket, that->socket);
    vine_end();
}

/* The same, after a while. */
VINE_COROUTINE(sleeps)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    vine_sleep(300 * US);
    vine_forward(that->socket, that->socket);
    vine_end();
}

/* Until it is cancelled. */
VINE_COROUTINE(waits)
{
    struct {
        int unused;
    } *self;

    vine_begin();
    for (;;)
        vine_sleep(VINE_NS_PER_SECOND);
    vine_end();
}

VINE_COROUTINE(raises)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    vine_raise(-VINE_EDATA);
    vine_end();
}

VINE_COROUTINE(crashes)
{
    struct {
        char byte;
        ssize_t length;
    } *self;

    vine_begin();
    vine_read(self->length, &self->byte, 1);
    *(volatile char *)16 = self->byte;
    vine_end();
}

/* More than its heap ever is. */
VINE_COROUTINE(takes_all)
{
    struct {
        void *memory;
    } *self;

    vine_begin();
    for (;;)
        vine_alloc(self->memory, 100000);
    vine_end();
}

static const struct vine_argument echo_arguments[] = {
    {"in", VINE_INPUT, VINE_TYPE_BYTES, 0, DATA_MAX},
    {"out", VINE_OUTPUT, VINE_TYPE_BYTES, 0, DATA_MAX},
};

#define OFFER(procedure)                                                                           \
    .size_bytes = sizeof(struct vine_procedure_definition), .name = procedure,                     \
    .arguments = echo_arguments, .argument_count = 2

enum { ECHO_SHORT, ECHO_JOB, ECHOES, SLEEPS, WAITS, RAISES, CRASHES, TAKES_ALL, OFFERED };

static const struct vine_procedure_definition offered[OFFERED] = {
    [ECHO_SHORT] = {OFFER("echo_short"), .run = run_echo, .flags = VINE_PROCEDURE_SHORT},
    [ECHO_JOB] = {OFFER("echo_job"), .run = run_echo},
    [ECHOES] = {OFFER("echoes"), .coroutine = VINE_COROUTINE_OF(echoes)},
    [SLEEPS] = {OFFER("sleeps"), .coroutine = VINE_COROUTINE_OF(sleeps)},
    [WAITS] = {OFFER("waits"), .coroutine = VINE_COROUTINE_OF(waits)},
    [RAISES] = {OFFER("raises"), .coroutine = VINE_COROUTINE_OF(raises)},
    [CRASHES] = {OFFER("crashes"), .coroutine = VINE_COROUTINE_OF(crashes)},
    [TAKES_ALL] = {OFFER("takes_all"), .coroutine = VINE_COROUTINE_OF(takes_all)},
};

/* How its tasks end when nothing befalls them. */
static const int status_of[OFFERED] = {
    [WAITS] = -VINE_ECANCELED,
    [RAISES] = -VINE_EDATA,
    [CRASHES] = -VINE_EFAILED,
    [TAKES_ALL] = -VINE_EFAILED,
};

/* ---- the appliance --------------------------------------------------------------------------- */

static struct {
    struct vine_serving *now;   /* NULL: it is not there */
    struct world_event coming;  /* the next one */
    struct world_event going;   /* of this one */
    struct world_event hastens; /* what drains is given up */
    uint32_t lives;             /* that it has had */
    bool is_leaving;
    bool stays;   /* nothing befalls it any more */
    bool is_over; /* no other one follows */
    uint32_t micro_processes_max;
    char folder[32];
    char path[64];
} appliance;

static inline void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

static inline void appliance_stop(struct world_event *event)
{
    (void)event;
    if (appliance.now == NULL || appliance.stays)
        return;
    (void)vine__reactor_enter(world.reactors[0]);
    appliance.is_leaving = true;
    vine_appliance_stop(vine_serving_appliance(appliance.now));
    if (event != &appliance.hastens && world_chance(2) == 0)
        world_after(&appliance.hastens, 0, MS, appliance_stop);
}

static inline void appliance_start(struct world_event *event);

static inline void appliance_ended(void *context, struct vine_serving *serving)
{
    (void)context;
    world_never(&appliance.going);
    world_never(&appliance.hastens);
    vine_serving_destroy(serving);
    appliance.now = NULL;
    if (!appliance.is_over)
        world_after(&appliance.coming, 0, 2 * MS, appliance_start);
}

static inline void appliance_start(struct world_event *event)
{
    const struct vine_service_options coroutines = {
        .size_bytes = sizeof coroutines,
        .isolation = VINE_ISOLATE_NONE,
        .connections = appliance.micro_processes_max,
        .heap_bytes = 64 << 10,
    };
    const struct vine_appliance_options own = {.size_bytes = sizeof own, .log = keep_quiet};
    const struct vine_serving_options options = {
        .size_bytes = sizeof options,
        .appliance = &own,
        .coroutines = &coroutines,
        .ended = appliance_ended,
    };

    (void)event;
    (void)vine__reactor_enter(world.reactors[0]);
    world_holds(vine_serving_create(&options, &appliance.now) == 0, "it cannot be made");
    for (size_t i = 0; i < OFFERED; i++)
        world_holds(vine_appliance_register(vine_serving_appliance(appliance.now), &offered[i]) ==
                        0,
                    "%s cannot be offered", offered[i].name);
    world_holds(vine_serving_start(appliance.now, appliance.path) == 0, "it cannot be started");
    appliance.is_leaving = false;
    appliance.lives++;
    world.is_asleep[0] = false;
    if (!appliance.stays)
        world_after(&appliance.going, MS, 60 * MS, appliance_stop);
}

#endif
