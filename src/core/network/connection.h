/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/network/connection.h - what a connection is made of, for those who make a kind of their own:
 * stacks, layers on other connections, and streams of tasks (core/appliance).
 *
 * Owns:     a connection's memory is its maker's, and lives until `free` of its table is called.
 * Threads:  its core's.
 * Blocking: never.
 * Trust:    as its maker says.
 * Limits:   none.
 */
#ifndef VINE_CORE_NETWORK_CONNECTION_H
#define VINE_CORE_NETWORK_CONNECTION_H

#include <vine/network.h>
#include <vine/timer.h>

#include "utils/assert.h"
#include "utils/list.h"

struct vine__network;
struct vine__listener_part;

/* The calling core's, which is started if need be. Returns 0, -ENOMEM, -VINE_ECLOSED: the reactors
 * are stopping; or what the stack says. */
VINE_MUST_CHECK int vine__network_here(struct vine__network **ret_network);

/* ---- connections ----------------------------------------------------------------------------- */

/* What a stack or layer does with connections of its own. Operations that it is given have been
 * prepared; it ends each by vine__receive_end and vine__send_end. */
struct vine__connection_ops {
    bool sends_files; /* it knows VINE__SEND_FILE */
    void (*receive)(struct vine_connection *connection, struct vine_receive *receive);
    /* Have one that has not ended end soon, with `wish`. */
    void (*receive_cancel)(struct vine_connection *connection, struct vine_receive *receive);
    /* `connection->colour` has been set, and nothing received. NULL: nothing is to be done. */
    void (*paint)(struct vine_connection *connection);
    void (*send)(struct vine_connection *connection, struct vine_send *send);
    /* Take all of these bytes at once, or none. NULL: it never can. */
    bool (*send_at_once)(struct vine_connection *connection, const unsigned char *bytes,
                         size_t size);
    void (*send_cancel)(struct vine_connection *connection, struct vine_send *send);
    /* End all operations with -ECANCELED, let go of everything, then vine__connection_let_go.
     * Once. */
    void (*end_all)(struct vine_connection *connection);
    int (*get_address)(struct vine_connection *connection, bool is_peer,
                       struct vine_address *ret_address);
    /* The socket, to ask the kernel of it. NULL: there is none. Returns it or a negative error. */
    int (*get_socket)(const struct vine_connection *connection);
    /* `ended` is set: vine__connection_tell_end when there is one, though nobody receives. NULL: it
     * is told as it is received. */
    void (*watch_end)(struct vine_connection *connection);
    void (*free)(struct vine_connection *connection);
};

/* Of those who read from a connection, in memory of its own: many never have one. */
struct vine__deadline {
    struct vine_timer timer; /* stopped by each of them, and cancelled at the end */
    struct vine_connection *connection;
};

/* What each request touches comes last, and so beside what a stack has of it. Most connections wait
 * most of the time, so that what is there only while something else goes on lies elsewhere. */
struct vine_connection {
    struct vine__list link;
    union {
        struct vine__deadline *deadline; /* since the first reader that had one; or NULL */
        struct vine_connection *arrived; /* before its owner knows of it: who came after it */
    };
    union {
        struct vine_work *ended;  /* its owner's, who waits for the end, or NULL */
        struct vine_work *closed; /* when it is closed: its owner's, who is told, or NULL */
    };
    const struct vine__connection_ops *ops;
    struct vine__network *network;
    struct vine_receive *reader; /* whose function has not been called */
    uint32_t users;              /* sends whose functions have not been called */
    uint8_t colour;              /* of what it receives, or VINE__CONNECTION_UNCOLOURED */
    bool is_layer : 1;           /* it is on another one, which is counted */
    bool never_resets : 1;       /* what was sent arrives, though something is unread */
    bool is_aborted : 1;         /* nothing new begins */
    bool is_closed : 1;          /* by its owner */
    bool has_let_go : 1;         /* the stack has nothing of it any more */
    bool is_shed : 1;            /* it has the descriptor that its listener keeps for that */
};

/* A stack's connection begins: in place, zeroed but for what the stack wrote. `is_counted`: the
 * core's load has it already. */
void vine__connection_init(struct vine_connection *connection, struct vine__network *network,
                           const struct vine__connection_ops *ops, bool is_counted);

/* Close it for an owner that never got it. */
void vine__connection_drop(struct vine_connection *connection);

/* End all operations, and let go of the kernel; its owner still has to close it. */
void vine__connection_abort(struct vine_connection *connection);

/* Have both sides find that the other one has gone. Its owner still has to close it. */
void vine__connection_hang_up(struct vine_connection *connection);

void vine__connection_let_go(struct vine_connection *connection);

/* The end of what comes is known. */
static inline void vine__connection_tell_end(struct vine_connection *connection)
{
    struct vine_work *const ended = connection->is_closed ? NULL : connection->ended;

    if (ended == NULL)
        return;
    connection->ended = NULL;
    vine_work_post(ended);
}

/* Memory for what it receives, of its colour, in whole pages; or NULL: no memory. And back. */
unsigned char *vine__view_take(const struct vine_connection *connection, size_t size_bytes);
void vine__view_give(const struct vine_connection *connection, unsigned char *view,
                     size_t size_bytes);

/* Free it if it is over for all sides. It may be gone then. */
void vine__connection_look(struct vine_connection *connection);

static inline void vine__receive_end(struct vine_receive *receive, const unsigned char *bytes,
                                     int64_t size)
{
    VINE_ASSERT_SLOW(!receive->has_ended);
    receive->bytes = bytes;
    receive->size = size;
    receive->has_ended = true;
    vine_work_post(&receive->work);
}

/* The same, and its function is called now: not within a call by who receives. */
void vine__receive_end_now(struct vine_receive *receive, const unsigned char *bytes, int64_t size);

static inline void vine__send_end(struct vine_send *send, int error)
{
    VINE_ASSERT_SLOW(!send->has_ended);
    send->error = error;
    send->has_ended = true;
    vine_work_post(&send->work);
}

enum vine__send_kind {
    VINE__SEND_BYTES,
    VINE__SEND_VECTOR,
    VINE__SEND_SHUTDOWN,
    VINE__SEND_DESCRIPTORS, /* with `bytes` */
    VINE__SEND_FILE,        /* from `offset` on, of the file at `descriptors` */
};

#endif
