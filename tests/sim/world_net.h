/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sim/world_net.h - sockets of the simulated network.
 *
 * A connection is two of them, each of which has what it received and what it is still to send; of
 * that, segments arrive at the other one some time later, in order, while there is room. A socket
 * that was closed goes on sending what it has. None is freed before the run is over.
 */
#ifndef VINE_TESTS_SIM_WORLD_NET_H
#define VINE_TESTS_SIM_WORLD_NET_H

#include "sim/world_internal.h"

#include <sys/socket.h>

struct world_address {
    struct sockaddr_storage any;
    uint32_t size_bytes; /* 0: none */
};

enum world_socket_kind {
    WORLD_SOCKET_NEW,
    WORLD_SOCKET_LISTENS,
    WORLD_SOCKET_STREAM,
    WORLD_SOCKET_DATAGRAMS,
};

/* Bytes in a ring. */
struct world_queue {
    unsigned char *at;
    uint32_t head, count, room;
};

struct world_packet {
    struct world_event event;
    struct world_packet *next; /* of those that have arrived */
    struct world_packet *next_of_all;
    struct world_address from, to;
    uint32_t size;
    unsigned char bytes[];
};

struct world_socket {
    struct world_socket *next; /* of all */
    uint8_t kind;              /* enum world_socket_kind */
    bool shares_port;
    bool is_closed; /* no descriptor has it */
    bool is_dead;   /* reset: nothing comes or goes any more */
    bool has_sent_end, sends_end;
    bool has_end; /* of what comes */
    int error;    /* told once, to whoever asks first */
    struct world_address address, peer;
    struct world_request *waiting; /* in order */

    /* A stream. */
    struct world_socket *other;
    struct world_queue in, out;
    struct world_event segment;

    /* A listener. */
    struct world_socket **backlog;
    uint32_t backlog_count, backlog_max;

    /* For datagrams. */
    struct world_packet *first, **last;
    uint32_t packet_count;
};

struct world_net {
    struct world_socket *sockets;
    struct world_packet *packets;
    uint16_t port; /* that was given out last */
};

extern struct world_net world_net;

struct world_socket *world_socket_create(enum world_socket_kind kind);

/* One that is there under that address: a listener, or a socket for datagrams. */
struct world_socket *world_socket_find(enum world_socket_kind kind,
                                       const struct world_address *address);
bool world_address_is(const struct world_address *address, const struct sockaddr *other,
                      uint32_t size_bytes);

/* Try all requests that wait there: something has changed. */
void world_socket_changed(struct world_socket *socket);

/* ---- world_stream.c -------------------------------------------------------------------------- */

/* What an operation came to, or that it has to wait. */
#define WORLD_NOT_NOW INT32_MIN

/* The descriptor of the first that came to a listener. */
int32_t world_socket_accept(struct world_socket *listener);

/* Two ends of a connection; `there` belongs to nobody yet. */
void world_stream_pair(struct world_socket *here, struct world_socket *there);
void world_stream_shut(struct world_socket *socket);
void world_stream_close(struct world_socket *socket);
void world_stream_reset(struct world_socket *socket, int error);
int32_t world_stream_try(struct world_socket *socket, struct world_request *request);

/* ---- world_datagram.c ------------------------------------------------------------------------ */

int32_t world_datagram_try(struct world_socket *socket, struct world_request *request);

#endif
