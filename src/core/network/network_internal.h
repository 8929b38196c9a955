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

#include "core/network/connection.h"
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
    uint32_t arriving; /* connections whose arrival has not been told: */
    struct vine_connection *arrived_first, *arrived_last; /* by `arrived` */
    struct vine_work arrival;                             /* tells of all, in a later turn */
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
