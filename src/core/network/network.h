/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/network/network.h - the network as those see it who start and measure reactors.
 *
 * Owns:     nothing.
 * Threads:  any.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   none.
 */
#ifndef VINE_CORE_NETWORK_NETWORK_H
#define VINE_CORE_NETWORK_NETWORK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/network.h>

/* What a connection of the kernel's stack takes of memory while it is idle. */
size_t vine__network_connection_bytes(void);

/* Whether to close it with something unread may cost the peer what it was sent last. */
bool vine__connection_may_reset(const struct vine_connection *connection);

/*
 * Let a receive that waits into a view be another one from now on, which ends by calling `fn`, at
 * its own deadline: nothing is asked of the kernel anew. Returns false, and nothing has changed: it
 * has ended, though its function has not been called yet, or is being cancelled.
 */
bool vine__receive_move(struct vine_receive *from, struct vine_receive *to, vine_receive_fn fn);

/* The same memory for all that is neither a heap's nor read in one. */
#define VINE__CONNECTION_UNCOLOURED UINT8_MAX

/* What it receives from now on lies in memory of this colour (arch/guard/guard.h), so that who runs
 * in a heap of that colour can read it. Before anything is received. */
void vine__connection_paint(struct vine_connection *connection, uint32_t colour);

/* Post `ended` once, when the end of what comes is known, though there may be something unread
 * before it: of the kernel's sockets as long as that is no more than VINE_RECEIVE_AHEAD buffers or
 * so, of others when it is received. NULL: not any more; nor after the connection is closed. */
void vine__connection_watch_end(struct vine_connection *connection, struct vine_work *ended);

/* Send all of these bytes now, as where the reader is this core: nothing is on its way when this
 * returns true. Returns false: nothing was sent, and vine_send has to. */
bool vine__send_at_once(struct vine_connection *connection, const unsigned char *bytes,
                        size_t size);

/* Whether vine__send_file does anything there. */
bool vine__connection_sends_files(const struct vine_connection *connection);

/*
 * As vine_send, of a part of a file, whose descriptor stays where it is and open: it goes from the
 * kernel's memory to the peer without a copy. What is not in memory is read by a thread beside this
 * one first, which a cancel does not end.
 *
 * Ends as vine_send does, but with 0 as soon as the stack has taken some of it, `send->sent` bytes:
 * so nothing is to be sent behind it before its end. -EIO: the file ends there, or what the disk
 * says.
 */
void vine__send_file(struct vine_connection *connection, struct vine_send *send, const int *file_fd,
                     uint64_t offset, size_t size, vine_send_fn fn);

/* Which stack the network is of from now on, by its name; of nobody's choice, the kernel's. Before
 * any core has a network. Returns 0; -ENOENT: there is none of that name. */
VINE_MUST_CHECK int vine__network_choose_stack(const char *name);

/* The one that was chosen, for a person: "posix: the kernel's". */
const char *vine__network_stack_text(void);

#endif
