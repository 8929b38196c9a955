/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/resp_server.h - the commands of a server of keys and values that speaks RESP.
 *
 * Owns:     nothing but what a command holds of the keyspace while its reply is under way.
 * Threads:  one: that of the keyspace. A core has its own server, with a session a connection.
 * Blocking: never. A reply that is larger than the room for it is written piece by piece.
 * Trust:    commands may be anything; an answer to what is wrong is an error of the protocol.
 * Limits:   strings alone, in one database; no authentication, and so for whoever may connect.
 *
 * Which commands there are, and what of Redis' they have, is in docs/guides/resp.md. Bytes come and
 * go by the caller:
 *
 *     while (vine_resp_parse(&parser, bytes, size) == VINE_RESP_COMPLETE) {
 *         while (vine_resp_execute(&session, parser.arguments, parser.argument_count, &writer) ==
 *                -ENOBUFS)
 *             send(&writer); // and vine_resp_writer_drain
 *         bytes += parser.consumed_bytes, size -= parser.consumed_bytes;
 *     }
 */
#ifndef VINE_RESP_SERVER_H
#define VINE_RESP_SERVER_H

#include <vine/base.h>
#include <vine/keyspace.h>
#include <vine/resp.h>

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

VINE_BEGIN_DECLARATIONS

/* What the sessions of a core share. Its owner sets the fields, and counts connections. */
struct vine_resp_server {
    struct vine_keyspace *keyspace; /* whose time the owner keeps right */
    const char *version;            /* of the program, as INFO and HELLO tell it */
    int64_t started_ms;             /* when, in the keyspace's time */
    uint64_t connections;           /* that there are */
    uint64_t connections_taken;     /* since the start */

    uint64_t commands; /* executed; counted here, as are the next two */
    uint64_t errors;   /* answered with an error */
    uint64_t sessions; /* begun: who is next gets this as its id, counted from 1 */
};

#define VINE_RESP_NAME_BYTES 32 /* of a connection, with a NUL */

/* What is known of a connection between two commands, and of the one that is under way. */
struct vine_resp_session {
    struct vine_resp_server *server;
    uint64_t id;
    char name[VINE_RESP_NAME_BYTES]; /* "": none */
    uint8_t protocol;                /* 2 until the client wants 3 */
    bool is_closing; /* nothing more is to be read: send what was written, and close */

    bool is_refused; /* private, from here on: no memory for a payload of this command */
    uint8_t row;     /* of the command that is under way, counted from 1 */
    uint32_t next;   /* how far its reply has come: elements, and bytes or parts of the next one */
    uint64_t sent;
    struct vine_keyspace_entry *held;
};

VINE_API void vine_resp_session_init(struct vine_resp_session *session,
                                     struct vine_resp_server *server);

/* Between two commands this is nothing. The connection ends while a command comes or is under way:
 * its arguments, also those that came before a payload that does not come, are let go. */
VINE_API void vine_resp_session_fini(struct vine_resp_session *session,
                                     struct vine_resp_argument *arguments, uint32_t argument_count);

/* An empty writer has to have this much room. */
#define VINE_RESP_ROOM_MIN 2048

/*
 * Execute a command and write its reply, behind what the writer has. What a command does is done at
 * once, when its reply begins; the reply tells how it was then.
 *
 * The arguments stay where they are until it is complete; their owners are NULL, or entries of
 * vine_resp_prepare_payload, which are let go then.
 *
 * Returns 0         the reply is complete; look at `is_closing`;
 *         -ENOBUFS  send what was written, drain the writer, and call again with the same command.
 */
VINE_API VINE_MUST_CHECK int vine_resp_execute(struct vine_resp_session *session,
                                               struct vine_resp_argument *arguments,
                                               uint32_t argument_count,
                                               struct vine_resp_writer *writer);

/*
 * After VINE_RESP_PAYLOAD: memory for the payload, which becomes the value of a key without being
 * copied where the command is one that sets it. `bytes` are those that were parsed. Write the
 * payload to vine_keyspace_prepared_value, and give that and the entry to
 * vine_resp_parser_payload_taken.
 *
 * Returns 0 and an entry; -ENOMEM: throw the payload away, and say that NULL was taken, owned by
 *         NULL: the command will be answered with an error.
 */
VINE_API VINE_MUST_CHECK int vine_resp_prepare_payload(struct vine_resp_session *session,
                                                       const struct vine_resp_parser *parser,
                                                       const char *bytes,
                                                       struct vine_keyspace_entry **ret_entry);

VINE_END_DECLARATIONS

#endif
