/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_internal.h - what the files of this folder share: classes of characters, words of eight
 * bytes, field lines.
 *
 * Owns:     constant tables.
 * Threads:  any.
 * Blocking: never.
 * Trust:    bytes are a peer's. Nothing is read at or behind the end that goes with them.
 * Limits:   little-endian machines, as everywhere in Vine.
 */
#ifndef VINE_HTTP_INTERNAL_H
#define VINE_HTTP_INTERNAL_H

#include <vine/error.h>
#include <vine/http.h>

#include "utils/assert.h"
#include "utils/inside.h"

/* ---- characters ------------------------------------------------------------------------------ */

#define VINE__HTTP_TOKEN  0x01u /* RFC 9110 5.6.2, tchar */
#define VINE__HTTP_TARGET 0x02u /* 0x21 to 0x7e but '#' and '?' */
#define VINE__HTTP_VALUE  0x04u /* field-vchar, SP and HTAB: all but controls */
#define VINE__HTTP_HOST   0x08u /* RFC 3986 3.2.2, reg-name, but '%' */
#define VINE__HTTP_ETAG   0x10u /* RFC 9110 8.8.3, etagc */
#define VINE__HTTP_UPPER  0x20u
#define VINE__HTTP_PATH   0x40u /* RFC 3986 3.3, pchar and '/' but '%' */

extern const uint8_t vine__http_classes[256];

VINE__INSIDE static inline bool vine__http_is_class(char character, unsigned class)
{
    return (vine__http_classes[(unsigned char)character] & class) != 0;
}

VINE__INSIDE static inline bool vine__http_is_blank(char character)
{
    return character == ' ' || character == '\t';
}

VINE__INSIDE static inline bool vine__http_is_digit(char character)
{
    return (unsigned char)(character - '0') < 10;
}

VINE__INSIDE static inline char vine__http_lower(char character)
{
    const unsigned byte = (unsigned char)character;

    return (char)(byte | (vine__http_classes[byte] & VINE__HTTP_UPPER));
}

/* The value of a hexadecimal digit; 16 or more of all else. */
VINE__INSIDE static inline unsigned vine__http_hex(char character)
{
    const unsigned letter = (unsigned char)(character | 0x20) - 'a';

    if (vine__http_is_digit(character))
        return (unsigned)(character - '0');
    return letter < 6 ? letter + 10 : 16;
}

/* Whether both are the same but for case; `lower` is in lower case. */
bool vine__http_same(const char *text, const char *lower, size_t size_bytes);

/* Whether `text` is a token: one character at least, of those that a token is made of. */
bool vine__http_is_token(struct vine_http_slice text);

/* Without white space at both ends. */
struct vine_http_slice vine__http_trim(struct vine_http_slice text);

/* Digits alone, at most INT64_MAX. Returns whether it was that. */
bool vine__http_number(struct vine_http_slice text, uint64_t *ret_number);

/* The host and perhaps the port of an address (RFC 3986 3.2 without user information). */
bool vine__http_is_authority(struct vine_http_slice text, bool wants_port);

/* The known field of that name, or VINE_HTTP_FIELD_OTHER. `size_bytes` is at least 1. */
uint8_t vine__http_known(const char *name, size_t size_bytes);

/* Names of known fields in lower case, by id. */
struct vine__http_name {
    const char *text;
    uint8_t size;
};
extern const struct vine__http_name vine__http_names[VINE_HTTP_FIELD_COUNT];

/* ---- eight bytes at once --------------------------------------------------------------------- */

/* Each marks the bytes that it looks for by their highest bit. Marks above the lowest one may be
 * wrong, because subtraction borrows; the lowest is right (Mycroft's test for a zero byte). */
#define VINE__HTTP_ONES  UINT64_C(0x0101010101010101)
#define VINE__HTTP_HIGHS UINT64_C(0x8080808080808080)

VINE__INSIDE static inline uint64_t vine__http_load(const char *bytes)
{
    uint64_t word;

    memcpy(&word, bytes, sizeof(word));
    return word;
}

VINE__INSIDE static inline uint64_t vine__http_mark_below(uint64_t word, unsigned limit)
{
    return (word - VINE__HTTP_ONES * limit) & ~word & VINE__HTTP_HIGHS;
}

VINE__INSIDE static inline uint64_t vine__http_mark_equal(uint64_t word, unsigned character)
{
    return vine__http_mark_below(word ^ VINE__HTTP_ONES * character, 1);
}

/* How many bytes lie below the lowest mark. `marks` is not 0. */
VINE__INSIDE static inline unsigned vine__http_first_mark(uint64_t marks)
{
    return (unsigned)__builtin_ctzll(marks) / 8;
}

/* ---- heads ----------------------------------------------------------------------------------- */

enum vine__http_stage {
    VINE__HTTP_START_LINE,
    VINE__HTTP_FIELD_LINES,
    VINE__HTTP_WHOLE,
    VINE__HTTP_REFUSED,
};

void vine__http_head_init(struct vine_http_head *head, struct vine_http_field *fields,
                          size_t field_max, size_t size_max);

/* Remember why, and be refused from now on. Returns -VINE_EPROTOCOL. */
int vine__http_refuse(struct vine_http_head *head, unsigned status, size_t offset,
                      const char *what);

#define VINE__HTTP_BARE_CR "a carriage return without a line feed"

/* For a byte that is wrong there: a zero or a line feed is called that, else it is `what`. Returns
 * -VINE_EPROTOCOL. */
int vine__http_refuse_byte(struct vine_http_head *head, size_t offset, const char *what);

/*
 * Whether there is something to parse in `size_bytes` bytes, some of which were searched for the
 * end of a line before.
 */
bool vine__http_line_came(struct vine_http_head *head, size_t size_bytes);

/*
 * Field lines from head->line_at on, within `size_bytes` bytes.
 *
 * Returns the size up to behind the empty line; 0: more is wanted; -VINE_EPROTOCOL.
 */
int vine__http_fields(struct vine_http_head *head, size_t size_bytes);

/* More bytes are wanted, from this line on. Returns 0. */
VINE__INSIDE static inline int vine__http_wait(struct vine_http_head *head, size_t line_at,
                                               size_t size_bytes)
{
    head->line_at = (uint16_t)line_at;
    head->searched = (uint16_t)size_bytes;
    return 0;
}

/* ---- framing --------------------------------------------------------------------------------- */

#define VINE__HTTP_BIT(id) (UINT64_C(1) << VINE_HTTP_FIELD_##id)

/* What Connection says. */
struct vine__http_connection {
    bool closes;
    bool keeps_alive;
    bool upgrades;
};

void vine__http_read_connection(const struct vine_http_head *head,
                                struct vine__http_connection *ret_connection);

/* The only Content-Length, which there is. Returns 0 or -VINE_EPROTOCOL. */
int vine__http_read_length(struct vine_http_head *head, uint64_t *ret_length);

/* Of Transfer-Encoding, which there is. */
enum vine__http_coding {
    VINE__HTTP_CODING_CHUNKED, /* alone */
    VINE__HTTP_CODING_OTHERS,  /* others, and chunked once, at last */
    VINE__HTTP_CODING_UNENDED, /* others alone */
    VINE__HTTP_CODING_WRONG,   /* no list of codings, or chunked elsewhere */
};

enum vine__http_coding vine__http_read_coding(const struct vine_http_head *head);

#endif
