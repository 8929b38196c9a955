/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From a command to its row and function, and what all functions answer with.
 */
#include <vine/resp_server.h>

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/resp_server/resp_server_internal.h"
#include "utils/assert.h"

#define BULK_HEAD_BYTES 32  /* head and end of any bulk */
#define SHOWN_MAX       128 /* of a name, and of arguments, in what is said of an unknown command */

VINE_STATIC_ASSERT(VINE__RESP_ROOM + VINE__RESP_INFO_BYTES <= VINE_RESP_ROOM_MIN,
                   "any reply finds its room in an empty writer");
VINE_STATIC_ASSERT(2 * SHOWN_MAX + 100 <= VINE__RESP_ROOM, "so does an unknown command's");

void vine_resp_session_init(struct vine_resp_session *session, struct vine_resp_server *server)
{
    server->sessions++;
    *session = (struct vine_resp_session){
        .server = server,
        .id = server->sessions,
        .protocol = 2,
    };
}

/* The command has ended: nothing of it is kept. */
static void let_go(struct vine_resp_session *session)
{
    if (session->kept != NULL)
        vine__resp_forget_kept(session);
    if (session->held != NULL)
        vine_keyspace_release(session->server->keyspace, session->held);
    session->held = NULL;
    session->is_refused = false;
    session->is_whole = false;
    session->row = 0;
    session->next = 0;
    session->sent = 0;
}

void vine_resp_session_fini(struct vine_resp_session *session)
{
    let_go(session);
}

/* ---- answers --------------------------------------------------------------------------------- */

int vine__resp_error(struct vine__resp_run *run, const char *format, ...)
{
    char text[VINE__RESP_ROOM];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text) - 3, format, arguments);
    va_end(arguments);
    (void)vine_resp_write_error(run->writer, text);
    run->server->errors++;
    return 0;
}

int vine__resp_ok(struct vine__resp_run *run)
{
    (void)vine_resp_write_simple(run->writer, "OK");
    return 0;
}

int vine__resp_integer(struct vine__resp_run *run, int64_t number)
{
    (void)vine_resp_write_integer(run->writer, number);
    return 0;
}

int vine__resp_wrong_arity(struct vine__resp_run *run, const char *name)
{
    return vine__resp_error(run, "ERR wrong number of arguments for '%s' command", name);
}

int vine__resp_no_memory(struct vine__resp_run *run)
{
    return vine__resp_error(run, "OOM command not allowed when used memory > 'maxmemory'.");
}

bool vine__resp_number(struct vine__resp_run *run, const struct vine_resp_argument *argument,
                       int64_t *ret_number)
{
    if (vine_resp_integer(argument->bytes, argument->size_bytes, ret_number))
        return true;
    vine__resp_error(run, "ERR value is not an integer or out of range");
    return false;
}

bool vine__resp_is(const struct vine_resp_argument *argument, const char *word)
{
    uint32_t n = 0;

    for (; n < argument->size_bytes && word[n] != '\0'; n++) {
        const char byte = argument->bytes[n];

        if ((byte >= 'A' && byte <= 'Z' ? (char)(byte | 0x20) : byte) != word[n])
            return false;
    }
    return n == argument->size_bytes && word[n] == '\0';
}

int vine__resp_send(struct vine__resp_run *run, const char *bytes, size_t size_bytes)
{
    struct vine_resp_session *const session = run->session;
    struct vine_resp_writer *const writer = run->writer;
    size_t done;

    /* `sent` is 0 before the head, and then 1 more than the bytes that went. */
    if (session->sent == 0) {
        if (vine_resp_writer_room(writer) < BULK_HEAD_BYTES)
            return -ENOBUFS;
        if (vine_resp_writer_room(writer) - BULK_HEAD_BYTES >= size_bytes) {
            (void)vine_resp_write_bulk(writer, bytes, size_bytes);
            return 0;
        }
        (void)vine_resp_write_bulk_begin(writer, size_bytes);
        session->sent = 1;
    }
    done = (size_t)session->sent - 1;
    session->sent += vine_resp_write_piece(writer, bytes + done, size_bytes - done);
    if (session->sent - 1 < size_bytes || vine_resp_writer_room(writer) < 2)
        return -ENOBUFS;
    (void)vine_resp_write_bulk_end(writer);
    session->sent = 0;
    return 0;
}

int vine__resp_send_held(struct vine__resp_run *run)
{
    struct vine_resp_session *const session = run->session;
    size_t size_bytes;
    const char *const bytes = vine_keyspace_value(session->held, &size_bytes);
    const int status = vine__resp_send(run, bytes, size_bytes);

    if (status == 0) {
        vine_keyspace_release(run->keyspace, session->held);
        session->held = NULL;
    }
    return status;
}

struct vine_keyspace_entry *vine__resp_take_owner(struct vine_resp_argument *argument)
{
    struct vine_keyspace_entry *const entry = argument->owner;

    argument->owner = NULL;
    return entry;
}

/* ---- execution ------------------------------------------------------------------------------- */

/* A NUL ends what Redis shows of an argument. */
static int shown_size(const struct vine_resp_argument *argument, size_t size_max)
{
    const size_t size = argument->size_bytes < size_max ? argument->size_bytes : size_max;

    return size == 0 ? 0 : (int)strnlen(argument->bytes, size);
}

static int unknown_command(struct vine__resp_run *run)
{
    const struct vine_resp_argument *const arguments = run->arguments;
    char shown[SHOWN_MAX + 8];
    size_t size = 0;

    /* A browser that was made to send a request here: nothing that follows is a command. */
    if (vine__resp_is(&arguments[0], "post") || vine__resp_is(&arguments[0], "host:")) {
        run->session->is_closing = true;
        return 0;
    }
    shown[0] = '\0';
    for (uint32_t n = 1; n < run->argument_count && size < SHOWN_MAX; n++)
        size += (size_t)snprintf(shown + size, sizeof(shown) - size, "'%.*s' ",
                                 shown_size(&arguments[n], SHOWN_MAX - size), arguments[n].bytes);
    return vine__resp_error(run, "ERR unknown command '%.*s', with args beginning with: %s",
                            shown_size(&arguments[0], SHOWN_MAX), arguments[0].bytes, shown);
}

/* Parts are found through their commands alone. */
static bool is_part(const struct vine_resp_argument *name)
{
    return name->size_bytes > 6 && memchr(name->bytes, '|', name->size_bytes) != NULL;
}

static bool has_arity(const struct vine__resp_row *row, uint32_t argument_count)
{
    return row->arity >= 0 ? argument_count == (uint32_t)row->arity
                           : argument_count >= (uint32_t)-row->arity;
}

static int run_row(struct vine__resp_run *run, const struct vine__resp_row *row)
{
    run->session->row = (uint8_t)(row - vine__resp_rows + 1);
    if (!has_arity(row, run->argument_count))
        return vine__resp_wrong_arity(run, row->name);
    return row->run(run);
}

/* A command that has parts: which one. */
int vine__resp_parts(struct vine__resp_run *run)
{
    const struct vine_resp_argument *const arguments = run->arguments;
    const struct vine__resp_row *const row = &vine__resp_rows[run->session->row - 1];
    const struct vine__resp_row *const part = vine__resp_find_row(&arguments[0], &arguments[1]);
    char name[VINE__RESP_NAME_BYTES];
    size_t size = 0;

    if (part != NULL)
        return run_row(run, part);
    for (; row->name[size] != '\0'; size++)
        name[size] = (char)(row->name[size] & ~0x20);
    return vine__resp_error(run, "ERR unknown subcommand '%.*s'. Try %.*s HELP.",
                            shown_size(&arguments[1], SHOWN_MAX), arguments[1].bytes, (int)size,
                            name);
}

/* Begin a command. Returns 0 or -ENOBUFS. */
static int begin(struct vine__resp_run *run)
{
    const struct vine__resp_row *row;

    if (vine_resp_writer_room(run->writer) < VINE__RESP_ROOM)
        return -ENOBUFS;
    if (run->session->is_refused)
        return vine__resp_no_memory(run);
    row = vine__resp_find_row(&run->arguments[0], NULL);
    return row == NULL || is_part(&run->arguments[0]) ? unknown_command(run) : run_row(run, row);
}

int vine_resp_execute(struct vine_resp_session *session, struct vine_resp_argument *arguments,
                      uint32_t argument_count, struct vine_resp_writer *writer)
{
    struct vine__resp_run run = {
        .session = session,
        .server = session->server,
        .keyspace = session->server->keyspace,
        .arguments = arguments,
        .writer = writer,
        .argument_count = argument_count,
        .is_first = session->row == 0,
    };
    int status;

    writer->protocol = session->protocol;
    if (session->payload_bytes != 0)
        vine__resp_end_payload(session);
    if (session->kept != NULL || session->is_refused) {
        if (run.is_first && !session->is_whole)
            vine_resp_take(session, arguments, argument_count);
        session->is_whole = true;
        run.arguments = session->kept;
        run.argument_count = session->kept_count;
    } else if (argument_count == 0) {
        return 0;
    }
    status = run.is_first ? begin(&run) : vine__resp_rows[session->row - 1].run(&run);
    VINE_ASSERT(!writer->is_full); /* a function looks before it writes */
    if (status == -ENOBUFS && (session->row == 0 || session->kept != NULL ||
                               vine__resp_keep(session, arguments, argument_count)))
        return status;
    session->server->commands++;
    /* Half an answer without the other: nothing that follows would be understood. */
    session->is_closing |= status == -ENOBUFS;
    if (run.arguments != session->kept)
        vine__resp_release(run.keyspace, run.arguments, run.argument_count);
    let_go(session);
    return 0;
}
