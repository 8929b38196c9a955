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
    *(volatile char *)0xbad0 = self->byte;
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

/* What becomes of it: pipes move between its cores, it shuts down, with patience or without, and
 * another one comes; or another one takes its place, and may shut down before it has all pipes. */
static struct {
    struct vine_serving *now;    /* who has the address; NULL: nobody */
    struct vine_serving *former; /* that leaves its pipes to it; NULL: it has ended */
    struct world_event coming;   /* the next one */
    struct world_event going;    /* of this one */
    struct world_event hastens;  /* what drains is given up */
    struct world_event taking;   /* its place */
    struct world_event moving;   /* of pipes */
    uint32_t lives;              /* that it has had */
    bool is_leaving;
    bool has_left; /* the former one, all that it had: it goes even if its successor goes first */
    bool is_starting; /* a successor, which serves nobody before it has begun */
    bool stays;       /* nothing befalls it any more */
    bool is_over;     /* no other one follows */
    uint32_t micro_processes_max;
    uint64_t pipes_moved, taken_over; /* in this run */
    bool loses_pipes;                 /* on their way from core to core: a rule that is broken */
    char folder[32];
    char path[64];
} appliance;

static inline void keep_quiet(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level, (void)message;
}

/* Who has left all says so. Its successor may have gone meanwhile, and it be the only one. */
static inline void hear(void *context, enum vine_log_level level, const char *message)
{
    (void)context, (void)level;
    if (strcmp(message, "all pipes are another process's") != 0)
        return;
    if (appliance.former != NULL)
        appliance.has_left = true;
    else
        appliance.is_leaving = true;
}

/* ---- pipes that move ------------------------------------------------------------------------- */

static inline void lose_pipe(void *context, struct vine__served *pipe, uint32_t to)
{
    (void)context, (void)pipe, (void)to;
}

static inline void move_pipes(struct vine_serving *serving)
{
    const uint32_t core = (uint32_t)world_chance(world.core_count);
    const struct vine__serving_move move = {
        .to = (core + 1 + (uint32_t)world_chance(world.core_count - 1)) % world.core_count,
        .count_max = (uint32_t)world_between(1, VINE__MOVES_MAX),
        .limit_ns = world_chance(MS),
        .most_ticks = UINT64_MAX,
    };

    (void)vine__reactor_enter(world.reactors[core]);
    (void)vine__serving_move_from(serving, core, &move);
    (void)vine__reactor_enter(world.reactors[0]);
    world.is_asleep[core] = false;
}

static inline void appliance_move(struct world_event *event)
{
    if (appliance.now != NULL)
        move_pipes(appliance.now);
    if (appliance.former != NULL)
        move_pipes(appliance.former);
    world_after(event, 20 * US, 400 * US, appliance_move);
}

/* ---- coming and going ------------------------------------------------------------------------ */

static inline void appliance_stop(struct world_event *event)
{
    (void)event;
    if (appliance.now == NULL || appliance.stays)
        return;
    (void)vine__reactor_enter(world.reactors[0]);
    appliance.is_leaving = true;
    world_never(&appliance.taking);
    vine_appliance_stop(vine_serving_appliance(appliance.now));
    if (event != &appliance.hastens && world_chance(2) == 0)
        world_after(&appliance.hastens, 0, MS, appliance_stop);
}

static inline void appliance_start(struct world_event *event);
static inline void appliance_take_over(struct world_event *event);

/* Another life of it, in which all may happen to it. */
static inline void appliance_live(void)
{
    appliance.is_leaving = false;
    world.is_asleep[0] = false;
    if (appliance.stays)
        return;
    world_after(&appliance.going, MS, 60 * MS, appliance_stop);
    if (world_chance(2) == 0)
        world_after(&appliance.taking, MS, 20 * MS, appliance_take_over);
}

static inline void appliance_count(struct vine_serving *serving)
{
    struct vine_appliance_stats stats;

    vine_appliance_get_stats(vine_serving_appliance(serving), &stats);
    appliance.pipes_moved += stats.pipes_moved;
}

static inline void appliance_ended(void *context, struct vine_serving *serving)
{
    (void)context;
    appliance_count(serving);
    vine_serving_destroy(serving);
    if (serving == appliance.former) {
        appliance.former = NULL;
        appliance.has_left = false;
    } else {
        world_never(&appliance.going);
        world_never(&appliance.hastens);
        world_never(&appliance.taking);
        /* One that had not left all goes on. */
        appliance.now = appliance.former;
        appliance.former = NULL;
        if (appliance.now != NULL) {
            appliance.lives++;
            appliance_live();
            appliance.is_leaving = appliance.has_left;
            appliance.has_left = false;
        }
    }
    if (appliance.now == NULL && !appliance.is_over)
        world_after(&appliance.coming, 0, 2 * MS, appliance_start);
}

static inline struct vine_serving *appliance_make(bool takes_over)
{
    const struct vine_service_options coroutines = {
        .size_bytes = sizeof coroutines,
        .isolation = VINE_ISOLATE_NONE,
        .connections = appliance.micro_processes_max,
        .heap_bytes = 64 << 10,
    };
    const struct vine_appliance_options own = {
        .size_bytes = sizeof own, .log = hear, .leaves = true};
    const struct vine_serving_options options = {
        .size_bytes = sizeof options,
        .appliance = &own,
        .coroutines = &coroutines,
        .ended = appliance_ended,
        .takes_over = takes_over,
    };
    struct vine_serving *serving = NULL;

    (void)vine__reactor_enter(world.reactors[0]);
    world_holds(vine_serving_create(&options, &serving) == 0, "it cannot be made");
    for (size_t i = 0; i < OFFERED; i++)
        world_holds(vine_appliance_register(vine_serving_appliance(serving), &offered[i]) == 0,
                    "%s cannot be offered", offered[i].name);
    return serving;
}

static inline void appliance_start(struct world_event *event)
{
    (void)event;
    appliance.now = appliance_make(false);
    world_holds(vine_serving_start(appliance.now, appliance.path) == 0, "it cannot be started");
    if (appliance.loses_pipes)
        vine__serving_set_mover(vine_serving_appliance(appliance.now), lose_pipe, NULL);
    appliance.lives++;
    appliance_live();
}

/* The world goes on while the successor waits for the listener. */
static inline void appliance_take_over(struct world_event *event)
{
    struct vine_serving *successor;
    int error;

    (void)event;
    if (appliance.now == NULL || appliance.stays || appliance.is_leaving ||
        appliance.former != NULL)
        return;
    world_never(&appliance.going);
    successor = appliance_make(true);
    appliance.is_starting = true;
    appliance.former = appliance.now;
    appliance.now = successor;
    error = vine_serving_start(successor, appliance.path);
    world_holds(error == 0, "its place cannot be taken: %d", error);
    appliance.is_starting = false;
    appliance.taken_over++;
    appliance_live();
}

#endif
