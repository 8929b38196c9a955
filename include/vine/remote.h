/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/remote.h - tasks of appliances elsewhere, for programs on reactors: what is issued ends by a
 * call of a function; and streams to their coroutines, as connections.
 *
 * Owns:     a remote is an address, which stays. Each core that uses one has a pipe to it of its
 *           own: opened when it is first needed, and anew when it was lost.
 * Threads:  vine_remote_add core 0, before services start; all else is the core's that began it.
 * Blocking: never. What has to wait to connect does so on a worker thread; a core sleeps while its
 *           tasks are elsewhere, and the appliance wakes it.
 * Trust:    as vine/talk.h: the appliance may write anything into its half. What it sends is copied
 *           out of there once.
 * Limits:   VINE_REMOTES_MAX; what each appliance grants a pipe. What finds no room waits in turn.
 *
 * Coroutines have vine/await.h.
 *
 * Caveats:  a task that is cancelled, or whose deadline has come, may be run all the same: nobody
 *           is told of how it ended.
 */
#ifndef VINE_REMOTE_H
#define VINE_REMOTE_H

#include <stdbool.h>

#include <vine/base.h>
#include <vine/list.h>
#include <vine/reactor.h>
#include <vine/timer.h>

VINE_BEGIN_DECLARATIONS

/* An appliance, by its number; 0: none. Whoever has it may use it. */
struct vine_remote {
    uint32_t number;
};

#define VINE_REMOTES_MAX 16

/* Make one known, at an address as vine_pipe_open takes it, which is copied; NULL: what that does
 * then. Nobody has to listen there yet. Returns 0; -ENOSPC: there are VINE_REMOTES_MAX; -ENOMEM. */
VINE_API VINE_MUST_CHECK int vine_remote_add(const char *address, struct vine_remote *ret_remote);

struct vine_connection;

/* Private: who uses a pipe, or waits until it is there. */
struct vine__way_user {
    struct vine_list link;
    struct vine__way *way;
    const struct vine__way_user_ops *ops;
    const char *procedure;
    uint32_t remote;
    uint32_t tasks; /* that it has in flight at most, where it stays long */
    bool is_waiting, is_using, was_asked_anew;
};

/* ---- tasks ----------------------------------------------------------------------------------- */

struct vine_remote_task;
typedef void (*vine_remote_fn)(struct vine_remote_task *task);

/* One that is issued, as memory of whoever does: in use until its function is called. */
struct vine_remote_task {
    /* Told when the function is called. */
    int error; /* 0, or how it ended; -ETIMEDOUT; -ECANCELED; -VINE_ENOAPPLIANCE: nobody is there;
                * -VINE_EPROCEDURE: it has no such procedure; -VINE_EPEERLOST; -VINE_EARGUMENT: the
                * procedure takes other arguments; -VINE_EOVERFLOW: more comes than there is room
                * for; -EINVAL: there is no such remote; -VINE_ECLOSED: the reactors stop; ... */
    size_t output_bytes; /* that came */
    /* Wished for before; zero: nothing of it. Arrays stay until then. */
    uint64_t deadline_ns;    /* of the coarse clock (vine/timer.h) */
    const uint64_t *scalars; /* of the procedure's VINE_SCALAR arguments, the first, */
    uint32_t scalar_count;   /* so many */
    const void *input;       /* its VINE_INPUT, or where it has none its VINE_BYTES */
    size_t input_bytes;
    void *output; /* where its VINE_OUTPUT goes, or its VINE_RESULT */
    size_t output_max;

    vine_remote_fn fn; /* what follows is private */
    struct vine__way_user user;
    struct vine_data *input_data, *output_data;
    struct vine_task *task;
    struct vine_work work;
    struct vine_timer timer;
    void *copy;
    int status;
    bool has_deadline, has_ended, is_taken_later;
};

/* Have it run `procedure`, whose name stays until then. It is to have one input and one output at
 * most. The function is called once, later. */
VINE_API void vine_remote_run(struct vine_remote_task *task, struct vine_remote remote,
                              const char *procedure, vine_remote_fn fn);

/* Have it end soon, with -ECANCELED unless it has ended. The appliance is asked to drop it. */
VINE_API void vine_remote_cancel(struct vine_remote_task *task);

/* ---- streams --------------------------------------------------------------------------------- */

struct vine_remote_connect;
typedef void (*vine_remote_connect_fn)(struct vine_remote_connect *connect);

/* As struct vine_connect (vine/network.h). */
struct vine_remote_connect {
    /* Told when the function is called. */
    int error; /* 0, or as of a task; -VINE_ESESSION: the procedure has no streams */
    struct vine_connection *connection;
    /* Wished for before, and stays until then. */
    const uint64_t *scalars; /* of the procedure's VINE_SCALAR arguments, the first, */
    uint32_t scalar_count;   /* so many */

    vine_remote_connect_fn fn; /* what follows is private */
    struct vine__remote_stream *stream;
    struct vine_work work;
};

/*
 * Have a stream to a procedure whose handler is a coroutine (vine/stream.h) as a connection like
 * any other: what is sent there it reads, what it writes is received here, and to shut the output
 * down ends what it reads. Where it fails, or is lost, operations end with how. The name stays
 * until the function is called, once, later.
 *
 * Who closes it before its end was received gives it up: the coroutine is cancelled.
 */
VINE_API void vine_remote_connect(struct vine_remote_connect *connect, struct vine_remote remote,
                                  const char *procedure, vine_remote_connect_fn fn);

/* Have it end soon, with -ECANCELED unless it has succeeded. */
VINE_API void vine_remote_connect_cancel(struct vine_remote_connect *connect);

VINE_END_DECLARATIONS

#endif
