/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/appliance/stream_internal.h - the stream that a coroutine procedure's task or session is.
 *
 * Towards its micro-process a stream is a connection like any other. What it reads are the inputs
 * of its tasks, one after the other, each byte copied once out of the application's half into
 * memory of the micro-process's colour; what it writes is copied to the tasks that have room, one
 * after the other.
 *
 *   inputs   tasks of which not all was taken; the first is read next
 *   rooms    tasks with room left; the first is written next
 *   taken    tasks of a session of which all was taken, that still have room, until more is wanted
 *
 * A task is in `inputs` or `taken`, or neither, by `in`, and in `rooms` or not by `out`. It ends
 * when it is in none, or sooner:
 *
 *   without room    when all was taken
 *   without input   when its room is full, or something was written and nothing follows at once
 *   with both       when all was taken, and its room is full or more is wanted
 *
 * That of a task without a session ends with its micro-process, or when that asks for the next one;
 * the stream is that one's then (warm.c).
 */
#ifndef VINE_CORE_APPLIANCE_STREAM_INTERNAL_H
#define VINE_CORE_APPLIANCE_STREAM_INTERNAL_H

#include <vine/handler.h>
#include <vine/timer.h>

#include "core/network/connection.h"
#include "core/network/send_queue.h"
#include "core/process/process.h"
#include "core/talk/executor.h"

struct vine__coroutines;
struct vine__warm;

struct vine__stream {
    struct vine_connection base;
    /* What a small task touches that finds it resting is this line. */
    struct vine__process *held;  /* until its connection is closed, too */
    struct vine__executed *only; /* the task that it is of, where it has no session */
    unsigned char *view;         /* what the reader looks at; from the first receive on */
    const struct vine_procedure_definition *definition; /* where it rests, or has */
    uint32_t procedure;                                 /* its number */
    int error;                                          /* with which it ended, or is to end */
    bool is_single;                                     /* of a task without a session */
    bool has_last;                                      /* nothing comes behind `inputs` */
    bool is_shut;                                       /* nothing is written any more */
    bool is_told;                                       /* a task ended with it */
    bool is_over;     /* nothing is read or written any more: `error` says how it ended */
    bool is_cut;      /* not all that was written found room */
    bool is_given_up; /* a task was cancelled */
    bool is_left;     /* its session has ended: nobody reads */
    bool has_connection;
    bool has_overflown; /* more was written than there was room for */
    bool is_adding;     /* a task, within whose call what it brings is read: */
    bool runs_now;      /* it has not been yet */
    bool has_to_settle; /* to see which tasks end, behind that */
    bool is_cancelled;  /* and its micro-process told so */
    bool has_facts;     /* `facts` are those of its task */
    bool has_reason;    /* `reason` is there */

    struct vine__coroutines *core;
    struct vine__session *session; /* which keeps it; NULL: of a task, or it has left */
    struct vine__list inputs, rooms, taken;
    struct vine__send_queue sends;
    struct vine_timer kill;
    struct vine_work settle; /* see which tasks end */
    struct vine_work letting_go;
    /* Where its micro-process takes one task after another: */
    struct vine__warm *warm;           /* of its pipe; NULL: it has not asked for a second one */
    struct vine__stream *next, **link; /* of those that rest; NULL: it does not */
    struct vine_handled facts;
    char reason[VINE_REASON_MAX + 1]; /* with which it fails, as its coroutine says */
};

VINE_STATIC_ASSERT(offsetof(struct vine__stream, held) == VINE_CACHE_LINE &&
                       offsetof(struct vine__stream, core) < 2 * VINE_CACHE_LINE,
                   "that line");

/* What follows is stream.c. */

/* One for a task, which begins it, outside of a session or in one. Returns NULL: no memory. */
struct vine__stream *vine__stream_create(struct vine__coroutines *core, struct vine_call *call);

/* A further task; of a session also when it is over, which answers it. */
void vine__stream_add(struct vine__stream *stream, struct vine_call *call);

/* The same; if its micro-process waits for what is added, it has read it and gone on before this
 * returns. Not within a run. */
void vine__stream_add_now(struct vine__stream *stream, struct vine_call *call);

/* Its micro-process is done with its only task, which ends; and rests. Then the next one: returns
 * whether there is memory for what it brings, and how much of that is to be read first. */
void vine__stream_rest(struct vine__stream *stream);
VINE_MUST_CHECK bool vine__stream_renew(struct vine__stream *stream, struct vine_call *call,
                                        size_t *ret_size);

/* What is known of its task, or of the session's first one. NULL: there is none any more. */
const struct vine_handled *vine__stream_facts(struct vine__stream *stream);

/* All its tasks end with an error, and it is over. */
void vine__stream_fail(struct vine__stream *stream, int error);

/* Its micro-process has ended well, and its connection is closed: all that it wrote is in tasks, or
 * nobody had room for it. */
void vine__stream_finish(struct vine__stream *stream);

/* A task of it is not wanted any more. Returns whether that is the end of all of it: its
 * micro-process is to be cancelled. */
bool vine__stream_cancel(struct vine__stream *stream, struct vine_call *call);

/* Why its tasks fail, if they do: at most VINE_REASON_MAX bytes that end with a 0. */
void vine__stream_say(struct vine__stream *stream, const char *reason);

/* Nobody brings or reads anything any more. */
void vine__stream_leave(struct vine__stream *stream);

/* The stream that a connection is, or NULL. */
struct vine__stream *vine__stream_of(struct vine_connection *connection);

/* ---- warm.c: micro-processes that take one task after another -------------------------------- */

/* Its micro-process asks for the next task: whether it may have one, later. */
bool vine__warm_rests(void *stream);
/* It is not to be given any. */
void vine__warm_dismissed(void *stream);
/* Its micro-process has ended. */
void vine__warm_leave(struct vine__stream *stream);
/* Give a task to one that rests. Returns whether there was any. */
bool vine__warm_begin(struct vine_call *call);
/* The pipe is over; or one of those that rest is to go: returns whether there was one. */
void vine__warm_end(struct vine__warm *warm);
bool vine__warm_spare(struct vine__warm *warm);

/* coroutines.c: what a micro-process with its stream is charged with; and it is to end by itself
 * within a second. */
uint64_t vine__coroutines_bytes(const struct vine__coroutines *core);
void vine__stream_end_soon(struct vine__stream *stream);

/* Take more of its pipe's quota, while its micro-process is there, and give it back. Returns 0 or
 * -VINE_EQUOTA. */
VINE_MUST_CHECK int vine__stream_charge(struct vine__stream *stream, uint64_t bytes);
void vine__stream_discharge(struct vine__stream *stream, uint64_t bytes);

/* coroutines.c: whose it is. */
struct vine_appliance *vine__coroutines_part(const struct vine__coroutines *coroutines);

/* coroutines.c: nothing uses it any more, but perhaps its session. It may be freed there. */
void vine__stream_look(struct vine__stream *stream);

#endif
