/* SPDX-License-Identifier: Apache-2.0 */
/* core/process/process_internal.h - micro-processes of a core: their runs, and their lives. */
#ifndef VINE_CORE_PROCESS_PROCESS_INTERNAL_H
#define VINE_CORE_PROCESS_PROCESS_INTERNAL_H

#include <vine/error.h>
#include <vine/metrics.h>
#include <vine/timer.h>

#include "arch/reservation/reservation.h"
#include "core/heap/heap.h"
#include "core/poll/poll.h"
#include "core/process/process.h"
#include "utils/assert.h"
#include "utils/container_of.h"
#include "utils/list.h"

/* ---- a core ---------------------------------------------------------------------------------- */

/* What those inside read and do not write. The stack of who calls them is closed to them. */
struct page {
    struct vine__record record;
    struct vine__inside *inside; /* that runs */
};

/* What a core has seen. */
struct process_counts {
    uint64_t begun;
    uint64_t runs;
    uint64_t faults;   /* also those that they took */
    uint64_t overruns; /* of these, for running too long */
    uint64_t errors;   /* that nobody took */
    uint64_t parkings; /* how often a connection was left without a heap */
    uint64_t unparkings;
    uint64_t refused; /* there was no heap, or no memory */
};

#define PROCESS_METRICS 14U

/* What micro-processes were started with, those that have the same. */
struct origin {
    struct vine__process_options options;
    uint32_t users;
    bool has_parkers; /* they say so themselves when they wait for a next request */
    struct origin *next, **link;
};

struct processes {
    struct page *page;
    struct vine__reservation page_memory;
    struct vine__heap_pool *heaps;
    struct vine__list all;    /* by `link` */
    struct vine__list parked; /* connections without a micro-process, by `link` */
    uint32_t parked_count;
    uint32_t park_tick; /* of `park_timer`, while somebody may be let go */
    uint32_t park_left; /* of its round over all: those that were not looked at */
    bool park_goes_on;  /* somebody in this round may be let go later */
    bool has_parked;    /* at its last tick */
    bool is_park_timer_armed;
    struct vine_timer park_timer;
    uint32_t count;
    bool is_draining; /* those that wait for nothing end */
    bool is_stopping; /* and so does all of this when there is none left */
    uint64_t drain_ns;
    uint64_t drain_until_ns;
    struct vine_timer drain_timer;
    struct vine__polling_core polling;
    struct vine__process *running;  /* or the last that ran; or NULL */
    int run_error;                  /* how its run ended, where nobody has looked yet, */
    struct vine__guard_fault fault; /* and of -EFAULT by what */
    struct origin *origins;         /* the newest first */
    struct process_counts counts;
    struct vine_metric metrics[PROCESS_METRICS];
};

/* origin.c: to be given once for each time. Returns NULL: no memory. */
struct origin *vine__origin_take(struct processes *core,
                                 const struct vine__process_options *options);
void vine__origin_give(struct origin *origin);

/* process_metrics.c: what the core has seen and has can be collected, and no more. Returns 0 or a
 * negative error. */
int vine__process_metrics_start(struct processes *core);
void vine__process_metrics_stop(struct processes *core);

/* The calling core's. */
struct processes *vine__processes_here(void);

/* record.c: `page`. Returns 0 or a negative error. */
int vine__record_create(struct processes *core);
void vine__record_destroy(struct processes *core);

/* ---- a micro-process ------------------------------------------------------------------------- */

struct vine__process {
    struct vine__polling polling; /* its heap, and all that it has outside */
    struct vine__list link;
    struct origin *origin;                /* NULL: its connection was parked and has it */
    struct vine_kept *kept;               /* by the service, outside; or NULL */
    struct vine__process_end *last_fault; /* or NULL: there was none */
};

static inline struct vine__process *vine__process_of(struct vine__polling *polling)
{
    return VINE_CONTAINER_OF(polling, struct vine__process, polling);
}

/* Its core. */
static inline struct processes *vine__core_of(const struct vine__process *process)
{
    return VINE_CONTAINER_OF(process->polling.core, struct processes, polling);
}

/* Beside a page, a blocked one has this, what is known of its heap, and its connection, of which
 * core/network says how large it is. */
VINE_STATIC_ASSERT(sizeof(struct vine__process) <= 320, "a blocked micro-process is small");

/* crash.c: where it is, if what lies in its open heap says so. */
void vine__process_describe(const struct vine__process *process, struct vine__process_end *end);
/* It has faulted in a run. Returns whether it goes on, with that as an error in it. */
bool vine__process_take_fault(struct vine__process *process, const struct vine__guard_fault *fault);
/* It has ended by itself: by a fault or an error, or well. */
void vine__process_take_end(struct vine__process *process);
/* It wrote nonsense, or cannot run. */
void vine__process_take_mistake(struct vine__process *process, int error);

/* dispatch.c: run it now. It may be gone then. */
void vine__process_dispatch(struct vine__polling *polling);

/* park.c: it waits for the first byte of what comes next, holding nothing: so it may be let go if
 * that takes a while, and its connection waits alone. */
void vine__parker_begin(struct vine__process *process);
/* There are no heaps: let some of them go now. Returns whether one has gone. */
bool vine__parkers_hurry(struct processes *core);
/* The core ends. */
void vine__parkers_end(struct processes *core);
/* The core drains: no first byte is waited for any more, or only until the next look. */
void vine__parked_look(struct processes *core);

/* process.c: a connection of `process` begins. `receive` has ended with its first bytes; or NULL.
 * `kept`: outside, of the one that it had before, or NULL. If this fails, the connection is refused
 * as its kind does that, and what is kept stays its owner's. */
int vine__process_begin(struct processes *core, struct vine_connection *connection,
                        const struct vine__process_options *options, uint32_t colour,
                        const struct vine_receive *receive, struct vine_kept *kept);
/* The core has nothing of a micro-process or parked connection any more. */
void vine__processes_let_go(struct processes *core);

/* rest.c: it is done with what it was started for, and asks for the next. */
void vine__process_done(struct vine__process *process);
/* It has rested for so many ticks; or there are no heaps. */
void vine__process_leave_rest(struct vine__process *process);

/* drain.c: begin; and all of that is over, whether or not it has begun. */
void vine__processes_drain(struct processes *core);
void vine__processes_drained(struct processes *core);

/* outside.c: it has ended, so that nothing is kept for it. */
void vine__outside_end(struct vine__process *process);

/* process.c: it has ended. */
void vine__process_end(struct vine__process *process, const struct vine__process_end *end,
                       bool at_once);

#endif
