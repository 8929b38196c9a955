/* SPDX-License-Identifier: Apache-2.0 */
/*
 * agent.h - an appliance whose procedures are those of another one, to which it hands every task.
 *
 * The near appliance is an ordinary one: it knows its applications and watches them. The far one
 * knows a single application, us. agent_link.c keeps the pipe to it, agent_forward.c carries a task
 * there and its results back.
 */
#ifndef VINE_TOOLS_AGENT_H
#define VINE_TOOLS_AGENT_H

#include <pthread.h>

#include <vine/appliance.h>
#include <vine/talk.h>

#include "gate.h"
#include "serve.h"

#define FORWARDS_MAX (4 * VINE_APPLIANCE_PROCEDURES_MAX)
#define REASON_BYTES 512

/* A procedure as the far appliance has described it. The near one may use it to its end, so that
 * there is another one for each change of the description. */
struct forward {
    struct vine_procedure_definition definition; /* the first: its call leads here */
    struct agent *agent;
    uint32_t index;
    bool is_offered; /* the watcher's */
    struct vine_procedure_info info;
    char argument_names[VINE_ARGUMENTS_MAX][VINE_NAME_MAX + 1];
};

/* A pipe to the far appliance. Tasks and sessions that use it hold it, after its loss too. */
struct far {
    struct agent *agent;
    struct vine_pipe *pipe;
    struct vine_accelerator *accelerator; /* a parallel one: the near appliance keeps the order */
    struct gate gate;                     /* the bytes of the far pipe */
    uint32_t refs;                        /* agent's lock */
    uint32_t procedure_count;
    char reason[REASON_BYTES]; /* the last that the library gave; agent's lock */
    struct vine_procedure *procedures[FORWARDS_MAX]; /* by forward; NULL: not there */
};

struct agent {
    struct serve_source source; /* the first */
    bool waits;                 /* for the first pipe, however long it takes */
    bool is_beside;             /* the near one has procedures of its own: it goes on without */
    bool is_verbose;
    bool json;
    struct vine_appliance *near;
    pthread_mutex_t lock;
    struct far *far; /* NULL: lost; lock */
    int lost;        /* why; lock */
    char lost_reason[REASON_BYTES];
    bool is_lost_told; /* from here on the watcher's */
    int wait_ms;       /* until the next attempt */
    uint32_t forward_count;
    struct forward *forwards[FORWARDS_MAX];
};

/* A vine_procedure_fn and the end of its state. */
int forward_run(struct vine_call *call);
void forward_end(void *state);
size_t forward_state_bytes(void);

/* agent_watch.c: look after the ends of links that processes of this machine have, until a signal
 * ends us. Returns a status. */
int agent_watch(bool is_verbose, bool json);

/* agent_link.c: a serve_source. */
void agent_init(struct agent *agent, const char *address);

/* The present pipe, to be held, or NULL. Any thread, as all that follows. */
struct far *agent_hold(struct agent *agent);
void agent_hold_too(struct far *far);
void agent_let_go(struct far *far);

/* 0 if the pipe is usable; else the code with which tasks end because it is not. */
int agent_check(struct far *far);

#endif
