/* SPDX-License-Identifier: Apache-2.0 */
/*
 * connect.h - the way to an appliance: the one that was named, or one of the command's own.
 */
#ifndef VINE_TOOLS_CONNECT_H
#define VINE_TOOLS_CONNECT_H

#include <vine/talk.h>

#include "embedded.h"

struct connection {
    const char *address; /* the named one, or NULL: an embedded one */
    struct embedded embedded;
    bool is_verbose;
    uint64_t spin_ns; /* longest look before a sleep; 0: the library's own */
    uint32_t workers; /* of an embedded one; 0: as many as there are processors */
};

/* Open a pipe; starts the embedded appliance if nothing was named. Returns a status; the reason was
 * told. Call it before threads are started. */
int connection_open(struct connection *connection, struct vine_pipe **ret_pipe);

/* The same after a pipe was lost, for at most so many seconds. Returns STATUS_TRY_AGAIN in the
 * end. */
int connection_reopen(struct connection *connection, uint64_t seconds, struct vine_pipe **ret_pipe);

/* Stops an embedded appliance. */
void connection_close(struct connection *connection);

#endif
