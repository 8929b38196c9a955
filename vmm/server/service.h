/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/service.h - the VM server as a service: a socket for each client, a micro-process for
 * each of its connections.
 *
 * Owns:     its listeners and connections. The registry is its caller's, and of core 0 from now on.
 * Threads:  core 0 of reactors, where all of its connections are.
 * Blocking: as the registry.
 * Trust:    a micro-process reads requests in a heap of its own, and what it says of them is
 *           believed of nothing: whose it is is known before it has seen a byte of its client's,
 *           commands are looked up and permitted again, and what it points to is its own.
 * Limits:   so many connections of a client, and of all of them together; the control socket's are
 *           not among these, so that whoever runs the server gets in at all times.
 */
#ifndef VINE_VMM_SERVER_SERVICE_H
#define VINE_VMM_SERVER_SERVICE_H

#include <vine/base.h>

#include "vmm/server/control.h"

#include <stdbool.h>

/* How long a request may take from one byte of it to the next one. */
#define VINE__SERVER_REQUEST_NS (30 * UINT64_C(1000000000))

#define VINE__SERVER_CONNECTIONS     64   /* of a client, where nobody says how many */
#define VINE__SERVER_CONNECTIONS_MAX 4096 /* that can be said */

struct vine__server;

/* So many connections of this client's socket were ended: once a minute at most. */
typedef void (*vine__server_ended_fn)(const struct vine__client *client, uint64_t ended_count);

struct vine__server_options {
    struct vine__registry *registry;
    struct vine__control *control; /* has a socket, too; or NULL. It stays */
    uint64_t request_ns;           /* 0: VINE__SERVER_REQUEST_NS */
    uint32_t connections_max;      /* of a client; 0: VINE__SERVER_CONNECTIONS */
    uint64_t all_connections_max;  /* of all clients together; 0: no fewer than each may have */
    /* Since there are as many as may be; and since the socket is not for who connected: its mode
     * is not what it was given. NULL: nobody is told. */
    vine__server_ended_fn crowded, denied;
    /* This client was told less than this, of what it was refused. NULL: nobody is told. */
    void (*refused)(const struct vine__client *client, const char *text);
};

/* Serve all clients that the registry has. Core 0. A client whose socket cannot be had has a fault
 * that says why, and the others are served. Returns 0, or what went wrong with the control socket,
 * with `why`; then there are no sockets. */
VINE_MUST_CHECK int vine__server_start(const struct vine__server_options *options,
                                       struct vine__server **ret_server,
                                       char why[VINE__CLIENTS_WHY_BYTES]);

/* Try those sockets of clients again that are not there. Core 0. Returns whether the address of one
 * is held by somebody who listens there, or who has just ended. */
bool vine__server_open_missing(struct vine__server *server);

/* Nobody is let in any more; connections that there are go on until the reactors stop. `done` is
 * called when all of them have ended, and nothing is left. Core 0. */
void vine__server_stop(struct vine__server *server, void (*done)(void *context), void *context);

#endif
