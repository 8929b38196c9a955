/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/farewell.h - the end of a connection that is turned away before it was heard.
 *
 * Owns:     the connection, from the call on.
 * Threads:  core 0's.
 * Blocking: never.
 * Trust:    nothing of what it says is read.
 * Limits:   none.
 */
#ifndef VINE_VMM_SERVER_FAREWELL_H
#define VINE_VMM_SERVER_FAREWELL_H

#include <vine/network.h>

#include "vmm/server/server_protocol.h"

#include <stdint.h>

/* Close it, behind this error with this text. What it will ask is not known: it is answered as what
 * cannot be read. */
void vine__farewell(struct vine_connection *connection, enum vine_server_error error,
                    const char *text);

/* Those of one kind, of which somebody is told once a minute. Begins as zeros. */
struct vine__farewells {
    uint64_t count;   /* since somebody was told */
    uint64_t told_ns; /* when that was; 0: never */
};

/* One more. Returns how many of them are to be told of now; 0: nothing is. */
uint64_t vine__farewells_count(struct vine__farewells *farewells);

#endif
