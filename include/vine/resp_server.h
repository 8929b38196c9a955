/* SPDX-License-Identifier: Apache-2.0 */
/*
 * vine/resp_server.h - the commands of a server of keys and values that speaks RESP.
 *
 * Owns:     what a session keeps of a command that comes, or is answered, in parts, until the
 *           command is over: entries of the keyspace and other memory within its bound. A copy of
 *           arguments that their caller had, while they are answered, may go beyond that.
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
 *
 * Parser and session need not be of one mind, or in one place: a session believes nothing of what a
 * parser says but where bytes are.
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

    bool is_refused; /* private, from here on: no memory for an argument of this command */
    bool is_whole;   /* all of it is among what is kept */
    uint8_t row;     /* of the command that is under way, counted from 1 */
    uint32_t next;   /* how far its reply has come: elements, and bytes or parts of the next one */
    uint64_t sent;
    struct vine_keyspace_entry *held;
    struct vine_resp_argument *kept; /* arguments that do not lie with the caller, and what they
                                        consist of, if that is not entries' */
    uint32_t kept_count, kept_room;
    size_t kept_bytes;
    uint32_t payload_bytes, payload_come; /* of the last one */
};

VINE_API void vine_resp_session_init(struct vine_resp_session *session,
                                     struct vine_resp_server *server);

/* The connection has ended. Between two commands this is nothing; what is kept of one that has not
 * come whole, or is under way, is let go. */
VINE_API void vine_resp_session_fini(struct vine_resp_session *session);

/* An empty writer has to have this much room. */
#define VINE_RESP_ROOM_MIN 2048

/*
 * Execute a command and write its reply, behind what the writer has. What a command does is done at
 * once, when its reply begins; the reply tells how it was then. The arguments are those that were
 * not taken before.
 *
 * Returns 0         the reply is complete; look at `is_closing`;
 *         -ENOBUFS  send what was written, drain the writer, and call again with the same command.
 *                   Its arguments need not be where they were, if vine_resp_is_executing.
 */
VINE_API VINE_MUST_CHECK int vine_resp_execute(struct vine_resp_session *session,
                                               struct vine_resp_argument *arguments,
                                               uint32_t argument_count,
                                               struct vine_resp_writer *writer);

/* Whether a command's reply is under way. */
static inline bool vine_resp_is_executing(const struct vine_resp_session *session)
{
    return session->row != 0;
}

/* Arguments of a command that has not come whole, behind those that were taken already: they are
 * copied, as what they are to the command, a key's value say. Without memory for that the command
 * will be answered with an error. */
VINE_API void vine_resp_take(struct vine_resp_session *session,
                             const struct vine_resp_argument *arguments, uint32_t argument_count);

/* The same for one of which no more is there than its size. It takes memory as its bytes come, by
 * vine_resp_put_payload: at first 16 KiB at most, and then at most four times what has come. If
 * something else follows before all of it has, the command is answered with an error. */
VINE_API void vine_resp_take_payload(struct vine_resp_session *session, uint32_t size_bytes);

/* Some more of it. Returns 0, whether or not there is memory for it; -EINVAL: that is more than its
 * size. */
VINE_API VINE_MUST_CHECK int vine_resp_put_payload(struct vine_resp_session *session,
                                                   const char *bytes, size_t size_bytes);

VINE_END_DECLARATIONS

#endif
