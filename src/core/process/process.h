/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/process/process.h - micro-processes as those see them who start them.
 *
 * Owns:     for each core its heaps, its blocks to write into and its micro-processes; of each the
 *           connection it was given.
 * Threads:  a micro-process is its core's.
 * Blocking: never.
 * Trust:    what lies in a heap is believed of nothing: it is read once and checked, and who writes
 *           nonsense there is ended, alone.
 * Limits:   heaps, by memory mappings (core/heap); each operation's own.
 */
#ifndef VINE_CORE_PROCESS_PROCESS_H
#define VINE_CORE_PROCESS_PROCESS_H

#include <vine/network.h>
#include <vine/state.h>

#include "arch/guard/guard.h"
#include "core/heap/heap.h"
#include "core/socket/socket.h"

struct vine__process;

/* How one ended. */
struct vine__process_end {
    int error;                      /* what it raised at last, or 0 */
    bool is_fault;                  /* `fault` is what ended it */
    struct vine__guard_fault fault; /* and these, where it was */
    const struct vine_coroutine_type *type;
    const struct vine__point *point; /* the last that it came to, or NULL */
    char heap[VINE__HEAP_WHY_BYTES]; /* of -ENOMEM: what the heap was short of; or "" */
};

/* What all micro-processes of a service have in common, in memory that stays. All may be NULL. */
struct vine__process_kind {
    const char *name;
    /* What a peer is sent that has asked for something and whose micro-process ended by a fault or
     * an error without an answer. */
    const char *farewell;
    /* Of each fault, also of one that the micro-process lives through; and of an error that nobody
     * has taken. Called before `ended`. */
    void (*crashed)(const struct vine__process_kind *kind, const struct vine__process_end *end);
    /* There is no heap for this connection: it is to be told so, and closed, which is done here if
     * there is no such function. `context` is that of the options. */
    void (*refuse)(const struct vine__process_kind *kind, struct vine_connection *connection,
                   int error, void *context);
};

typedef void (*vine__process_ended_fn)(void *context, const struct vine__process_end *end);
typedef void (*vine__process_gone_fn)(void *context);

struct vine__process_options {
    const struct vine_coroutine_type *type;
    const struct vine__process_kind *kind; /* or NULL */
    const void *argument;         /* which coroutines can read: not in a heap or the runtime's */
    vine__process_ended_fn ended; /* may be NULL; the micro-process is gone when it is called */
    vine__process_gone_fn gone;   /* after that: its connection is closed. May be NULL */
    /* It is done with what it was started for, and asks for the next of that: whether it may come,
     * by vine__process_give; until it does, it rests. NULL: there is none. */
    bool (*rests)(void *context);
    /* It rests, and is told that there is none, as it has rested for a while or memory is short:
     * it is not to be given anything any more, and mostly has ended when that has returned. */
    void (*dismissed)(void *context);
    void *context;
    bool is_held; /* it is not parked, whatever it asks: who started it knows it by its address */
};

struct vine__processes_options {
    uint32_t heap_bytes;  /* the greatest; 0: 64 KiB */
    uint32_t count_max;   /* 0: 16384 */
    uint32_t sockets_max; /* of each, beside its connection; 0: 16, at most 63. Where they have
                             started, more than there were are allowed from then on */
    uint64_t drain_ns;    /* for what goes on when the reactors stop; 0: 3 seconds */
};

/* Know all coroutines that there are by now: faults in their text are theirs. Before they run; core
 * 0. Returns 0 or -ENOSPC. */
VINE_MUST_CHECK int vine__processes_prepare(void);

/* The calling core begins to have micro-processes. Again: nothing. Returns 0 or a negative error:
 * -VINE_ECLOSED: it stops. */
VINE_MUST_CHECK int vine__processes_start(const struct vine__processes_options *options);

/*
 * Start a micro-process on this core with `connection` as its standard input and output, which is
 * its own in any case (NULL: none). It runs from a later turn.
 *
 * Returns 0; -EAGAIN or -ENOMEM: there is no heap, and its kind has refused the connection. */
VINE_MUST_CHECK int vine__process_start(struct vine_connection *connection,
                                        const struct vine__process_options *options);

/* The same of one that is held, which is told, until `gone` is called. */
VINE_MUST_CHECK int vine__process_start_held(struct vine_connection *connection,
                                             const struct vine__process_options *options,
                                             struct vine__process **ret_process);

/* Have what its coroutines wait for end with -ECANCELED, unless it has ended; and end it now, in
 * whatever it is, or, where it has ended, close what it has left without sending more. */
void vine__process_cancel(struct vine__process *process);
void vine__process_kill(struct vine__process *process);

/*
 * Have one that rests go on, now, with so many bytes to read on its connection, and perhaps more
 * behind them; they stay until it receives again or is done. It may have ended when this returns.
 * It has to be able to: where something has happened to it while it rested it is not, and can only
 * be dismissed.
 */
VINE_MUST_CHECK bool vine__process_can_go_on(struct vine__process *process);
void vine__process_give(struct vine__process *process, const unsigned char *bytes, uint32_t size,
                        bool is_end);

/*
 * The same where all that is known of it lies in its first line: it has done nothing but one such
 * thing after another. Returns true: it has done this one, too, has written nothing, and rests.
 * Else it is to be looked at, as one that does not rest any more: it may have ended then.
 */
bool vine__process_is_quick(const struct vine__process *process);
VINE_MUST_CHECK bool vine__process_next(struct vine__process *process, const unsigned char *bytes,
                                        uint32_t size, bool is_end);
void vine__process_look(struct vine__process *process);

/* Where of one that rests lies what vine__process_next touches, and that it is to be near soon: of
 * addresses alone, so that all of it comes at once. */
struct vine__process_lines {
    const void *outside;
    const void *head, *coroutine; /* in its heap; as it says, and good for nothing else */
};
void vine__process_lines(const struct vine__process *process,
                         struct vine__process_lines *ret_lines);
void vine__process_fetch(const struct vine__process_lines *lines);

/* Tell one that rests that there is nothing for it any more, now. It comes to its end as it likes,
 * mostly before this returns; vine__process_kill has it end in any case. */
void vine__process_dismiss(struct vine__process *process);

/* The connection of what runs on this core, or NULL. */
struct vine_connection *vine__process_running_connection(void);

/* Why there was no heap the last time, as a sentence. */
void vine__process_explain(char ret_text[VINE__HEAP_WHY_BYTES]);

/* How many there are on this core. */
uint32_t vine__process_count(void);

/* What runs on this core, or ran last: where it is, if it can be found out, and its kind, or NULL.
 * For handlers of signals: `ret_end` is told of no fault. */
const struct vine__process_kind *vine__process_running(struct vine__process_end *ret_end);

/* From a function outside: the next socket that its micro-process asks to have made (core/socket,
 * vine__make) is made by this, with a copy of `asked`. Returns 0 or -ENOMEM. */
struct vine_outside;
VINE_MUST_CHECK int vine__outside_make(const struct vine_outside *outside, vine__maker_fn maker,
                                       const void *asked, size_t size_bytes);

#endif
