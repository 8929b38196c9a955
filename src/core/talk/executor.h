/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/executor.h - tasks of coroutine procedures, as those see them who run them.
 *
 * libvine knows no coroutines: an appliance's loop hands their tasks to an executor, a table of
 * functions, and completes them when it is told how they ended. The tasks of a session are handed
 * over in the order in which they were taken, and not one at a time: they are the pieces of a
 * stream, and the executor keeps what the session has there by a pointer.
 *
 * Owns:     nothing. A task is the executor's from `begin` until vine__call_end, and a session that
 *           it keeps something for until vine__session_leave.
 * Threads:  the appliance's loop, both ways.
 * Blocking: never.
 * Trust:    inputs are the application's memory, which changes as it likes: what is read of them is
 *           copied once. Sizes, scalars and rooms are private copies.
 * Limits:   tasks and sessions are the pipe's: its quota holds `bytes` for each execution.
 */
#ifndef VINE_CORE_TALK_EXECUTOR_H
#define VINE_CORE_TALK_EXECUTOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/appliance.h>

#include "utils/list.h"

struct vine__served;
struct vine__session;

/* Work that is too long for a loop and no task: a worker runs it, or the loop where there is none.
 */
struct vine__errand {
    struct vine__list link, telling;
    struct vine_appliance *part;
    void (*run)(struct vine__errand *errand);   /* any thread */
    void (*told)(struct vine__errand *errand);  /* on the part's loop, as `run` has asked for it */
    void (*ended)(struct vine__errand *errand); /* behind that, on the part's loop */
};

struct vine__executor {
    /* Of a pipe's quota, for each task outside of a session and for each session. */
    uint64_t bytes;
    /* Whether its procedure can run here: 0 or a negative error. Any thread. */
    int (*check)(void *context, const struct vine_procedure_definition *definition);
    /* A task begins. It may be ended within the call. */
    void (*begin)(void *context, struct vine_call *call);
    /* The same where it is just taken, and nothing stands in front of it: for what mostly ends
     * within the call, which then costs no job. Returns false: it has not begun, and does later.
     * NULL: none ever does. */
    bool (*begin_now)(void *context, struct vine_call *call);
    /* A pipe that something is kept for is over; and its quota is spent, so that what is kept and
     * not used just now is to go: returns whether any was. Both may be NULL for who keeps nothing
     * for pipes. */
    void (*pipe_ended)(void *context, void *kept);
    bool (*spare)(void *context, void *kept);
    /* It is not wanted any more, and shall end soon; once a task, behind `begin`. Nor is what a
     * session has there, as the session has ended. */
    void (*cancel)(void *context, struct vine_call *call);
    void (*session_ended)(void *context, void *kept, bool is_pipe_over);
};

/* What an executor has of a task, as it likes. */
struct vine__executed {
    struct vine__list in, out; /* not linked at first */
    void *kept;                /* NULL at first */
    /* When it begins, and how much of both was used: counted by the executor. */
    uint64_t input_size, taken;
    uint64_t room, written;
    uint64_t charged; /* of the quota, until it is completed */
};

/* Before anything is registered, once. `executor` stays. */
void vine__appliance_set_executor(struct vine_appliance *appliance,
                                  const struct vine__executor *executor, void *context);

struct vine__executed *vine__call_executed(struct vine_call *call);
struct vine_call *vine__executed_call(struct vine__executed *executed);

/* Its session, or NULL; and what the executor keeps for that one, which was set by
 * vine__session_keep: as long as it is there neither the session nor its pipe goes. */
struct vine__session *vine__call_session(const struct vine_call *call);
void *vine__session_kept(const struct vine__session *session);
void vine__session_keep(struct vine__session *session, void *kept);
/* Nothing is kept for it any more. It may be gone then. */
void vine__session_leave(struct vine__session *session);

/* Its pipe, and which of its appliance's procedures it is of: a number below
 * VINE_APPLIANCE_PROCEDURES_MAX that another definition may have later. */
struct vine__served *vine__call_served(const struct vine_call *call);
uint32_t vine__call_procedure(const struct vine_call *call);

/* The same for a pipe, which has one such pointer: NULL, or as long as it is there the pipe does
 * not go. Setting it to NULL may be its end. */
void *vine__served_kept(const struct vine__served *pipe);
void vine__served_keep(struct vine__served *pipe, void *kept);

/* `bytes` of the executor that the pipe has paid for the task stay paid for, also when it has
 * ended, until they are given back. And others. Returns 0 or -VINE_EQUOTA. */
void vine__call_leave_charge(struct vine_call *call);
int vine__served_charge(struct vine__served *pipe, uint64_t bytes);
void vine__served_uncharge(struct vine__served *pipe, uint64_t bytes);

/* Take more of its pipe's quota, for a session or else a task: until that is free, or as much of a
 * session as is given back before. Returns 0 or -VINE_EQUOTA. */
VINE_MUST_CHECK int vine__session_charge(struct vine__session *session, uint64_t bytes);
void vine__session_discharge(struct vine__session *session, uint64_t bytes);
VINE_MUST_CHECK int vine__executed_charge(struct vine__executed *executed, uint64_t bytes);

/* Have it run, on the part's loop. Returns false: the part serves no more, and nothing was begun.
 */
VINE_MUST_CHECK bool vine__errand_begin(struct vine_appliance *part, struct vine__errand *errand);

/* While it runs: have its part told, soon, and once for several calls. */
void vine__errand_tell(struct vine__errand *errand);

/* A copy of what it brings from `offset` on: first what travelled with it behind its scalars, then
 * its inputs, in order. */
void vine__call_input_copy(const struct vine_call *call, uint64_t offset, void *to, size_t size);

/* Write where it has room: in its outputs, in order, or in its result. `offset` is what was written
 * before. It counts when the task ends well. */
void vine__call_output_copy(struct vine_call *call, uint64_t offset, const void *from, size_t size);

/* The scalars that it brought. Returns how many, at most VINE_ARGUMENTS_MAX. */
uint32_t vine__call_scalars(const struct vine_call *call, uint64_t *ret_scalars);

/* It has ended: 0 or a negative error. Its completion goes out at once, or in a later turn where
 * the loop is at it. */
void vine__call_end(struct vine_call *call, int status);

#endif
