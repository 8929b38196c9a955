/* SPDX-License-Identifier: Apache-2.0 */
#include <string.h>

#include "core/resp/number.h"
#include "core/resp/resp_internal.h"

/* A type, the digits of any number, a line's end. */
#define HEAD_BYTES_MAX (1 + 1 + VINE__RESP_INTEGER_BYTES + 2)

void vine_resp_writer_init(struct vine_resp_writer *writer, char *bytes, size_t room_bytes,
                           uint8_t protocol)
{
    VINE_ASSERT(protocol == 2 || protocol == 3);
    *writer = (struct vine_resp_writer){
        .bytes = bytes,
        .room_bytes = room_bytes,
        .protocol = protocol,
    };
}

/* Where `size` bytes go, or NULL. */
static char *reserve(struct vine_resp_writer *writer, size_t size)
{
    char *const bytes = writer->bytes + writer->size_bytes;

    if (size > vine_resp_writer_room(writer)) {
        writer->is_full = true;
        return NULL;
    }
    writer->size_bytes += size;
    return bytes;
}

static bool write_bytes(struct vine_resp_writer *writer, const char *bytes, size_t size)
{
    char *const to = reserve(writer, size);

    if (to == NULL)
        return false;
    memcpy(to, bytes, size);
    return true;
}

/* Compose the head of a type with a number. Returns its size. */
static size_t compose_head(char head[HEAD_BYTES_MAX], enum vine_resp_type type, int64_t number)
{
    size_t size = 0;

    head[size++] = (char)type;
    if (number < 0)
        head[size++] = '-';
    if (number >= 0 && number <= 9)
        head[size++] = (char)('0' + number);
    else
        size +=
            vine__resp_digits(number < 0 ? 0 - (uint64_t)number : (uint64_t)number, head + size);
    head[size++] = '\r';
    head[size++] = '\n';
    return size;
}

static bool write_head(struct vine_resp_writer *writer, enum vine_resp_type type, int64_t number)
{
    char head[HEAD_BYTES_MAX];

    return write_bytes(writer, head, compose_head(head, type, number));
}

/* A line of a type with the text of two parts. */
static bool write_line(struct vine_resp_writer *writer, enum vine_resp_type type, const char *text,
                       size_t size)
{
    char *to = reserve(writer, size + 3);

    if (to == NULL)
        return false;
    *to++ = (char)type;
    for (size_t n = 0; n < size; n++)
        *to++ = text[n] == '\r' || text[n] == '\n' ? ' ' : text[n];
    *to++ = '\r';
    *to = '\n';
    return true;
}

bool vine_resp_write_simple(struct vine_resp_writer *writer, const char *text)
{
    return write_line(writer, VINE_RESP_SIMPLE, text, strlen(text));
}

bool vine_resp_write_error(struct vine_resp_writer *writer, const char *text)
{
    return write_line(writer, VINE_RESP_ERROR, text, strlen(text));
}

bool vine_resp_write_integer(struct vine_resp_writer *writer, int64_t number)
{
    return write_head(writer, VINE_RESP_INTEGER, number);
}

/* A bulk whose bytes are two parts. */
static bool write_parts(struct vine_resp_writer *writer, enum vine_resp_type type,
                        const char *before, size_t before_size, const char *bytes, size_t size)
{
    char head[HEAD_BYTES_MAX];
    const size_t head_size = compose_head(head, type, (int64_t)(before_size + size));
    char *to = reserve(writer, head_size + before_size + size + 2);

    if (to == NULL)
        return false;
    memcpy(to, head, head_size);
    to += head_size;
    memcpy(to, before, before_size);
    to += before_size;
    if (size > 0)
        memcpy(to, bytes, size);
    to[size] = '\r';
    to[size + 1] = '\n';
    return true;
}

bool vine_resp_write_bulk(struct vine_resp_writer *writer, const char *bytes, size_t size_bytes)
{
    return write_parts(writer, VINE_RESP_BULK, "", 0, bytes, size_bytes);
}

bool vine_resp_write_null(struct vine_resp_writer *writer)
{
    return writer->protocol == 3 ? write_bytes(writer, "_\r\n", 3)
                                 : write_bytes(writer, "$-1\r\n", 5);
}

bool vine_resp_write_null_array(struct vine_resp_writer *writer)
{
    return writer->protocol == 3 ? write_bytes(writer, "_\r\n", 3)
                                 : write_bytes(writer, "*-1\r\n", 5);
}

bool vine_resp_write_boolean(struct vine_resp_writer *writer, bool is_true)
{
    if (writer->protocol == 3)
        return write_bytes(writer, is_true ? "#t\r\n" : "#f\r\n", 4);
    return vine_resp_write_integer(writer, is_true);
}

bool vine_resp_write_double(struct vine_resp_writer *writer, double number)
{
    char text[VINE__RESP_DOUBLE_BYTES];
    const size_t size = vine__resp_double_text(number, text);

    if (writer->protocol == 3)
        return write_line(writer, VINE_RESP_DOUBLE, text, size);
    return vine_resp_write_bulk(writer, text, size);
}

bool vine_resp_write_big_number(struct vine_resp_writer *writer, const char *digits,
                                size_t size_bytes)
{
    if (writer->protocol == 3)
        return write_line(writer, VINE_RESP_BIG_NUMBER, digits, size_bytes);
    return vine_resp_write_bulk(writer, digits, size_bytes);
}

bool vine_resp_write_verbatim(struct vine_resp_writer *writer, const char format[4],
                              const char *bytes, size_t size_bytes)
{
    const char before[4] = {format[0], format[1], format[2], ':'};

    if (writer->protocol == 3)
        return write_parts(writer, VINE_RESP_VERBATIM, before, 4, bytes, size_bytes);
    return vine_resp_write_bulk(writer, bytes, size_bytes);
}

bool vine_resp_write_array(struct vine_resp_writer *writer, size_t count)
{
    return write_head(writer, VINE_RESP_ARRAY, (int64_t)count);
}

bool vine_resp_write_map(struct vine_resp_writer *writer, size_t count)
{
    if (writer->protocol == 3)
        return write_head(writer, VINE_RESP_MAP, (int64_t)count);
    return vine_resp_write_array(writer, 2 * count);
}

bool vine_resp_write_set(struct vine_resp_writer *writer, size_t count)
{
    return write_head(writer, writer->protocol == 3 ? VINE_RESP_SET : VINE_RESP_ARRAY,
                      (int64_t)count);
}

bool vine_resp_write_push(struct vine_resp_writer *writer, size_t count)
{
    return write_head(writer, writer->protocol == 3 ? VINE_RESP_PUSH : VINE_RESP_ARRAY,
                      (int64_t)count);
}

bool vine_resp_write_bulk_begin(struct vine_resp_writer *writer, size_t size_bytes)
{
    return write_head(writer, VINE_RESP_BULK, (int64_t)size_bytes);
}

size_t vine_resp_write_piece(struct vine_resp_writer *writer, const char *bytes, size_t size_bytes)
{
    const size_t room = vine_resp_writer_room(writer);
    const size_t taken = size_bytes < room ? size_bytes : room;

    if (taken > 0)
        memcpy(reserve(writer, taken), bytes, taken);
    return taken;
}

bool vine_resp_write_bulk_end(struct vine_resp_writer *writer)
{
    return write_bytes(writer, "\r\n", 2);
}
