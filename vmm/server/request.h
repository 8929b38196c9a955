/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vmm/server/request.h - requests to the VM server, read from bytes as they come.
 *
 * Owns:     nothing. The reader and the room for a request's strings are the caller's memory.
 * Threads:  one at a time for each reader.
 * Blocking: never; no call allocates, or calls the system.
 * Trust:    bytes may be anything. A reader holds no more of them than a line of
 *           VINE__REQUEST_LINE_BYTES and what the room takes: a buffer is handed on in the pieces
 *           in which it comes, whatever size it is said to have.
 * Limits:   the room, of all strings of a request together; lengths of at most 18 digits.
 *
 * A loop over what has come:
 *
 *     while ((told = vine__request_read(&request, bytes, size)) != VINE__REQUEST_MORE) {
 *         bytes += request.consumed_bytes;
 *         size -= request.consumed_bytes;
 *         ...
 *     }
 *
 * Who does not want a request says so as soon as he knows, vine__request_refuse, and the rest of
 * it is read without being kept. What cannot be read and what is not permitted is refused here.
 */
#ifndef VINE_VMM_SERVER_REQUEST_H
#define VINE_VMM_SERVER_REQUEST_H

#include <vine/base.h>

#include "vmm/server/command.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VINE__REQUEST_LINE_BYTES 24 /* of a command and its version, an integer, or a length */

enum vine__request_told {
    VINE__REQUEST_MORE,    /* all bytes were consumed: call again when there are others */
    VINE__REQUEST_BUFFER,  /* one of `buffer_bytes` begins; the parameters before it are there */
    VINE__REQUEST_PIECE,   /* `piece_bytes` at `piece` are the next ones of it */
    VINE__REQUEST_REFUSED, /* answer with `error` and `fault` now; the rest goes by unseen */
    VINE__REQUEST_DONE,    /* it is whole: do it and answer, unless it was refused. The next call
                              begins another one */
    VINE__REQUEST_LOST,    /* nobody can tell where the next one begins: answer, unless it was
                              refused, and end the connection. Each call says so from now on */
};

/* What is wrong with what cannot be read. X(name, text) */
#define VINE__REQUEST_FAULTS(X)                                                                    \
    X(NONE, NULL)                                                                                  \
    X(HEAD, "a request begins with COMMAND,VERSION")                                               \
    X(DOUBT, "no request follows one that was not understood")                                     \
    X(INTEGER, "an integer is decimal digits")                                                     \
    X(LENGTH, "a string begins with LENGTH and a comma")                                           \
    X(STRING, "a string is longer than is taken")                                                  \
    X(NEWLINE, "no newline behind as many bytes as were said")                                     \
    X(LINE, "too long a line")

enum vine__request_fault {
#define VINE__REQUEST_FAULT_VALUE(name, text) VINE__REQUEST_FAULT_##name,
    VINE__REQUEST_FAULTS(VINE__REQUEST_FAULT_VALUE)
#undef VINE__REQUEST_FAULT_VALUE
};

struct vine__request_parameter {
    const char *bytes; /* of a string: in the room, until the next request begins */
    uint32_t size_bytes;
    int64_t integer;
};

struct vine__request {
    char *room; /* private, from here... */
    uint32_t room_bytes;
    uint32_t used_bytes;
    uint16_t permissions;
    uint8_t stage;
    uint8_t line_bytes;
    bool is_doubtful;
    uint64_t left_bytes;
    char line[VINE__REQUEST_LINE_BYTES]; /* ...to here */

    const struct vine__command *command; /* NULL: unknown */
    uint32_t number, version;            /* as they came; 0 and 0 of what is no request at all */
    uint32_t parameter_count;            /* those that have come */
    struct vine__request_parameter parameters[VINE_SERVER_PARAMETERS_MAX];
    uint64_t buffer_bytes;
    const char *piece; /* among the bytes that were given */
    size_t piece_bytes;
    size_t consumed_bytes; /* by the last call */
    bool is_refused;
    enum vine_server_error error;
    uint8_t fault; /* enum vine__request_fault: more about it */
};

/* Begin, for a socket with these permissions. The room stays the caller's, and where it is. */
void vine__request_init(struct vine__request *request, uint16_t permissions, char *room,
                        uint32_t room_bytes);

/* Read on, until there is something to tell. */
VINE_MUST_CHECK enum vine__request_told vine__request_read(struct vine__request *request,
                                                           const char *bytes, size_t size_bytes);

/* The text of a fault, any number; or NULL. */
const char *vine__request_fault_text(uint32_t fault);

/* Whether it holds nothing of a request, and needs to know nothing of former ones. */
bool vine__request_is_between(const struct vine__request *request);

/* The caller has answered with an error: the rest of this request goes by unseen. */
void vine__request_refuse(struct vine__request *request);

#endif
