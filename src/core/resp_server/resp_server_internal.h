/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/resp_server/resp_server_internal.h - what the functions of commands are given, and share.
 *
 * Owns:     nothing.
 * Threads:  the session's.
 * Blocking: never.
 * Trust:    arguments may be anything; their count is within the row's arity.
 * Limits:   none.
 *
 * A function writes the whole reply, for which there is VINE__RESP_ROOM when it begins, or returns
 * -ENOBUFS and is called again, with what it has put into the session.
 */
#ifndef VINE_CORE_RESP_SERVER_INTERNAL_H
#define VINE_CORE_RESP_SERVER_INTERNAL_H

#include <vine/resp_server.h>

#include "core/resp_server/commands.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define VINE__RESP_ROOM          512  /* for any short reply, an error, a row of COMMAND */
#define VINE__RESP_INFO_BYTES    1536 /* for all of INFO, beside that */
#define VINE__RESP_NULL_BYTES    8    /* for null */
#define VINE__RESP_VERSION_BYTES 64   /* as much of the server's version is told */
#define VINE__RESP_NAME_BYTES    16   /* of a command, filled up with NUL */

struct vine__resp_run {
    struct vine_resp_session *session;
    struct vine_resp_server *server;
    struct vine_keyspace *keyspace;
    struct vine_resp_argument *arguments;
    struct vine_resp_writer *writer;
    uint32_t argument_count;
    bool is_first; /* not called again */
};

typedef int (*vine__resp_fn)(struct vine__resp_run *run);

struct vine__resp_row {
    const char *name;
    const char *arguments;
    const char *summary;
    const char *group;
    const char *since;
    vine__resp_fn run;
    int16_t arity;
    uint16_t flags;
    int8_t first_key, last_key, key_step;
};

/* The table, and how many rows it has. */
extern const struct vine__resp_row vine__resp_rows[];
extern const size_t vine__resp_row_count;

/* The row of a name in any case, or NULL. `part` is what follows a '|', or NULL. */
const struct vine__resp_row *vine__resp_find_row(const struct vine_resp_argument *name,
                                                 const struct vine_resp_argument *part);

/* How many parts of a command follow its row. */
size_t vine__resp_part_count(const struct vine__resp_row *row);

/* Whether an argument is a word, in any case. `word` is in lower case. */
bool vine__resp_is(const struct vine_resp_argument *argument, const char *word);

/* Answer with an error: the text, or as printf. Returns 0. */
int vine__resp_error(struct vine__resp_run *run, const char *format, ...) VINE_PRINTF(2, 3);
int vine__resp_ok(struct vine__resp_run *run);
int vine__resp_integer(struct vine__resp_run *run, int64_t number);
int vine__resp_wrong_arity(struct vine__resp_run *run, const char *name);
int vine__resp_no_memory(struct vine__resp_run *run);

/* A whole number. Returns false, and has answered, if it is none. */
bool vine__resp_number(struct vine__resp_run *run, const struct vine_resp_argument *argument,
                       int64_t *ret_number);

/* Answer with bytes that stay where they are, as a bulk. Returns 0, or -ENOBUFS: some are left. */
int vine__resp_send(struct vine__resp_run *run, const char *bytes, size_t size_bytes);

/* The same with an entry's value, which the session holds, and then no more. */
int vine__resp_send_held(struct vine__resp_run *run);

/* The value that an argument's owner has prepared for a key, taken from it, or NULL. */
struct vine_keyspace_entry *vine__resp_take_owner(struct vine_resp_argument *argument);

/* kept.c. Let go of what the arguments' owners have prepared. */
void vine__resp_release(struct vine_keyspace *keyspace, struct vine_resp_argument *arguments,
                        uint32_t argument_count);

/* Keep a copy of arguments, whose reply goes on when they may lie elsewhere, or nowhere. Returns
 * false: there is no memory. */
bool vine__resp_keep(struct vine_resp_session *session, struct vine_resp_argument *arguments,
                     uint32_t argument_count);
void vine__resp_forget_kept(struct vine_resp_session *session);

/* No more of a payload comes: if that was not all of it, its command is refused. */
void vine__resp_end_payload(struct vine_resp_session *session);

#define VINE__RESP_DECLARE(name, arity, first, last, step, flags, group, since, function, ...)     \
    int vine__resp_##function(struct vine__resp_run *run);
VINE__RESP_COMMANDS(VINE__RESP_DECLARE)
#undef VINE__RESP_DECLARE

#endif
