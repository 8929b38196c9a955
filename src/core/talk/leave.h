/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/talk/leave.h - an appliance's listener and pipes go from one process to another.
 *
 * Owns:     in leave.c the socket of the successor, in taking.c that of whom we succeed.
 * Threads:  the loops; of several parts the one that has the listener has the socket of whom we
 *           succeed, and any hears the successor.
 * Blocking: never.
 * Trust:    the other one is of our own user, as the kernel says; what it sends is checked.
 * Limits:   one successor at a time.
 */
#ifndef VINE_CORE_TALK_LEAVE_H
#define VINE_CORE_TALK_LEAVE_H

#include "core/talk/appliance_internal.h"

/* leave.c: all pipes to another process */
/* It asks over this socket, which is taken. Returns 0, or why not, and then it is the caller's. */
int vine__leave_begin(struct vine_appliance *appliance, int fd, struct vine__why *why);
void vine__leave_hear(struct vine_appliance *appliance);
/* What a part does of it in a turn. Returns whether anything was done. */
bool vine__leave_turn(struct vine_appliance *appliance);
/* We have been told to end while we leave: what is left to us still is the successor's from here
 * on. Returns whether it has heard of that, or nobody need. */
bool vine__leave_end(struct vine_appliance *appliance);
/* Whether a task that has come is the next appliance's: then it is sent back. */
bool vine__leave_is_for_next(const struct vine_call *call,
                             const struct vine_wire_submission *submission);

/* taking.c: all pipes of another process. What came over its socket. */
void vine__taking_hear(struct vine_appliance *appliance);
/* We end first: the other one goes on with what it has still, and with the listener. */
void vine__taking_give_up(struct vine_appliance *appliance);
/* The socket was sent to our own successor, who hears the other one from here on. */
void vine__taking_pass(struct vine_appliance *appliance);

#endif
