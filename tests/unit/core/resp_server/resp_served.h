/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tests/unit/core/resp_server/resp_served.h - a connection to a server of keys and values, without
 * a network: bytes in, bytes out.
 *
 * Owns:     a keyspace, a server, and a session for each connection.
 * Threads:  one.
 * Blocking: never.
 * Trust:    not concerned.
 * Limits:   what is sent at once, and answered, has at most SERVED_BYTES.
 *
 * It does what a service does: keeps what was not consumed, takes payloads, sends in pieces.
 */
#ifndef VINE_TESTS_RESP_SERVED_H
#define VINE_TESTS_RESP_SERVED_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <vine/resp_server.h>

#define SERVED_BYTES  (1u << 20)
#define SERVED_NOW_MS 1700000000000

struct served_connection {
    struct vine_resp_limits limits;
    struct vine_resp_parser parser;
    struct vine_resp_argument *arguments;
    uint32_t argument_room;
    struct vine_resp_session session;
    char *input;
    size_t input_bytes;
    uint32_t payload_missing; /* of the one at hand */
    bool splits;              /* commands are cut wherever there is too little of them */
    size_t room_bytes;        /* of the writer */
    char *output;             /* all that was answered, with a NUL behind it */
    size_t output_bytes;
    bool is_broken;
};

static struct vine_resp_server served;

static inline void served_start(uint64_t bytes_max)
{
    const struct vine_keyspace_options options = {
        .size_bytes = sizeof(options),
        .bytes_max = bytes_max,
        .hash_key = "a secret of ours",
    };

    served = (struct vine_resp_server){.version = "1.2.3", .started_ms = SERVED_NOW_MS - 5000};
    assert_int_equal(vine_keyspace_create(&options, &served.keyspace), 0);
    vine_keyspace_set_time(served.keyspace, SERVED_NOW_MS);
}

static inline void served_stop(void)
{
    vine_keyspace_destroy(served.keyspace);
}

static inline void served_connect(struct served_connection *connection)
{
    *connection = (struct served_connection){
        .limits =
            {
                .arguments_max = 1000,
                .bulk_bytes_max = SERVED_BYTES / 2,
                .inline_bytes_max = 1000,
                .command_bytes_max = SERVED_BYTES,
            },
        .argument_room = 4,
        .room_bytes = VINE_RESP_ROOM_MIN,
    };
    connection->arguments = calloc(connection->argument_room, sizeof(*connection->arguments));
    connection->input = malloc(SERVED_BYTES);
    connection->output = malloc(SERVED_BYTES);
    assert_true(connection->arguments != NULL && connection->input != NULL &&
                connection->output != NULL);
    vine_resp_parser_init(&connection->parser, &connection->limits, connection->arguments,
                          connection->argument_room);
    vine_resp_session_init(&connection->session, &served);
}

static inline void served_disconnect(struct served_connection *connection)
{
    vine_resp_session_fini(&connection->session);
    free(connection->arguments);
    free(connection->input);
    free(connection->output);
}

static inline void served_flush(struct served_connection *connection,
                                struct vine_resp_writer *writer)
{
    assert_true(connection->output_bytes + writer->size_bytes < SERVED_BYTES);
    memcpy(connection->output + connection->output_bytes, writer->bytes, writer->size_bytes);
    connection->output_bytes += writer->size_bytes;
    connection->output[connection->output_bytes] = '\0';
    vine_resp_writer_drain(writer);
}

static inline void served_grow(struct served_connection *connection)
{
    const uint32_t room = connection->argument_room * 2;

    connection->arguments = realloc(connection->arguments, room * sizeof(*connection->arguments));
    assert_non_null(connection->arguments);
    connection->argument_room = room;
    vine_resp_parser_set_room(&connection->parser, connection->arguments, room);
}

static inline void served_consume(struct served_connection *connection, size_t size)
{
    connection->input_bytes -= size;
    memmove(connection->input, connection->input + size, connection->input_bytes);
}

/* Cut off what there is of a command, and begin to take a payload if that is what comes. */
static inline void served_cut(struct served_connection *connection)
{
    struct vine_resp_parser *const parser = &connection->parser;

    vine_resp_parser_cut(parser, connection->input);
    vine_resp_take(&connection->session, parser->arguments, parser->cut_count);
    served_consume(connection, parser->consumed_bytes);
    if (parser->payload_bytes == 0)
        return;
    vine_resp_take_payload(&connection->session, parser->payload_bytes);
    connection->payload_missing = parser->payload_bytes;
}

/* Take what there is of a payload out of the input. Returns whether it is whole. */
static inline bool served_take(struct served_connection *connection)
{
    const uint32_t missing = connection->payload_missing;
    const size_t now = connection->input_bytes < missing ? connection->input_bytes : missing;

    assert_int_equal(vine_resp_put_payload(&connection->session, connection->input, now), 0);
    served_consume(connection, now);
    connection->payload_missing -= (uint32_t)now;
    return connection->payload_missing == 0;
}

/* Between the pieces of a reply, for tests that have others change something meanwhile. */
static void (*served_between)(void);

static inline void served_execute(struct served_connection *connection,
                                  struct vine_resp_writer *writer)
{
    while (vine_resp_execute(&connection->session, connection->arguments,
                             connection->parser.argument_count, writer) == -ENOBUFS) {
        assert_true(writer->size_bytes > 0);
        served_flush(connection, writer);
        if (served_between != NULL)
            served_between();
    }
}

/* Bytes come. What they make the server say is behind what it said before. */
static inline void served_send(struct served_connection *connection, const char *bytes, size_t size)
{
    char *const room = malloc(connection->room_bytes);
    struct vine_resp_writer writer;
    bool goes_on = true;

    assert_true(room != NULL && connection->input_bytes + size <= SERVED_BYTES);
    memcpy(connection->input + connection->input_bytes, bytes, size);
    connection->input_bytes += size;
    vine_resp_writer_init(&writer, room, connection->room_bytes, 2);
    while (goes_on && !connection->session.is_closing && served_take(connection)) {
        char text[VINE_RESP_PROBLEM_BYTES + 4] = "ERR ";

        switch (vine_resp_parse(&connection->parser, connection->input, connection->input_bytes)) {
        case VINE_RESP_COMPLETE:
            served_execute(connection, &writer);
            served_consume(connection, connection->parser.consumed_bytes);
            break;
        case VINE_RESP_ROOM:
            if (connection->splits)
                served_cut(connection);
            else
                served_grow(connection);
            break;
        case VINE_RESP_PAYLOAD:
            served_cut(connection);
            break;
        case VINE_RESP_BROKEN:
            (void)vine_resp_parser_problem(&connection->parser, text + 4);
            served_flush(connection, &writer);
            (void)vine_resp_write_error(&writer, text);
            connection->is_broken = true;
            goes_on = false;
            break;
        default:
            if (connection->splits)
                served_cut(connection);
            goes_on = false;
        }
    }
    served_flush(connection, &writer);
    free(room);
}

/* A line is sent, and what is answered returned: until the next one. */
static inline const char *served_ask(struct served_connection *connection, const char *line)
{
    connection->output_bytes = 0;
    connection->output[0] = '\0';
    served_send(connection, line, strlen(line));
    served_send(connection, "\r\n", 2);
    return connection->output;
}

#endif
