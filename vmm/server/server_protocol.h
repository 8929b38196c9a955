/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/server_protocol.h - what is said over a client's socket of the VM server.
 *
 * Requests and answers are lines on a stream socket; docs/formats/server.md describes every one of
 * them. Here are the tables: permissions, commands, errors.
 */
#ifndef VINE_VMM_SERVER_PROTOCOL_H
#define VINE_VMM_SERVER_PROTOCOL_H

/* Bits of a socket's permission word. X(name, bit) */
#define VINE_SERVER_PERMISSIONS(X)                                                                 \
    X(VINE_SERVER_VIEW_LOCAL_STATE, 1) /* the socket's own permissions and limits */               \
    X(VINE_SERVER_MANAGE_LOCAL_VM, 2)  /* definitions that this socket owns */                     \
    X(VINE_SERVER_RUN_LOCAL_VM, 4)     /* their execution */                                       \
    X(VINE_SERVER_MANAGE_ALL_VM, 8)    /* definitions, whoever owns them */                        \
    X(VINE_SERVER_RUN_ALL_VM, 16)      /* and their execution */                                   \
    X(VINE_SERVER_MANAGE_SERVER, 32)   /* the server: of its control socket, and no client's */

enum vine_server_permission {
#define VINE_SERVER_PERMISSION_VALUE(name, bit) name = bit,
    VINE_SERVER_PERMISSIONS(VINE_SERVER_PERMISSION_VALUE)
#undef VINE_SERVER_PERMISSION_VALUE
};

#define VINE_SERVER_PERMISSIONS_ALL     31 /* that a client may have */
#define VINE_SERVER_PERMISSIONS_CONTROL 63

/* How an answer tells that there is an error. */
enum vine_server_shape {
    VINE_SERVER_SHAPE_STATUS,  /* a line before all others: 0, or a number and a text */
    VINE_SERVER_SHAPE_INTEGER, /* -1 in the integer's place */
    VINE_SERVER_SHAPE_LIST,    /* a string without `;` that is no element of such a list */
    VINE_SERVER_SHAPE_UID,     /* a string of odd length */
    VINE_SERVER_SHAPE_EMPTY,   /* a string that is not empty */
    VINE_SERVER_SHAPE_PATH,    /* a string without `/` */
};

/*
 * Commands, all of version 1. X(name, number, word, needs, shape, parameters, parameters over all).
 *
 * Parameters: `s` a string, `i` an integer, `b` a buffer, of any size, always the last one. A
 * command that may be asked over all VMs has a second number, VINE_SERVER_OVER_ALL above its own,
 * which needs the bits of all in the place of those of local VMs, and whose shape is STATUS. NULL:
 * there is none.
 */
#define VINE_SERVER_COMMANDS(X)                                                                    \
    X(PERMISSIONS, 1, "permissions", 1, INTEGER, "", NULL)                                         \
    X(COUNT, 2, "count", 2, INTEGER, "", "")                                                       \
    X(UIDS_AT, 3, "uids_at", 2, LIST, "s", "s")                                                    \
    X(UIDS, 4, "uids", 2, LIST, "", "")                                                            \
    X(CONFIGURATIONS, 5, "configurations", 2, LIST, "s", "s")                                      \
    X(CREATE, 6, "create", 2, UID, "s", "ss")                                                      \
    X(KERNEL_BYTES_MAX, 7, "kernel_bytes_max", 1, INTEGER, "", NULL)                               \
    X(UPLOAD_KERNEL, 8, "upload_kernel", 3, EMPTY, "sb", "sb")                                     \
    X(EXECUTE, 9, "execute", 6, PATH, "ss", "ss")                                                  \
    X(HELLO, 10, "hello", 0, STATUS, "", NULL)                                                     \
    X(STATUS, 11, "status", 4, STATUS, "s", "s")                                                   \
    X(STATES, 12, "states", 6, STATUS, "", "")                                                     \
    X(STOP, 13, "stop", 4, STATUS, "si", "si")                                                     \
    X(KILL, 14, "kill", 4, STATUS, "s", "s")                                                       \
    X(RESTART, 15, "restart", 4, STATUS, "si", "si")                                               \
    X(DELETE, 16, "delete", 2, STATUS, "s", "s")                                                   \
    X(UPLOAD_INITRD, 17, "upload_initrd", 3, STATUS, "sb", "sb")                                   \
    X(UPLOAD_DISK, 18, "upload_disk", 3, STATUS, "sb", "sb")                                       \
    X(LIMITS, 19, "limits", 1, STATUS, "", NULL)                                                   \
    X(LOGS, 20, "logs", 4, STATUS, "si", "si")                                                     \
    X(EVENTS, 21, "events", 4, STATUS, "", "")                                                     \
    X(WAIT, 23, "wait", 4, STATUS, "ssi", "ssi")                                                   \
    X(CONFIGURE, 24, "configure", 2, STATUS, "ss", "ss")                                           \
    X(CONSOLE, 25, "console", 4, STATUS, "s", "s")

/* Of the server itself, all of version 1 and shape STATUS, for who has MANAGE_SERVER. X(name,
 * number, word, parameters). */
#define VINE_SERVER_CONTROLS(X)                                                                    \
    X(SERVER, 200, "server", "")                                                                   \
    X(CLIENTS, 201, "clients", "")                                                                 \
    X(ADD_CLIENT, 202, "add_client", "s")                                                          \
    X(REMOVE_CLIENT, 203, "remove_client", "s")                                                    \
    X(GIVE_VM, 204, "give_vm", "ss")                                                               \
    X(STOP_SERVER, 205, "stop_server", "i")                                                        \
    X(POOLS, 206, "pools", "")                                                                     \
    X(OPEN_POOL, 207, "open_pool", "ss")                                                           \
    X(CLOSE_POOL, 208, "close_pool", "s")                                                          \
    X(POOL_VMS, 209, "pool_vms", "s")                                                              \
    X(FAULTS, 210, "faults", "")

#define VINE_SERVER_OVER_ALL       100
#define VINE_SERVER_CONTROL        200 /* and above: of the server itself */
#define VINE_SERVER_PARAMETERS_MAX 3
#define VINE_SERVER_EVENT          22 /* no command: what is pushed to who has asked for events */

enum vine_server_action {
#define VINE_SERVER_COMMAND_VALUE(name, number, ...) VINE_SERVER_##name = number,
    VINE_SERVER_COMMANDS(VINE_SERVER_COMMAND_VALUE)
#undef VINE_SERVER_COMMAND_VALUE
};

enum vine_server_control {
#define VINE_SERVER_CONTROL_VALUE(name, number, ...) VINE_SERVER_##name = number,
    VINE_SERVER_CONTROLS(VINE_SERVER_CONTROL_VALUE)
#undef VINE_SERVER_CONTROL_VALUE
};

/* X(name, number, text). No text has `;` or `/`, or could be a UID. */
#define VINE_SERVER_ERRORS(X)                                                                      \
    X(DONE, 0, "done")                                                                             \
    X(MALFORMED, 1, "the request cannot be read")                                                  \
    X(UNKNOWN_COMMAND, 2, "no such command")                                                       \
    X(UNKNOWN_VERSION, 3, "no such version of this command")                                       \
    X(DENIED, 4, "this socket has not the permission")                                             \
    X(NO_VM, 5, "no such VM")                                                                      \
    X(BAD_VALUE, 6, "a parameter has a value that is none")                                        \
    X(TOO_LONG, 7, "too long")                                                                     \
    X(LIMIT, 8, "beyond this socket's limits")                                                     \
    X(BAD_STATE, 9, "not in the state that the VM is in")                                          \
    X(EXISTS, 10, "the name is taken")                                                             \
    X(TIMED_OUT, 11, "not in this time")                                                           \
    X(FULL, 12, "no room on the disk")                                                             \
    X(FAILED, 13, "it did not work")                                                               \
    X(BUSY, 14, "another request is at it")                                                        \
    X(NO_CLIENT, 15, "no such client")

enum vine_server_error {
#define VINE_SERVER_ERROR_VALUE(name, number, text) VINE_SERVER_E_##name = number,
    VINE_SERVER_ERRORS(VINE_SERVER_ERROR_VALUE)
#undef VINE_SERVER_ERROR_VALUE
};

#endif
