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
    struct vine_keyspace_entry *payload;
    uint32_t payload_missing; /* of the payload at hand */
    bool has_payload;
    size_t room_bytes; /* of the writer */
    char *output;      /* all that was answered, with a NUL behind it */
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
    if (connection->payload != NULL)
        vine_keyspace_release(served.keyspace, connection->payload);
    vine_resp_session_fini(&connection->session, connection->arguments,
                           connection->parser.argument_count);
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

/* Take what there is of a payload out of the input. Returns whether it is whole. */
static inline bool served_take(struct served_connection *connection)
{
    const struct vine_resp_payload payload = vine_resp_parser_payload(&connection->parser);
    char *value = NULL;
    size_t had, there, now;

    if (!connection->has_payload) {
        connection->has_payload = true;
        connection->payload_missing = payload.size_bytes;
        if (vine_resp_prepare_payload(&connection->session, &connection->parser, connection->input,
                                      &connection->payload) != 0)
            connection->payload = NULL;
    }
    if (connection->payload != NULL)
        value = vine_keyspace_prepared_value(connection->payload);
    had = payload.size_bytes - connection->payload_missing;
    there = connection->input_bytes - payload.at;
    now = there < connection->payload_missing ? there : connection->payload_missing;
    if (value != NULL && now > 0)
        memcpy(value + had, connection->input + payload.at, now);
    memmove(connection->input + payload.at, connection->input + payload.at + now, there - now);
    connection->input_bytes -= now;
    connection->payload_missing -= (uint32_t)now;
    if (connection->payload_missing > 0)
        return false;
    vine_resp_parser_payload_taken(&connection->parser, value, connection->payload);
    connection->payload = NULL;
    connection->has_payload = false;
    return true;
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
    while (goes_on && !connection->session.is_closing) {
        char text[VINE_RESP_PROBLEM_BYTES + 4] = "ERR ";

        switch (vine_resp_parse(&connection->parser, connection->input, connection->input_bytes)) {
        case VINE_RESP_COMPLETE:
            served_execute(connection, &writer);
            connection->input_bytes -= connection->parser.consumed_bytes;
            memmove(connection->input, connection->input + connection->parser.consumed_bytes,
                    connection->input_bytes);
            break;
        case VINE_RESP_ROOM:
            served_grow(connection);
            break;
        case VINE_RESP_PAYLOAD:
            goes_on = served_take(connection);
            break;
        case VINE_RESP_BROKEN:
            (void)vine_resp_parser_problem(&connection->parser, text + 4);
            served_flush(connection, &writer);
            (void)vine_resp_write_error(&writer, text);
            connection->is_broken = true;
            goes_on = false;
            break;
        default:
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
