/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/appliance.h - the appliance's side: register procedures, accept pipes, serve, drain, stop.
 *
 * Owns:     an appliance owns its listening address, its halves of all pipes, and the jobs that it
 *           took. Procedure definitions stay the caller's.
 * Threads:  one thread calls vine_appliance_serve; any number call vine_appliance_work (the library
 *           starts none). vine_appliance_register may be called from any thread at any time,
 *           vine_appliance_stop from a signal handler too.
 * Blocking: vine_appliance_serve and vine_appliance_work until the appliance has drained.
 * Trust:    applications may write anything into their halves and send anything over their sockets,
 *           and die at any moment. One that breaks the protocol gets its pipe closed with a reason
 *           that is logged; nobody else notices. All that a pipe makes the appliance hold is one
 *           sum, bounded by memory_max_bytes; what does not fit ends a task with -VINE_EQUOTA.
 * Limits:   those of the options, per pipe; VINE_APPLIANCE_PROCEDURES_MAX procedures.
 */
#ifndef VINE_APPLIANCE_H
#define VINE_APPLIANCE_H

#include <vine/procedure.h>

VINE_BEGIN_DECLARATIONS

#define VINE_APPLIANCE_PROCEDURES_MAX 1024

struct vine_appliance;

enum vine_appliance_event_kind {
    VINE_APPLIANCE_PIPE_OPENED = 1,
    VINE_APPLIANCE_PIPE_CLOSED,  /* `error` says why; 0: its application closed it */
    VINE_APPLIANCE_PIPE_REFUSED, /* before it was open */
    VINE_APPLIANCE_DRAINING,     /* `count` tasks are to end */
};

/* What happened to an appliance, for programs that watch it. */
struct vine_appliance_event {
    uint32_t kind; /* enum vine_appliance_event_kind */
    int error;     /* 0 or negative */
    uint64_t pipe; /* its number, which no other one of this appliance gets; 0: none */
    uint64_t count;
    int64_t pid;        /* of the application; 0: not known */
    int64_t uid;        /* -1: not known */
    const char *name;   /* what the application calls itself: a hint. Printable; may be empty */
    const char *reason; /* a sentence behind `error`; may be empty */
};

/* Called by the thread that serves, which waits for it; the event is valid during the call. It must
 * not call back into the appliance, but for vine_appliance_stop. */
typedef void (*vine_appliance_event_fn)(void *context, const struct vine_appliance_event *event);

/* Shares of a pipe in the time of the thread that serves it, and in that of the workers, beside
 * other pipes that want it at once: twice as many shares, twice as much time. */
#define VINE_APPLIANCE_SHARES     100 /* unless somebody says otherwise */
#define VINE_APPLIANCE_SHARES_MAX 10000

/* Called when a pipe opens: how many shares it has, from 1 on; 0: the usual ones. More than
 * VINE_APPLIANCE_SHARES_MAX are as many. What `opened` says of the application is as in the event
 * that follows; the same rules hold. */
typedef uint32_t (*vine_appliance_shares_fn)(void *context,
                                             const struct vine_appliance_event *opened);

/* All zero (or NULL instead of the struct) means the defaults. */
struct vine_appliance_options {
    size_t size_bytes;         /* sizeof(struct vine_appliance_options) */
    const char *name;          /* what applications see; default the program's name */
    uint32_t pipes_max;        /* at once; default 4,096 */
    uint32_t channels_max;     /* per pipe; default 16, at most 64 */
    uint32_t tasks_max;        /* in flight per channel; default 192, at most 3,072 */
    uint32_t accelerators_max; /* virtual ones per pipe; default 64 */
    uint32_t sessions_max;     /* per pipe, at once; default and at most 255 */
    /* That a pipe may make the appliance hold: both halves, to which seven eighths are granted,
     * results' books, sessions, records of tasks, copies of inputs while they run. At least 512
     * KiB; default 256 MiB. */
    uint64_t memory_max_bytes;
    /* Longest spin before the loop sleeps; 1: never; default 50,000, and 500,000 at links between
     * machines. */
    uint64_t spin_ns;
    uint64_t segment_bytes; /* of a named segment; default 16 MiB */
    bool segment_truncate;  /* make a named segment anew, if nobody uses it */
    vine_log_fn log;
    void *log_context;
    vine_appliance_event_fn event; /* the same, for programs */
    void *event_context;
    /* Tasks of one pipe that workers run at once, so that those which take long leave workers to
     * other pipes; default: as many as there are workers. */
    uint32_t running_max;
    vine_appliance_shares_fn shares; /* NULL: all pipes have the same */
    void *shares_context;
    /* How long a handler may hold the loop (VINE_PROCEDURE_SHORT, `short_input_max`) before that is
     * told, in the log and in statistics: nobody else is served meanwhile. 0: it is not. */
    uint64_t dispatch_max_ns;
    /* Whether a process of the same user that asks by vine_appliance_take_over is left all
     * pipes. */
    bool leaves;
    /* How long a pipe may go on here by then, until its tasks under way and its sessions have
     * ended. What has not is told to end, and with -VINE_EPEERLOST if it had to. 0: 10 minutes;
     * VINE_FOREVER: for as long as it takes. */
    uint64_t leave_ns;
};

/* Make an appliance. In a process that has started threads before, the first one (or the first
 * pipe) waits for the kernel once: milliseconds, and seconds where many want to run.
 * Returns 0; -EINVAL; -ENOMEM; a negated errno. */
VINE_API VINE_MUST_CHECK int vine_appliance_create(const struct vine_appliance_options *options,
                                                   struct vine_appliance **ret_appliance);

/*
 * Offer a procedure. One of the same name is replaced: tasks that were taken before run with the
 * definition of their time, later ones with this. The definition must stay valid until the
 * appliance is destroyed. Any thread, also while serving.
 *
 * Returns 0; -EINVAL  a malformed definition; -VINE_EQUOTA  too many; -EOPNOTSUPP  its handler is a
 *         coroutine, which this appliance does not run: one on reactors (vine/serving.h) does.
 */
VINE_API VINE_MUST_CHECK int
vine_appliance_register(struct vine_appliance *appliance,
                        const struct vine_procedure_definition *definition);

/*
 * Offer a procedure no more: it is not told of, and its tasks end with -VINE_EPROCEDURE, but for
 * those that were taken before. Its name keeps its place among the VINE_APPLIANCE_PROCEDURES_MAX,
 * and may be registered again. Any thread, also while serving.
 *
 * Returns 0; -VINE_EPROCEDURE  there is none of this name.
 */
VINE_API VINE_MUST_CHECK int vine_appliance_withdraw(struct vine_appliance *appliance,
                                                     const char *name);

/*
 * Listen at `address` (as vine_pipe_open takes it; NULL the same default). Once, before serving. A
 * live appliance's address is never stolen, a stale socket is taken over. A named segment (file:,
 * shm:, pci:) is made if it is not there, and serves one application at a time.
 *
 * Returns 0; -EADDRINUSE  another appliance listens there; -EACCES, -VINE_ECONFIG, ... logged.
 */
VINE_API VINE_MUST_CHECK int vine_appliance_listen(struct vine_appliance *appliance,
                                                   const char *address);

/*
 * In place of vine_appliance_listen: take the place of the appliance that listens at `address`, a
 * socket. It leaves us the socket at once, and its pipes while we serve, each when its tasks under
 * way have ended, and ends when all are left: applications notice nothing but a time without
 * completions. Blocks for at most `timeout_ns`. The one that serves there has to be of the same
 * user, and to have been made with `leaves`. Those of its pipes that have sessions stay there until
 * these end, or its `leave_ns` are over; sessions that begin shortly before a pipe goes wait for
 * us. Applications that are built with an older version of Vine see it drain.
 *
 * Returns 0; -VINE_ENOAPPLIANCE  nobody listens there: do so by vine_appliance_listen; -EACCES  it
 *         is another user's; -VINE_EDRAINING  it goes already; -VINE_EFAILED, -VINE_EPROTOCOL  it
 *         does not do this; -ETIMEDOUT; -VINE_EPEERLOST  it was lost meanwhile; -EOPNOTSUPP  not at
 *         such an address; or as vine_appliance_listen. Logged.
 */
VINE_API VINE_MUST_CHECK int vine_appliance_take_over(struct vine_appliance *appliance,
                                                      const char *address, uint64_t timeout_ns);

/* The address as it was resolved: a path, or the segment's name. Valid until destroyed. */
VINE_API const char *vine_appliance_address(const struct vine_appliance *appliance);

/* Serve until vine_appliance_stop was called and the tasks that were taken have ended. The calling
 * thread is the loop: it polls the rings, runs short procedures, and the others too if no thread
 * works. Returns 0 after a drain, or the negated errno that ended it. */
VINE_API VINE_MUST_CHECK int vine_appliance_serve(struct vine_appliance *appliance);

/* Run jobs on the calling thread until the appliance has drained. Call it from as many threads as
 * shall work, before or while the loop serves. */
VINE_API void vine_appliance_work(struct vine_appliance *appliance);

/* Take no new pipes for a while: they are refused with `error`, a negative one of Vine's own, such
 * as -VINE_ENOAPPLIANCE where what does the work is away. 0: take them again. Those that are open
 * stay. Any thread; never blocks. */
VINE_API void vine_appliance_suspend(struct vine_appliance *appliance, int error);

/* Begin to drain: new pipes and tasks are refused with -VINE_EDRAINING, accepted tasks end. Called
 * again, gives up what still runs: waiting tasks are canceled, handlers that ask are told. A
 * handler that never returns keeps vine_appliance_serve from returning; a program that cannot trust
 * its procedures to heed ends its process after a while. Any thread; async-signal-safe. */
VINE_API void vine_appliance_stop(struct vine_appliance *appliance);

/* Free everything. Not while a thread serves or works. NULL is allowed. */
VINE_API void vine_appliance_destroy(struct vine_appliance *appliance);

struct vine_appliance_stats {
    uint64_t pipes_accepted;
    uint64_t pipes_refused; /* at the handshake */
    uint64_t pipes_broken;  /* closed because the application broke the protocol */
    uint64_t pipes_lost;    /* because it died */
    uint64_t tasks_done;    /* of procedures that were registered */
    uint64_t tasks_failed;
    uint64_t bytes_in; /* of inputs and outputs of the tasks done */
    uint64_t bytes_out;
    uint32_t pipes_open;
    uint32_t tasks_running; /* taken and not completed */
    uint32_t workers;
    uint64_t memory_bytes; /* that all pipes make it hold; named segments are not counted */
    uint64_t pipes_moved;  /* from core to core: vine/serving.h */
};

/* Any thread; never blocks; the numbers are of one moment each. */
VINE_API void vine_appliance_get_stats(struct vine_appliance *appliance,
                                       struct vine_appliance_stats *ret_stats);

VINE_END_DECLARATIONS

#endif
