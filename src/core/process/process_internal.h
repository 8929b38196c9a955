/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/process_internal.h - what is known of a micro-process outside of its heap.
 *
 * An operation goes: a coroutine asks, within a run; after the run its ask is copied, checked and
 * begun here; its end is kept here until the next run brings it in as an item of the record.
 */
#ifndef VINE_CORE_PROCESS_PROCESS_INTERNAL_H
#define VINE_CORE_PROCESS_PROCESS_INTERNAL_H

#include <vine/error.h>
#include <vine/metrics.h>
#include <vine/timer.h>

#include "arch/reservation/reservation.h"
#include "core/heap/heap.h"
#include "core/mail/mail.h"
#include "core/process/process.h"
#include "core/socket/socket.h"
#include "core/state/state.h"
#include "utils/assert.h"
#include "utils/container_of.h"
#include "utils/list.h"

#define VINE__BLOCK_BYTES 16384U /* to write into */
#define VINE__PAGE_BYTES  4096U
#define VINE__QUOTA       1024U /* how often coroutines go on in a run */

VINE_STATIC_ASSERT(VINE__BLOCK_BYTES >= VINE_LOOK_MAX, "what is looked at fits into a block");

/* ---- blocks ---------------------------------------------------------------------------------- */

struct chunk;
struct sender;
struct inside;

/* Of one colour on one core. */
struct blocks {
    unsigned char **free; /* `free_count` of them */
    uint32_t free_count, count;
    uint32_t colour;
    struct chunk *chunks;
    unsigned char *lent[VINE__LENT_MAX]; /* what the next run may take */
};

/* A block, or NULL: no memory. */
unsigned char *vine__block_take(struct blocks *blocks);
void vine__block_give(struct blocks *blocks, unsigned char *block);
void vine__blocks_fini(struct blocks *blocks);

/* ---- a core ---------------------------------------------------------------------------------- */

/* What those inside read and do not write. The stack of who calls them is closed to them. */
struct page {
    struct vine__record record;
    struct inside *inside; /* that runs */
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
    struct blocks blocks[VINE__GUARD_COLOURS_MAX];
    struct sender *senders;        /* that nobody has; as many as there ever were at once */
    struct vine__process *running; /* or the last that ran, which may be gone */
    struct origin *origins;        /* the newest first */
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

/* Returns 0 or a negative error. */
int vine__record_create(struct processes *core);
void vine__record_destroy(struct processes *core);

/* ---- a micro-process ------------------------------------------------------------------------- */

/* A coroutine that waits: where it is, and the number of what it asked. */
struct asker {
    uint32_t place;
    uint32_t number;
    bool is_set;
};

/* The outside of a socket. */
struct outlet {
    struct vine__process *process;
    struct vine_connection *connection;
    uint32_t place; /* of the inside, in the heap */
    bool is_receiving;
    bool has_received; /* for the next run */
    bool is_sending;
    bool is_gone;     /* its block is: the inside has to be told */
    bool is_shutting; /* the output is to end */
    bool has_end;
    bool has_news;     /* something has come since it has sent */
    bool was_idle;     /* when it was looked at last, while the core drains */
    bool is_spliced;   /* what comes goes elsewhere */
    bool is_wanted;    /* and the inside has asked for what follows */
    bool is_over;      /* nobody inside has it any more */
    bool is_lingering; /* all is sent; what still comes is thrown away */
    bool is_parking;   /* nothing has to stay, if nothing comes for a while */
    bool has_file;     /* to be sent behind what is written, or being sent */
    union {
        uint32_t lingered; /* bytes of that */
        int32_t told;      /* to who waits until something is sent; before that */
    };
    uint32_t kept;              /* of what came, what was there before */
    int64_t received;           /* bytes, those that were kept included; or an error */
    const unsigned char *bytes; /* received; NULL: none */
    const unsigned char *view;  /* what the inside has to read */
    unsigned char *gathered;    /* the block in which bytes are that had to be in one piece */
    unsigned char *sending;     /* the kernel's */
    unsigned char *written;     /* which the inside writes on, until it is sent */
    uint32_t written_size;
    int error;               /* of sending */
    struct asker room, sent; /* who waits for that */
    uint32_t view_size;
    uint32_t park_tick; /* when that was asked for */
    uint64_t park_until_ns;
    struct vine_receive receive;
};

/* A send of an outlet: there is one only while it goes on. */
struct sender {
    struct vine_send send;
    struct outlet *outlet; /* or of those that nobody has: */
    struct sender *next;
};

struct vine__process {
    struct vine__heap *heap;
    struct vine__inside *inside; /* in the heap: not to be believed */
    struct processes *core;
    struct vine__list link;
    struct origin *origin; /* NULL: its connection was parked and has it */
    struct vine_work work; /* its next run */
    struct vine_timer timer;
    uint64_t due_ns; /* for which the timer is armed, or 0 */
    struct outlet io;
    struct furthers *furthers; /* NULL: none yet */
    struct vine_work closed;
    struct vine_kept *kept;               /* by the service, outside; or NULL */
    struct vine__process_end *last_fault; /* or NULL: there was none */
    struct vine__mail *mail;              /* once it has asked for any, or NULL */
    int raise;                            /* for the next run, or 0 */
    int cancel;
    uint8_t colour;
    uint8_t fault_count; /* without a run that ended well */
    bool has_ended;
    bool is_closed;   /* and its connection is */
    bool has_overrun; /* once; the second time is its end */
};

/* Beside a page, a blocked one has this, what is known of its heap, and its connection. */
VINE_STATIC_ASSERT(sizeof(struct vine__process) + sizeof(struct vine__heap) <= 512,
                   "a blocked micro-process is small");

/* What lies in the heap's head for us. */
struct inside {
    struct vine__inside base;
    struct vine_socket io;
};

/* ---- further sockets ------------------------------------------------------------------------- */

struct connecting;
struct listening;
struct opened;

/* What a micro-process has beside its connection, at a place that its inside chose. */
struct further {
    struct outlet outlet;
    struct vine__list link;
    struct vine_work closed;
    struct vine_timer timer;
    struct vine_work hung_up; /* its peer has ended */
    uint16_t place;
    bool has_hung_up; /* for the next run */
    bool has_answer;  /* for the asker: */
    int64_t answer;
    struct asker asker;            /* who waits for it to be there */
    struct connecting *connecting; /* while it does, or NULL */
    struct splicing *splicing;     /* the same */
    struct listening *listening;   /* or NULL */
    struct further *accepts;       /* the one that listens, while it waits there, or NULL */
    struct opened *file;           /* it is a file, or NULL */
};

struct furthers {
    struct vine__process *process;
    struct vine_work hung_up; /* that of the connection */
    bool has_hung_up;
    struct vine__list splicings;          /* all of them */
    struct vine__list all;                /* by `link`, those that are being closed among them */
    struct further *at[VINE__PLACES_MAX]; /* those that somebody inside has, or NULL */
};

static inline struct further *vine__further_of(struct outlet *outlet)
{
    return VINE_CONTAINER_OF(outlet, struct further, outlet);
}

/* What of an outlet is wanted without blocking: VINE__WANTS_... */
void vine__outlet_want(struct outlet *outlet, uint32_t wants);

/* further.c: which one, or NULL. */
static inline struct further *vine__further_at(const struct vine__process *process, uint32_t place)
{
    return process->furthers != NULL && place < VINE__PLACES_MAX ? process->furthers->at[place]
                                                                 : NULL;
}

/* asks.c: an outlet by its place, or NULL. */
struct outlet *vine__outlet_at(struct vine__process *process, uint32_t place);

/* splice.c: move bytes, at most so many. `further` has the place, and is told. */
void vine__splice_begin(struct further *further, struct outlet *from, struct outlet *to,
                        uint64_t bytes);
/* Nobody waits for it any more. */
void vine__splicing_leave(struct splicing *splicing);
/* Something may have changed for those who wait to send to it. It closes, if it is over. */
void vine__splicings_look(struct outlet *outlet);

/* Begin what is asked for. Returns 0, -VINE_ECORRUPT or -ENOMEM. */
int vine__further_begin(struct vine__process *process, const struct vine__ask *ask,
                        struct asker asker);
/* It connects: to an address, or to a name that is looked up. */
void vine__further_connect(struct further *further, const char *text);
/* listening.c: it listens, at this address; nobody inside has it any more; and one waits for who
 * connects there. */
void vine__further_listen(struct further *further, const char *text);
void vine__listening_leave(struct listening *listening);
void vine__further_accept(struct further *further, struct further *listener);
/* How it has ended: `connection`, or an error. The micro-process runs then. */
void vine__further_connected(struct further *further, int error,
                             struct vine_connection *connection);
/* Nobody waits for that any more. */
void vine__connecting_leave(struct connecting *connecting);
/* Nobody inside has these any more, as it says. Returns 0 or -VINE_ECORRUPT. */
int vine__furthers_let_go(struct vine__process *process);
/* The micro-process has ended. */
void vine__furthers_close(struct vine__process *process, bool at_once);
void vine__furthers_hurry(struct vine__process *process);
/* Whether those inside have none; and whether nothing is left of any. */
bool vine__furthers_are_none(const struct vine__process *process);
bool vine__furthers_are_closed(const struct vine__process *process);

/* crash.c: where it is, if what lies in its open heap says so. */
void vine__process_describe(const struct vine__process *process, struct vine__process_end *end);
/* It has faulted in a run. Returns whether it goes on, with that as an error in it. */
bool vine__process_take_fault(struct vine__process *process, const struct vine__guard_fault *fault);
/* It has ended by itself: by a fault or an error, or well. */
void vine__process_take_end(struct vine__process *process);
/* It wrote nonsense, or cannot run. */
void vine__process_take_mistake(struct vine__process *process, int error);
/* ---- files: files.c -------------------------------------------------------------------------- */

/* Open what `further` is to be, of which those inside see what lies at `place` of the heap. Returns
 * 0, -VINE_ECORRUPT or -ENOMEM. */
int vine__opened_open(struct further *further, uint32_t root, const char *path, uint32_t place);
/* It is there: have those inside see what it is. */
void vine__opened_tell(const struct opened *file);
/* Nobody inside has it any more. `further->closed` is posted when it is over. */
void vine__opened_leave(struct opened *file);
/* A part of a file is to go out, as what lies at the address `a` of the heap says; `asker` waits.
 * Returns 0 or -VINE_ECORRUPT. */
int vine__opened_ask(struct vine__process *process, struct outlet *outlet, uint64_t a,
                     struct asker asker);
/* It is its turn; and something has been sent. */
void vine__opened_send(struct outlet *outlet);
void vine__opened_sent(struct outlet *outlet, size_t sent);

/* dispatch.c: run it now. It may be gone then. */
void vine__process_dispatch(struct vine__process *process);

/* asks.c: begin what its coroutines ask for, after a run. Returns 0, -VINE_ECORRUPT or -ENOMEM. */
int vine__process_take_asks(struct vine__process *process);

/* Put into the record what is to be brought in. Returns whether that was all. */
bool vine__process_bring(struct vine__process *process, struct vine__record *record);

/* outlet.c: the inside, which is not to be believed. */
struct vine_socket *vine__outlet_inside(const struct outlet *outlet);
/* So much was received, or 0 or an error: for the next run. */
void vine__outlet_came(struct outlet *outlet, const unsigned char *bytes, int64_t size);
void vine__outlet_receive(struct outlet *outlet, uint32_t kept);
/* The inside has read all that came. */
void vine__outlet_let_view_go(struct outlet *outlet);
/* It was spliced, and is not any more. */
void vine__outlet_spliced(struct outlet *outlet);
/* What a splice has received, or sent, has ended: an outlet that is over goes on with its end. */
void vine__outlet_lingered(struct outlet *outlet, int64_t size);
void vine__outlet_sent(struct outlet *outlet);
/* The inside has written: `block` of those lent, from 1, or 0: on. Returns 0 or -VINE_ECORRUPT. */
int vine__outlet_written(struct outlet *outlet, uint32_t block, uint32_t size);
void vine__outlet_send(struct outlet *outlet);
/* For a send of its own, which ends by vine__outlet_send_ended. NULL: there is no memory, and that
 * is its error. */
struct sender *vine__outlet_sender(struct outlet *outlet);
void vine__outlet_send_ended(struct vine_send *send);
/* Everything that was written is sent, and then it is closed. `process->closed` is posted. */
void vine__outlet_close(struct outlet *outlet, bool at_once);
/* It ends without having answered: this is sent in place of that, where nothing else was begun.
 * Returns whether it is. */
bool vine__outlet_farewell(struct outlet *outlet, const char *text);
/* The micro-process has ended, and this takes too long. */
void vine__outlet_hurry(struct outlet *outlet);
/* It has answered all that came, and waits for more. */
bool vine__outlet_is_idle(const struct outlet *outlet);
void vine__outlet_fini(struct outlet *outlet);
void vine__senders_fini(struct processes *core);

/* park.c: it waits for the first byte of what comes next, holding nothing: so it may be let go if
 * that takes a while, and its connection waits alone until `until_ns`. */
void vine__parker_begin(struct vine__process *process, uint64_t until_ns);
/* There are no heaps: let some of them go now. Returns whether one has gone. */
bool vine__parkers_hurry(struct processes *core);
/* The core ends. */
void vine__parkers_end(struct processes *core);
/* The core drains: no first byte is waited for any more, or only until the next look. */
void vine__parked_look(struct processes *core);

/* process.c: a connection of `process` begins. `receive` has ended with its first bytes; or NULL.
 * If this fails, the connection is refused as its kind does that. */
int vine__process_begin(struct processes *core, struct vine_connection *connection,
                        const struct vine__process_options *options, uint32_t colour,
                        const struct vine_receive *receive);
/* The core has nothing of a micro-process or parked connection any more. */
void vine__processes_let_go(struct processes *core);

/* process.c: what a connection of it receives from now on lies where its coroutines can read it.
 * Before anything is received there. */
void vine__process_paint(const struct vine__process *process, struct vine_connection *connection);

/* drain.c: begin; and all of that is over, whether or not it has begun. */
void vine__processes_drain(struct processes *core);
void vine__processes_drained(struct processes *core);

/* outside.c: it has ended, so that nothing is kept for it. */
void vine__outside_end(struct vine__process *process);

/* process.c: it has ended. */
void vine__process_end(struct vine__process *process, const struct vine__process_end *end,
                       bool at_once);

#endif
