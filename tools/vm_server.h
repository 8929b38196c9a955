/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vm_server.h - a connection to the VM server: requests, and answers of which nothing is believed
 * (docs/formats/server.md).
 *
 * Owns:     the connection, and what of an answer was not taken yet.
 * Threads:  one at a time for a connection.
 * Blocking: until the server has answered, for VM_SERVER_SILENT_NS at most; or, of a command that
 *           waits, for as long as it was told to, and that.
 * Trust:    the server may be another version, or hostile: lengths, numbers and texts are checked
 *           before they are used, and none of its bytes reaches a terminal as it came.
 * Limits:   the room that is given for each value.
 *
 * A request, and then its answer's values in their order:
 *
 *     int status = vm_server_ask(server, VINE_SERVER_STATUS, "s", uid);
 *     if (status == STATUS_DONE)
 *         status = vm_server_text(server, &state, 16);
 *     ...
 *
 * What goes wrong was told when a call returns another status than STATUS_DONE. An error that the
 * server has told leaves the connection as it was; after another one it is of no use, and all calls
 * say so by the same status.
 */
#ifndef VINE_TOOLS_VM_SERVER_H
#define VINE_TOOLS_VM_SERVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <vine/base.h>

#include "vmm/server/server_protocol.h"

#define VM_SERVER_SILENT_NS (60 * UINT64_C(1000000000))
/* For a change of a pool, which may be behind another one's, with a disk in it. */
#define VM_SERVER_CHANGE_MS  (600 * UINT64_C(1000))
#define VM_SERVER_LIST_BYTES (8U << 20) /* the most that a server says in one value */

struct vm_server;

/* The socket that an option --socket names, or NULL: the control socket of the user's server, of
 * root's for root. Returns a status. */
int vm_server_open(const char *path, struct vm_server **ret_server);
void vm_server_close(struct vm_server *server); /* NULL is allowed */

/* Whose process it is, as the kernel says. */
uint32_t vm_server_user(const struct vm_server *server);

/* Whether it is the control socket of its server. */
bool vm_server_is_control(const struct vm_server *server);

/* Whether this socket may ask by this number. */
bool vm_server_may(const struct vm_server *server, uint32_t number);

/* The number by which this socket asks for an action: over all VMs, if it may. */
uint32_t vm_server_number(const struct vm_server *server, enum vine_server_action action);

/* Ask with parameters of these kinds: `s` a text, `i` an int64_t. Returns STATUS_DONE: values
 * follow, if the command has any. */
int vm_server_ask(struct vm_server *server, uint32_t number, const char *kinds, ...);

/* The same, where the server may be silent for so long. */
int vm_server_ask_waiting(struct vm_server *server, uint64_t timeout_ms, uint32_t number,
                          const char *kinds, ...);

/* Ask by a UID and all of a file. It may be refused before it was sent: the rest is not sent then,
 * and the connection is of no use any more. */
int vm_server_upload(struct vm_server *server, uint32_t number, const char *uid, const char *path);

/* Whom requests are about from now on, which errors name; NULL: nobody. */
void vm_server_speak_of(struct vm_server *server, const char *name);

/* This error is the caller's to tell from now on. VINE_SERVER_E_DONE: none is. */
void vm_server_expect(struct vm_server *server, enum vine_server_error error);

/* The error of the last request that was refused, or VINE_SERVER_E_DONE. */
enum vine_server_error vm_server_error(const struct vm_server *server);

/* The next value. A text has no zero, and is for free(), as is a string, behind which there is a
 * zero. */
int vm_server_integer(struct vm_server *server, int64_t *ret_integer);
int vm_server_text(struct vm_server *server, char **ret_text, size_t bytes_max);
int vm_server_string(struct vm_server *server, char **ret_bytes, size_t *ret_size,
                     size_t bytes_max);

/* Wait for what is pushed to who has asked for events: its values follow. However long. */
int vm_server_next_event(struct vm_server *server);

/* Say that the server does not keep to the protocol: `what` it has said is none. Returns the status
 * of that. */
int vm_server_nonsense(struct vm_server *server, const char *what);

#endif
