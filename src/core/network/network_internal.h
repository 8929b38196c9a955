/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/network/network_internal.h - what stands between the public functions and a stack.
 *
 * A stack is a table of functions for listening and connecting, and each connection carries one for
 * what is done with it, so that a layer (TLS) is a connection like any other. This side looks after
 * the lives of objects, deadlines, and the calls of users' functions; a stack moves bytes.
 *
 * Of memory orders there are none here: objects belong to cores, and what travels goes by calls
 * (core/reactor). The words of `vine__network_loads` are counts that steer and guard nothing.
 */
#ifndef VINE_CORE_NETWORK_NETWORK_INTERNAL_H
#define VINE_CORE_NETWORK_NETWORK_INTERNAL_H

#include <vine/error.h>
#include <vine/metrics.h>
#include <vine/network.h>

#include "core/reactor/reactor.h"
#include "utils/assert.h"
#include "utils/list.h"

struct vine__network;
struct vine__listener_part;

/* ---- stacks ---------------------------------------------------------------------------------- */

struct vine__network_stack {
    const char *name;
    const char *text; /* for a person: whose it is, behind its name */

    /* A core begins, and ends: with no connection or listener left. Sets `network->state`. */
    int (*start)(struct vine__network *network);
    void (*stop)(struct vine__network *network);
    uint64_t (*buffers_used)(const struct vine__network *network);

    /* Begin to listen on `listener->address`, which becomes where it does, or by the descriptor
     * `listener->given`, which is the stack's if that succeeds; on the core that asks. Parts that
     * shall accept get their `state` and `accepts`. */
    int (*listen)(struct vine_listener *listener, const struct vine_listen_options *options);
    /* The other way, when no part accepts. Also of a listener that is half open. */
    void (*unlisten)(struct vine_listener *listener);
    /* A part will not accept: what comes there goes to others. */
    void (*part_drop)(struct vine__listener_part *part);
    /* On the part's core. What comes is told by vine__listener_arrived; the end, which has been
     * asked for, by vine__listener_part_ended. */
    void (*accept_begin)(struct vine__listener_part *part);
    void (*accept_end)(struct vine__listener_part *part);

    /* Ends by vine__connect_end. Sets `connect->begun` if that comes later. */
    void (*connect)(struct vine__network *network, struct vine_connect *connect);
    /* Have one that has not ended end soon, with `connect->wish`. */
    void (*connect_cancel)(struct vine_connect *connect);

    /* As vine_connection_adopt. */
    int (*adopt)(struct vine__network *network, int fd_in, int fd_out,
                 struct vine_connection **ret_connection);

    /* Open a socket for datagrams, with its `ops`, at `udp->address`. `ret_udp` is initialized by
     * vine__udp_init. */
    int (*udp_open)(struct vine__network *network, const struct vine_address *address,
                    const struct vine_udp_options *options, struct vine_udp **ret_udp);
};

extern const struct vine__network_stack vine__posix_stack;

/* stacks.c: the one that was chosen. */
const struct vine__network_stack *vine__network_stack(void);

/* ---- a core's part --------------------------------------------------------------------------- */

#define VINE__NETWORK_METRICS 24U

struct vine__network {
    const struct vine__network_stack *stack;
    void *state; /* the stack's */
    struct vine__poller *poller;
    uint32_t core;
    bool is_stopping, has_stopped;
    struct vine__list connections; /* by `link` */
    struct vine__list listeners;   /* made here, by `link` */
    struct vine__list parts;       /* of listeners, which have not ended, by `link` */
    struct vine__list udps;        /* by `link` */
    struct vine_network_counts counts;
    struct vine_metric metrics[VINE__NETWORK_METRICS];
};

/* The calling core's, which is started if need be. Returns 0, -ENOMEM, -VINE_ECLOSED: the reactors
 * are stopping; or what the stack says. */
VINE_MUST_CHECK int vine__network_here(struct vine__network **ret_network);

/* network_metrics.c: make its counts known as metrics of its core. Returns 0 or an error, and then
 * none is. */
VINE_MUST_CHECK int vine__network_metrics_start(struct vine__network *network);
void vine__network_metrics_stop(struct vine__network *network);

/* Some object of a core has ended: perhaps it is what the end waits for. */
void vine__network_look(struct vine__network *network);

/* How many connections a core has, or is about to get. Any core may read and write all of them. */
struct vine__network_load {
    _Alignas(VINE_CACHE_LINE) uint64_t connections;
};
extern struct vine__network_load vine__network_loads[VINE_CORES_MAX];

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
    void (*send_cancel)(struct vine_connection *connection, struct vine_send *send);
    /* End all operations with -ECANCELED, let go of everything, then vine__connection_let_go.
     * Once. */
    void (*end_all)(struct vine_connection *connection);
    int (*get_address)(struct vine_connection *connection, bool is_peer,
                       struct vine_address *ret_address);
    /* `ended` is set: vine__connection_tell_end when there is one, though nobody receives. NULL: it
     * is told as it is received. */
    void (*watch_end)(struct vine_connection *connection);
    void (*free)(struct vine_connection *connection);
};

/* That it has come is told in a later turn. */
struct vine__arrival {
    struct vine_work work;
    struct vine__listener_part *part;
};

/* What each request touches comes last, and so beside what a stack has of it. */
struct vine_connection {
    struct vine__list link;
    union {
        struct vine_timer reader_timer; /* of its deadline; stopped by each, and cancelled at the
                                           end */
        struct vine__arrival arrival;   /* before its owner knows of it */
    };
    union {
        struct vine_work *ended;  /* its owner's, who waits for the end, or NULL */
        struct vine_work *closed; /* when it is closed: its owner's, who is told, or NULL */
    };
    const struct vine__connection_ops *ops;
    struct vine__network *network;
    struct vine_receive *reader; /* whose function has not been called */
    uint32_t users;              /* sends whose functions have not been called */
    bool is_layer;               /* it is on another one, which is counted */
    bool never_resets;           /* what was sent arrives, though something is unread */
    bool is_aborted;             /* nothing new begins */
    bool is_closed;              /* by its owner */
    bool has_let_go;             /* the stack has nothing of it any more */
    bool is_shed;                /* it has the descriptor that its listener keeps for that */
    uint8_t colour;              /* of what it receives, or VINE__CONNECTION_UNCOLOURED */
};

/* A stack's connection begins: in place, zeroed but for what the stack wrote. `is_counted`: the
 * core's load has it already. */
void vine__connection_init(struct vine_connection *connection, struct vine__network *network,
                           const struct vine__connection_ops *ops, bool is_counted);

/* Close it for an owner that never got it. */
void vine__connection_drop(struct vine_connection *connection);

/* End all operations, and let go of the kernel; its owner still has to close it. */
void vine__connection_abort(struct vine_connection *connection);

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

/* ---- connecting ------------------------------------------------------------------------------ */

/* `error` or a connection. */
void vine__connect_end(struct vine_connect *connect, int error, struct vine_connection *connection);

/* ---- datagrams ------------------------------------------------------------------------------- */

struct vine__udp_ops {
    int (*connect)(struct vine_udp *udp, const struct vine_address *peer);
    void (*receive)(struct vine_udp *udp, struct vine_datagram *datagram);
    void (*send)(struct vine_udp *udp, struct vine_datagram *datagram, bool has_address);
    void (*cancel)(struct vine_udp *udp, struct vine_datagram *datagram);
    /* As that of a connection, then vine__udp_let_go. */
    void (*end_all)(struct vine_udp *udp);
    void (*free)(struct vine_udp *udp);
};

struct vine_udp {
    const struct vine__udp_ops *ops;
    struct vine__network *network;
    struct vine__list link;
    struct vine_address address;
    struct vine_work *closed;
    uint32_t users; /* datagrams whose functions have not been called */
    bool is_aborted, is_closed, has_let_go;
};

void vine__udp_init(struct vine_udp *udp, struct vine__network *network,
                    const struct vine__udp_ops *ops);
void vine__udp_abort(struct vine_udp *udp);
void vine__udp_let_go(struct vine_udp *udp);

static inline void vine__datagram_end(struct vine_datagram *datagram, int64_t size)
{
    VINE_ASSERT_SLOW(!datagram->has_ended);
    datagram->size = size;
    datagram->has_ended = true;
    vine_work_post(&datagram->work);
}

/* ---- listeners ------------------------------------------------------------------------------- */

/* What a listener has on one core, and that core's. */
struct vine__listener_part {
    struct vine_listener *listener;
    struct vine__network *network; /* NULL: this core's could not be started */
    void *state;                   /* the stack's; it writes both before accepting begins */
    bool accepts;
    bool is_ending;
    bool has_begun, has_ended; /* accepting */
    uint32_t core;
    uint32_t arriving; /* connections whose arrival has not been told */
    struct vine__list link;
    struct vine_reply reply;     /* to who ends it */
    struct vine_core_call begin; /* of the core that made it, and so is what follows */
    struct vine_core_call end;
    bool takes_none; /* it has answered that its core stops: it is given no connection any more */
};

struct vine_listener {
    struct vine__network *network;
    struct vine_address address;
    vine_accept_fn fn;
    vine_accept_fn shed; /* or NULL */
    void *context;
    struct vine_group group;
    uint8_t balance;
    int given;      /* a descriptor that listens already, for all parts together; -1: none */
    bool is_closed; /* by its owner */
    bool is_ending, has_ended;
    struct vine_work *closed;
    struct vine__list link;
    void *state;   /* the stack's */
    uint32_t turn; /* where the choice of a core begins */
    uint32_t part_count;
    uint32_t begins_left; /* parts whose beginning has not been answered */
    uint32_t parts_left;  /* that have not ended */
    struct vine__listener_part parts[];
};

/* Which core gets a connection that has come to an accepting part, on that part's core. It is
 * counted there at once, and not any more if nothing becomes of it. */
uint32_t vine__listener_choose(struct vine__listener_part *part);
void vine__listener_unchoose(uint32_t core);

/* A connection has come to this part's core. */
void vine__listener_arrived(struct vine__listener_part *part, struct vine_connection *connection);

void vine__listener_part_ended(struct vine__listener_part *part);

/* Stop accepting, whether or not its owner has closed it. */
void vine__listener_end(struct vine_listener *listener);

#endif
