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

/* Close it, behind a LIMIT with this text. What it will ask is not known: it is answered as what
 * cannot be read. */
void vine__farewell(struct vine_connection *connection, const char *text);

#endif
