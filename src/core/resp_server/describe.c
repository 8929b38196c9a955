/* SPDX-License-Identifier: Apache-2.0 */
/* COMMAND and HELP: the table, as clients ask for it. */
#include <errno.h>
#include <string.h>

#include "core/resp_server/resp_server_internal.h"
#include "utils/assert.h"

#define ROW_BYTES VINE__RESP_ROOM /* for what is said of one row */

static const struct vine__resp_row *row_end(void)
{
    return vine__resp_rows + vine__resp_row_count;
}

/* The next row that is no part of another one. */
static const struct vine__resp_row *after(const struct vine__resp_row *row)
{
    return row + 1 + vine__resp_part_count(row);
}

static size_t command_count(void)
{
    size_t count = 0;

    for (const struct vine__resp_row *row = vine__resp_rows; row < row_end(); row = after(row))
        count++;
    return count;
}

static void write_text(struct vine_resp_writer *writer, const char *text)
{
    (void)vine_resp_write_bulk(writer, text, strlen(text));
}

/* What a command takes. The last thing said of it is its parts, which follow as rows of their own,
 * as they do in the table. */
static void write_row(struct vine_resp_writer *writer, const struct vine__resp_row *row)
{
    static const char *const flags[] = {
#define VINE__RESP_FLAG_TEXT(name, text) text,
        VINE__RESP_FLAGS(VINE__RESP_FLAG_TEXT)
#undef VINE__RESP_FLAG_TEXT
    };

    (void)vine_resp_write_array(writer, 10);
    write_text(writer, row->name);
    (void)vine_resp_write_integer(writer, row->arity);
    (void)vine_resp_write_set(writer, (size_t)__builtin_popcount(row->flags));
    for (size_t n = 0; n < VINE__RESP_FLAG_COUNT; n++)
        if (row->flags >> n & 1)
            (void)vine_resp_write_simple(writer, flags[n]);
    (void)vine_resp_write_integer(writer, row->first_key);
    (void)vine_resp_write_integer(writer, row->last_key);
    (void)vine_resp_write_integer(writer, row->key_step);
    (void)vine_resp_write_set(writer, 0);   /* groups of rights, of which there are none */
    (void)vine_resp_write_array(writer, 0); /* hints for who distributes commands */
    (void)vine_resp_write_array(writer, 0); /* places of keys in other words */
    (void)vine_resp_write_array(writer, vine__resp_part_count(row));
}

/* What it does: its name, and a map, whose last key is its parts. */
static void write_docs(struct vine_resp_writer *writer, const struct vine__resp_row *row)
{
    const size_t part_count = vine__resp_part_count(row);

    write_text(writer, row->name);
    (void)vine_resp_write_map(writer, part_count > 0 ? 4 : 3);
    write_text(writer, "summary");
    write_text(writer, row->summary);
    write_text(writer, "since");
    write_text(writer, row->since);
    write_text(writer, "group");
    write_text(writer, row->group);
    if (part_count > 0) {
        write_text(writer, "subcommands");
        (void)vine_resp_write_map(writer, part_count);
    }
}

typedef void (*write_fn)(struct vine_resp_writer *writer, const struct vine__resp_row *row);

/* Tell of all rows from the session's `next` on. Returns 0 or -ENOBUFS. */
static int write_all(struct vine__resp_run *run, write_fn write)
{
    uint32_t *const next = &run->session->next;

    for (; *next < vine__resp_row_count; ++*next) {
        if (vine_resp_writer_room(run->writer) < ROW_BYTES)
            return -ENOBUFS;
        write(run->writer, &vine__resp_rows[*next]);
    }
    return 0;
}

/* The row that an argument names, "get" or "client|id", or NULL. */
static const struct vine__resp_row *row_of(const struct vine_resp_argument *name)
{
    return vine__resp_find_row(name, NULL);
}

/* Tell of a row and its parts, of which the session's `sent` first ones were told of. */
static int write_one(struct vine__resp_run *run, const struct vine__resp_row *row, write_fn write)
{
    uint64_t *const told = &run->session->sent;

    for (; *told <= vine__resp_part_count(row); ++*told) {
        if (vine_resp_writer_room(run->writer) < ROW_BYTES)
            return -ENOBUFS;
        write(run->writer, row + *told);
    }
    *told = 0;
    return 0;
}

int vine__resp_command(struct vine__resp_run *run)
{
    if (run->argument_count > 1)
        return vine__resp_parts(run);
    if (run->is_first)
        (void)vine_resp_write_array(run->writer, command_count());
    return write_all(run, write_row);
}

int vine__resp_command_count(struct vine__resp_run *run)
{
    return vine__resp_integer(run, (int64_t)command_count());
}

int vine__resp_command_info(struct vine__resp_run *run)
{
    uint32_t *const next = &run->session->next;

    if (run->argument_count == 2) {
        if (run->is_first)
            (void)vine_resp_write_array(run->writer, command_count());
        return write_all(run, write_row);
    }
    if (run->is_first) {
        (void)vine_resp_write_array(run->writer, run->argument_count - 2);
        *next = 2;
    }
    for (; *next < run->argument_count; ++*next) {
        const struct vine__resp_row *const row = row_of(&run->arguments[*next]);

        if (row == NULL) {
            if (vine_resp_writer_room(run->writer) < VINE__RESP_NULL_BYTES)
                return -ENOBUFS;
            (void)vine_resp_write_null(run->writer);
        } else if (write_one(run, row, write_row) != 0) {
            return -ENOBUFS;
        }
    }
    return 0;
}

int vine__resp_command_docs(struct vine__resp_run *run)
{
    uint32_t *const next = &run->session->next;
    size_t known = 0;

    if (run->argument_count == 2) {
        if (run->is_first)
            (void)vine_resp_write_map(run->writer, command_count());
        return write_all(run, write_docs);
    }
    if (run->is_first) {
        for (uint32_t n = 2; n < run->argument_count; n++)
            known += row_of(&run->arguments[n]) != NULL;
        (void)vine_resp_write_map(run->writer, known);
        *next = 2;
    }
    for (; *next < run->argument_count; ++*next) {
        const struct vine__resp_row *const row = row_of(&run->arguments[*next]);

        if (row != NULL && write_one(run, row, write_docs) != 0)
            return -ENOBUFS;
    }
    return 0;
}

/* ---- HELP ------------------------------------------------------------------------------------ */

/* A part, as a user writes it, and below it what it does. */
static void write_help(struct vine_resp_writer *writer, const struct vine__resp_row *part)
{
    const char *const name = strchr(part->name, '|') + 1;
    char line[ROW_BYTES / 4];
    size_t size = 0;

    for (const char *from = name; *from != '\0'; from++)
        line[size++] = (char)(*from & ~0x20);
    if (part->arguments[0] != '\0')
        line[size++] = ' ';
    for (const char *from = part->arguments; *from != '\0' && size < sizeof(line) - 1; from++)
        line[size++] = *from;
    line[size] = '\0';
    (void)vine_resp_write_simple(writer, line);
    memset(line, ' ', 4);
    for (size = 0; part->summary[size] != '\0' && size < sizeof(line) - 5; size++)
        line[4 + size] = part->summary[size];
    line[4 + size] = '\0';
    (void)vine_resp_write_simple(writer, line);
}

int vine__resp_help(struct vine__resp_run *run)
{
    uint32_t *const next = &run->session->next;
    const struct vine__resp_row *row = &vine__resp_rows[run->session->row - 1];
    size_t part_count;

    while (strchr(row->name, '|') != NULL)
        row--;
    part_count = vine__resp_part_count(row);
    if (run->is_first)
        (void)vine_resp_write_array(run->writer, 2 * part_count);
    for (; *next < part_count; ++*next) {
        if (vine_resp_writer_room(run->writer) < ROW_BYTES)
            return -ENOBUFS;
        write_help(run->writer, row + 1 + *next);
    }
    return 0;
}
