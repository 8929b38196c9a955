/* SPDX-License-Identifier: Apache-2.0 */
/* test: links=runtime */
/*
 * What a client sends to a server of keys and values. The first bytes choose limits, the room of
 * replies and the sizes of the pieces in which the rest comes. Commands are what they are however
 * they come; they are executed, within little memory, and all that is answered are whole replies.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <vine/resp_server.h>

#include "utils/assert.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes);

#define ARGUMENTS_MAX 32
#define CHOICES       4
#define MEMORY_BYTES  8192
#define HASH_START    UINT64_C(0xcbf29ce484222325)

/* What came of a stream: a hash of all arguments of all commands, and how it ended. */
struct outcome {
    uint64_t hash;
    size_t commands;
    size_t consumed;
    bool is_broken;
};

static void mix(uint64_t *hash, const char *bytes, size_t size)
{
    *hash = (*hash ^ size) * UINT64_C(0x100000001b3);
    for (size_t n = 0; n < size; n++)
        *hash = (*hash ^ (unsigned char)bytes[n]) * UINT64_C(0x100000001b3);
}

static void note(struct outcome *outcome, const struct vine_resp_parser *parser, const char *bytes,
                 size_t size)
{
    VINE_ASSERT(parser->consumed_bytes > 0 && parser->consumed_bytes <= size);
    VINE_ASSERT(parser->argument_count <= parser->limits->arguments_max);
    outcome->commands++;
    mix(&outcome->hash, NULL, 0);
    for (uint32_t n = 0; n < parser->argument_count; n++) {
        const struct vine_resp_argument *const argument = &parser->arguments[n];

        VINE_ASSERT(argument->size_bytes <= parser->limits->bulk_bytes_max ||
                    argument->size_bytes <= parser->limits->inline_bytes_max);
        VINE_ASSERT(argument->bytes >= bytes &&
                    argument->bytes + argument->size_bytes <= bytes + parser->consumed_bytes);
        mix(&outcome->hash, argument->bytes, argument->size_bytes);
    }
}

/* The stream in pieces of `piece` bytes, each time in memory of just the size of what has come and
 * was not consumed. */
static struct outcome read_stream(const uint8_t *stream, size_t size, size_t piece,
                                  const struct vine_resp_limits *limits)
{
    struct vine_resp_argument arguments[ARGUMENTS_MAX];
    struct vine_resp_parser parser;
    struct outcome outcome = {.hash = HASH_START};
    char *kept = malloc(1);
    size_t kept_size = 0;

    vine_resp_parser_init(&parser, limits, arguments, ARGUMENTS_MAX);
    for (size_t at = 0; at < size && !outcome.is_broken; at += piece) {
        const size_t now = size - at < piece ? size - at : piece;
        char *const grown = malloc(kept_size + now);
        enum vine_resp_status status;
        size_t from = 0;

        VINE_ASSERT(kept != NULL && grown != NULL);
        memcpy(grown, kept, kept_size);
        memcpy(grown + kept_size, stream + at, now);
        kept_size += now;
        while ((status = vine_resp_parse(&parser, grown + from, kept_size - from)) ==
               VINE_RESP_COMPLETE) {
            note(&outcome, &parser, grown + from, kept_size - from);
            from += parser.consumed_bytes;
        }
        VINE_ASSERT(status == VINE_RESP_BROKEN || parser.more_bytes > 0);
        outcome.is_broken = status == VINE_RESP_BROKEN;
        outcome.consumed += from;
        kept_size -= from;
        free(kept);
        kept = malloc(kept_size + 1);
        VINE_ASSERT(kept != NULL);
        memcpy(kept, grown + from, kept_size);
        free(grown);
    }
    free(kept);
    return outcome;
}

/* ---- the server ------------------------------------------------------------------------------ */

struct server {
    struct vine_resp_server shared;
    struct vine_resp_session session;
    struct vine_resp_parser parser;
    struct vine_resp_argument arguments[ARGUMENTS_MAX];
    struct vine_resp_reply_parser replies;
    char *unread; /* of what was answered */
    size_t unread_size;
};

/* What was answered are replies, and what is left is the beginning of one. */
static void read_replies(struct server *server, struct vine_resp_writer *writer)
{
    struct vine_resp_element element = {.is_last = false};
    size_t at = 0;

    server->unread = realloc(server->unread, server->unread_size + writer->size_bytes + 1);
    VINE_ASSERT(server->unread != NULL);
    memcpy(server->unread + server->unread_size, writer->bytes, writer->size_bytes);
    server->unread_size += writer->size_bytes;
    vine_resp_writer_drain(writer);
    for (;;) {
        const enum vine_resp_status status = vine_resp_parse_reply(
            &server->replies, server->unread + at, server->unread_size - at, &element);

        VINE_ASSERT(status != VINE_RESP_BROKEN);
        if (status != VINE_RESP_COMPLETE)
            break;
        at += server->replies.consumed_bytes;
    }
    server->unread_size -= at;
    memmove(server->unread, server->unread + at, server->unread_size);
}

/* Take what there is of a command, and a payload behind it. Returns whether all of that was
 * there. */
static bool take_part(struct server *server, char **bytes, size_t *size)
{
    struct vine_resp_parser *const parser = &server->parser;

    vine_resp_parser_cut(parser, *bytes);
    VINE_ASSERT(parser->consumed_bytes <= *size);
    for (uint32_t n = 0; n < parser->cut_count; n++)
        VINE_ASSERT(parser->arguments[n].bytes >= *bytes &&
                    parser->arguments[n].bytes + parser->arguments[n].size_bytes <= *bytes + *size);
    vine_resp_take(&server->session, parser->arguments, parser->cut_count);
    if (parser->payload_bytes > 0)
        vine_resp_take_payload(&server->session, parser->payload_bytes);
    if (*size - parser->consumed_bytes < parser->payload_bytes)
        return false;
    VINE_ASSERT(vine_resp_put_payload(&server->session, *bytes + parser->consumed_bytes,
                                      parser->payload_bytes) == 0);
    *bytes += parser->consumed_bytes + parser->payload_bytes;
    *size -= parser->consumed_bytes + parser->payload_bytes;
    return true;
}

/* `ahead`: so much is looked at of a command before what there is of it is taken. */
static void execute_all(struct server *server, char *bytes, size_t size, size_t ahead,
                        struct vine_resp_writer *writer)
{
    int64_t now_ms = 1000000;
    size_t seen = size < ahead ? size : ahead;

    while (!server->session.is_closing) {
        const enum vine_resp_status status = vine_resp_parse(&server->parser, bytes, seen);
        const char *const was = bytes;

        if (status == VINE_RESP_BROKEN || (status == VINE_RESP_MORE && seen == size))
            return;
        if (status != VINE_RESP_COMPLETE) {
            if (!take_part(server, &bytes, &size))
                return;
            seen = seen < (size_t)(bytes - was) ? 0 : seen - (size_t)(bytes - was);
            seen = size - seen < ahead ? size : seen + ahead;
            continue;
        }
        while (vine_resp_execute(&server->session, server->arguments, server->parser.argument_count,
                                 writer) == -ENOBUFS) {
            VINE_ASSERT(writer->size_bytes > 0);
            read_replies(server, writer);
        }
        vine_keyspace_set_time(server->shared.keyspace, now_ms += 500);
        bytes += server->parser.consumed_bytes;
        size -= server->parser.consumed_bytes;
        seen -= server->parser.consumed_bytes;
        seen = seen < ahead ? (size < ahead ? size : ahead) : seen;
    }
}

static void serve(const uint8_t *stream, size_t size, size_t room, uint32_t argument_room,
                  const struct vine_resp_limits *limits)
{
    static const struct vine_resp_reply_limits reply_limits = {
        .depth_max = 8, .count_max = 1000, .bulk_bytes_max = 1 << 20, .line_bytes_max = 1000};
    const struct vine_keyspace_options options = {.size_bytes = sizeof(options),
                                                  .bytes_max = MEMORY_BYTES};
    struct server server = {.shared = {.version = "0"}};
    struct vine_resp_writer writer;
    struct vine_keyspace_stats stats;
    char *const copy = malloc(size + 1), *const answers = malloc(room);

    VINE_ASSERT(copy != NULL && answers != NULL);
    VINE_ASSERT(vine_keyspace_create(&options, &server.shared.keyspace) == 0);
    memcpy(copy, stream, size);
    vine_resp_parser_init(&server.parser, limits, server.arguments, argument_room);
    vine_resp_reply_parser_init(&server.replies, &reply_limits);
    vine_resp_session_init(&server.session, &server.shared);
    vine_resp_writer_init(&writer, answers, room, 2);
    execute_all(&server, copy, size, 1 + room % 97, &writer);
    read_replies(&server, &writer);
    VINE_ASSERT(server.unread_size == 0);
    vine_keyspace_stats(server.shared.keyspace, &stats);
    VINE_ASSERT(stats.bytes <= MEMORY_BYTES);
    vine_resp_session_fini(&server.session);
    vine_keyspace_destroy(server.shared.keyspace);
    free(server.unread);
    free(answers);
    free(copy);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t size_bytes)
{
    struct vine_resp_limits limits = {.arguments_max = ARGUMENTS_MAX};
    struct outcome whole, pieces;

    if (size_bytes < CHOICES)
        return 0;
    limits.bulk_bytes_max = 16 + 64 * (uint32_t)bytes[0];
    limits.inline_bytes_max = 16 + 4 * (uint32_t)bytes[1];
    limits.command_bytes_max = limits.bulk_bytes_max * 4;
    whole = read_stream(bytes + CHOICES, size_bytes - CHOICES, size_bytes, &limits);
    pieces = read_stream(bytes + CHOICES, size_bytes - CHOICES, 1 + bytes[2] % 32, &limits);
    VINE_ASSERT(whole.hash == pieces.hash && whole.commands == pieces.commands);
    VINE_ASSERT(whole.consumed == pieces.consumed && whole.is_broken == pieces.is_broken);
    limits.payload_bytes_min = bytes[3] % 16;
    serve(bytes + CHOICES, size_bytes - CHOICES, VINE_RESP_ROOM_MIN + bytes[3],
          1 + bytes[2] % ARGUMENTS_MAX, &limits);
    return 0;
}
