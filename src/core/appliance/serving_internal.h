/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/appliance/serving_internal.h - what an appliance on reactors is made of.
 *
 * Owns:     the structs of a serving.
 * Threads:  a part is its core's, but for what is core 0's by its comment.
 * Blocking: never.
 * Trust:    all cores are one process.
 * Limits:   those of vine/serving.h.
 *
 * The memory order:
 *   A1  a part's core: release of `appliance`        pairs with A2: what it is made of
 *   A2  core 0, which asks for its load: acquire     pairs with A1
 */
#ifndef VINE_CORE_APPLIANCE_SERVING_INTERNAL_H
#define VINE_CORE_APPLIANCE_SERVING_INTERNAL_H

#include <vine/serving.h>

#include <vine/reactor.h>
#include <vine/timer.h>

#include "arch/poll/poll.h"
#include "arch/thread/thread.h"
#include "core/appliance/balance.h"
#include "core/appliance/coroutines.h"
#include "core/reactor/reactor.h"
#include "core/talk/serving.h"

/* One of them; free where there is no pipe. */
struct vine__moved {
    struct vine_core_call call;
    struct vine__part *from, *to;
    struct vine__served *pipe;
};

/* What one core has of it. */
struct vine__part {
    _Alignas(VINE_CACHE_LINE) struct vine_serving *serving;
    uint32_t core;
    bool is_armed;   /* `ready` is with the kernel */
    bool has_word;   /* it listens in a named segment */
    bool is_waiting; /* `raised` is with the kernel */
    bool is_deaf;    /* it cannot be */
    bool is_over;
    struct vine_appliance *appliance;    /* atomic; NULL: not there yet, or it could not be made */
    struct vine__coroutines *coroutines; /* NULL: it runs none */
    struct vine__polled polled;
    struct vine__operation ready;  /* its descriptor */
    struct vine__operation raised; /* the segment's word */
    struct vine_work telling;      /* core 0 that it is over */
    uint32_t moving;               /* of `moves` */
    struct vine__moved moves[VINE__MOVES_MAX];
    struct vine__balance balance;
    uint64_t period_ticks;        /* between two looks at how busy it is */
    uint64_t used_before_ticks;   /* at the last one */
    uint64_t measured_ticks;      /* when it began to measure its pipes */
    uint64_t worked_before_ticks; /* what coroutines had used then */
    /* Written by its core, and seen by all; `load` is also added to by who sends pipes there. */
    _Alignas(VINE_CACHE_LINE) uint32_t load; /* atomic: of VINE__BALANCE_CORE */
    uint64_t looked_ticks;                   /* atomic: when that was */
    /* Core 0's. */
    _Alignas(VINE_CACHE_LINE) uint32_t handed; /* connections that are on their way to it */
    bool has_failed;                           /* it could not be made */
    struct vine_core_call beginning;
};

struct vine_serving {
    struct vine_serving_options options;
    struct vine_appliance_options appliance_options;
    struct vine_service_options coroutine_options;
    bool has_coroutines;
    struct vine_serving *next; /* of those that are to end before the reactors stop */
    struct vine_appliance *first;
    struct vine__part *parts; /* [core_count] */
    uint32_t core_count;
    uint32_t parts_left; /* that have not ended */
    uint32_t handed;     /* connections on their way to any core */
    bool is_started, has_ended;
    struct vine__thread *workers;
    uint32_t worker_count;
    struct vine__operation joining;
    struct vine_work ending;
    struct vine_timer give_up;
};

/* part.c. On the part's core: it is polled from here on, and core 0 is told when it is over by
 * vine__serving_part_over. Returns 0 or a negative error. */
int vine__part_begin(struct vine__part *part);

/* The kernel knows nothing of a part that is over, and none of its pipes is on its way: core 0 may
 * be told, once its coroutines are gone. */
void vine__part_end_if_silent(struct vine__part *part);

/* balance.c: on the part's core, when it begins; and after each turn. */
void vine__part_balance_begin(struct vine__part *part);
void vine__part_balance(struct vine__part *part, uint64_t now_ticks);
/* A vine__serving_send_fn, whose context is the part. */
void vine__part_send(void *context, struct vine__served *pipe, uint32_t to);

/* spread.c: a vine__serving_place_fn, of core 0, whose context is the serving. */
void vine__serving_spread(void *context, int fd, bool is_awaited);

/* workers.c: as many as can be started. */
void vine__workers_start(struct vine_serving *serving);
/* `fn` is called on core 0 when all of them have ended, which they have been told to. */
void vine__workers_join(struct vine_serving *serving, vine_work_fn fn);

/* serving.c: one part less; core 0. */
void vine__serving_part_over(struct vine_serving *serving);
/* And nothing is on its way any more. */
void vine__serving_end_if_over(struct vine_serving *serving);

/* serving.c: what its program's log is told. */
void vine__serving_log(const struct vine_serving *serving, enum vine_log_level level,
                       const char *format, ...) VINE_PRINTF(3, 4);

#endif
