/* SPDX-License-Identifier: Apache-2.0 */
/* vmm/server/answer.c - see answer.h. */

#include "vmm/server/answer.h"

#include "utils/assert.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define TEXT_BYTES 240 /* of an error, with the zero */

/* Larger than all that is said around a text. */
#define AROUND_BYTES 40
VINE_STATIC_ASSERT(TEXT_BYTES + AROUND_BYTES <= VINE__ANSWER_ERROR_BYTES, "an error fits");

void vine__answer_piece(struct vine__answer *answer, const char *bytes, size_t size)
{
    if (answer->size_bytes < answer->room_bytes) {
        const size_t room = answer->room_bytes - answer->size_bytes;

        memcpy(answer->bytes + answer->size_bytes, bytes, size < room ? size : room);
    }
    answer->size_bytes += size;
}

/* A number and what ends it. */
static void write_number(struct vine__answer *answer, int64_t number, char end)
{
    char text[24];
    const int size = snprintf(text, sizeof(text), "%" PRId64 "%c", number, end);

    VINE_ASSERT(size > 0 && (size_t)size < sizeof(text));
    vine__answer_piece(answer, text, (size_t)size);
}

static void write_head(struct vine__answer *answer, uint32_t number, uint32_t version)
{
    write_number(answer, number, ',');
    write_number(answer, version, '\n');
}

void vine__answer_begin(struct vine__answer *answer, const struct vine__command *command)
{
    write_head(answer, command->number, command->version);
    if (command->shape == VINE_SERVER_SHAPE_STATUS)
        write_number(answer, VINE_SERVER_E_DONE, '\n');
}

void vine__answer_begin_event(struct vine__answer *answer)
{
    write_head(answer, VINE_SERVER_EVENT, 1);
    write_number(answer, VINE_SERVER_E_DONE, '\n');
}

void vine__answer_integer(struct vine__answer *answer, int64_t integer)
{
    write_number(answer, integer, '\n');
}

void vine__answer_string_begin(struct vine__answer *answer, size_t size)
{
    write_number(answer, (int64_t)size, ',');
}

void vine__answer_string_end(struct vine__answer *answer)
{
    vine__answer_piece(answer, "\n", 1);
}

void vine__answer_string(struct vine__answer *answer, const char *bytes, size_t size)
{
    vine__answer_string_begin(answer, size);
    vine__answer_piece(answer, bytes, size);
    vine__answer_string_end(answer);
}

void vine__answer_text(struct vine__answer *answer, const char *text)
{
    vine__answer_string(answer, text, strlen(text));
}

void vine__answer_json_piece(struct vine__answer *answer, const char *json, size_t size)
{
    const char *const end = json + size;
    const char *semicolon;

    while ((semicolon = memchr(json, ';', (size_t)(end - json))) != NULL) {
        vine__answer_piece(answer, json, (size_t)(semicolon - json));
        vine__answer_piece(answer, "\\u003b", 6);
        json = semicolon + 1;
    }
    vine__answer_piece(answer, json, (size_t)(end - json));
}

/* ---- errors ---------------------------------------------------------------------------------- */

/* The byte that no error of this shape has; 0: any may be there. */
static char taboo_of(uint8_t shape)
{
    return shape == VINE_SERVER_SHAPE_LIST ? ';' : shape == VINE_SERVER_SHAPE_PATH ? '/' : '\0';
}

/* An error as a sentence of one line that cannot be taken for a success of this shape: a word and a
 * blank is what neither UIDs nor configurations begin with. Returns its size. */
static size_t write_text(char text[TEXT_BYTES], uint8_t shape, enum vine_server_error error,
                         const char *detail)
{
    const char taboo = taboo_of(shape);
    size_t size;

    /* Two bytes stay for the end of an odd one. */
    (void)snprintf(text, TEXT_BYTES - 2,
                   shape == VINE_SERVER_SHAPE_STATUS ? "%d,%s" : "error %d: %s", (int)error,
                   detail != NULL ? detail : vine__command_error_text(error));
    size = strlen(text);
    for (size_t at = 0; at < size; at++)
        if ((unsigned char)text[at] < ' ' || text[at] == 0x7f ||
            (taboo != '\0' && text[at] == taboo))
            text[at] = ' ';
    if (shape == VINE_SERVER_SHAPE_UID && size % 2 == 0)
        text[size++] = '.';
    return size;
}

void vine__answer_refuse(struct vine__answer *answer, const struct vine__command *command,
                         uint32_t number, uint32_t version, enum vine_server_error error,
                         const char *detail)
{
    const uint8_t shape = command != NULL ? command->shape : VINE_SERVER_SHAPE_STATUS;
    char text[TEXT_BYTES];
    const size_t size = write_text(text, shape, error, detail);

    VINE_ASSERT(error != VINE_SERVER_E_DONE);
    write_head(answer, number, version);
    if (shape == VINE_SERVER_SHAPE_INTEGER) {
        vine__answer_integer(answer, -1);
    } else if (shape == VINE_SERVER_SHAPE_STATUS) {
        vine__answer_piece(answer, text, size);
        vine__answer_piece(answer, "\n", 1);
    } else {
        vine__answer_string(answer, text, size);
    }
}
