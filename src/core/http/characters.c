/* SPDX-License-Identifier: Apache-2.0 */
/* Which characters may stand where, and the small parts that all messages are made of. */
#include "http_internal.h"

/* ---- tables ---------------------------------------------------------------------------------- */

#define T VINE__HTTP_TOKEN
#define R VINE__HTTP_TARGET
#define V VINE__HTTP_VALUE
#define H VINE__HTTP_HOST
#define E VINE__HTTP_ETAG
#define U VINE__HTTP_UPPER
#define P VINE__HTTP_PATH

#define LETTER(c)  [c] = T | R | V | H | E | P, [(c)-0x20] = T | R | V | H | E | P | U
#define ALNUM(c)   [c] = T | R | V | H | E | P
#define OBSOLETE   (V | E) /* obs-text, which is passed on as it is */
#define SIXTEEN(c) [(c)...(c) + 15] = OBSOLETE

const uint8_t vine__http_classes[256] = {
    ['\t'] = V,
    [' '] = V,
    ['!'] = T | R | V | H | E | P,
    ['"'] = R | V,
    ['#'] = T | V | E,
    ['$'] = T | R | V | H | E | P,
    ['%'] = T | R | V | E,
    ['&'] = T | R | V | H | E | P,
    ['\''] = T | R | V | H | E | P,
    ['('] = R | V | H | E | P,
    [')'] = R | V | H | E | P,
    ['*'] = T | R | V | H | E | P,
    ['+'] = T | R | V | H | E | P,
    [','] = R | V | H | E | P,
    ['-'] = T | R | V | H | E | P,
    ['.'] = T | R | V | H | E | P,
    ['/'] = R | V | E | P,
    ALNUM('0'),
    ALNUM('1'),
    ALNUM('2'),
    ALNUM('3'),
    ALNUM('4'),
    ALNUM('5'),
    ALNUM('6'),
    ALNUM('7'),
    ALNUM('8'),
    ALNUM('9'),
    [':'] = R | V | E | P,
    [';'] = R | V | H | E | P,
    ['<'] = R | V | E,
    ['='] = R | V | H | E | P,
    ['>'] = R | V | E,
    ['?'] = V | E,
    ['@'] = R | V | E | P,
    LETTER('a'),
    LETTER('b'),
    LETTER('c'),
    LETTER('d'),
    LETTER('e'),
    LETTER('f'),
    LETTER('g'),
    LETTER('h'),
    LETTER('i'),
    LETTER('j'),
    LETTER('k'),
    LETTER('l'),
    LETTER('m'),
    LETTER('n'),
    LETTER('o'),
    LETTER('p'),
    LETTER('q'),
    LETTER('r'),
    LETTER('s'),
    LETTER('t'),
    LETTER('u'),
    LETTER('v'),
    LETTER('w'),
    LETTER('x'),
    LETTER('y'),
    LETTER('z'),
    ['['] = R | V | E,
    ['\\'] = R | V | E,
    [']'] = R | V | E,
    ['^'] = T | R | V | E,
    ['_'] = T | R | V | H | E | P,
    ['`'] = T | R | V | E,
    ['{'] = R | V | E,
    ['|'] = T | R | V | E,
    ['}'] = R | V | E,
    ['~'] = T | R | V | H | E | P,
    SIXTEEN(0x80),
    SIXTEEN(0x90),
    SIXTEEN(0xa0),
    SIXTEEN(0xb0),
    SIXTEEN(0xc0),
    SIXTEEN(0xd0),
    SIXTEEN(0xe0),
    SIXTEEN(0xf0),
};

/* ---- pieces of text -------------------------------------------------------------------------- */

VINE__INSIDE bool vine__http_same(const char *text, const char *lower, size_t size_bytes)
{
    for (size_t i = 0; i < size_bytes; i++)
        if (vine__http_lower(text[i]) != lower[i])
            return false;
    return true;
}

VINE__INSIDE bool vine_http_is(struct vine_http_slice slice, const char *text)
{
    for (size_t i = 0; i < slice.size; i++)
        if (text[i] == '\0' || vine__http_lower(slice.text[i]) != vine__http_lower(text[i]))
            return false;
    return text[slice.size] == '\0';
}

VINE__INSIDE bool vine__http_is_token(struct vine_http_slice text)
{
    for (size_t i = 0; i < text.size; i++)
        if (!vine__http_is_class(text.text[i], VINE__HTTP_TOKEN))
            return false;
    return text.size > 0;
}

VINE__INSIDE struct vine_http_slice vine__http_trim(struct vine_http_slice text)
{
    while (text.size > 0 && vine__http_is_blank(text.text[0])) {
        text.text++;
        text.size--;
    }
    while (text.size > 0 && vine__http_is_blank(text.text[text.size - 1]))
        text.size--;
    return text;
}

VINE__INSIDE bool vine__http_number(struct vine_http_slice text, uint64_t *ret_number)
{
    uint64_t number = 0;

    for (size_t i = 0; i < text.size; i++) {
        const unsigned digit = (unsigned char)(text.text[i] - '0');

        if (digit > 9 || number > ((uint64_t)INT64_MAX - digit) / 10)
            return false;
        number = number * 10 + digit;
    }
    if (text.size == 0)
        return false;
    *ret_number = number;
    return true;
}

/* The size of the member that `text` begins with: up to a comma outside of quoted strings. */
VINE__INSIDE static size_t member_size(struct vine_http_slice text)
{
    bool is_quoted = false;

    for (size_t i = 0; i < text.size; i++) {
        if (text.text[i] == '"')
            is_quoted = !is_quoted;
        else if (text.text[i] == '\\' && is_quoted)
            i++;
        else if (text.text[i] == ',' && !is_quoted)
            return i;
    }
    return text.size;
}

VINE__INSIDE bool vine_http_list_next(struct vine_http_slice *rest,
                                      struct vine_http_slice *ret_member)
{
    while (rest->size > 0) {
        struct vine_http_slice member = {rest->text, member_size(*rest)};
        const size_t used = member.size < rest->size ? member.size + 1 : member.size;

        rest->text += used;
        rest->size -= used;
        member = vine__http_trim(member);
        if (member.size > 0) {
            *ret_member = member;
            return true;
        }
    }
    return false;
}

/* ---- hosts ----------------------------------------------------------------------------------- */

/* Up to the ']' of "[2001:db8::1]". Which addresses there are is for who connects to one. */
VINE__INSIDE static size_t literal_size(struct vine_http_slice text)
{
    for (size_t i = 1; i < text.size; i++) {
        if (text.text[i] == ']')
            return i > 1 ? i + 1 : 0;
        if (text.text[i] != ':' && !vine__http_is_class(text.text[i], VINE__HTTP_HOST))
            return 0;
    }
    return 0;
}

/* At most 65535; zeros in front are counted among its five digits. */
VINE__INSIDE static bool is_port(struct vine_http_slice text)
{
    unsigned port = 0;

    if (text.size > 5)
        return false;
    for (size_t i = 0; i < text.size; i++) {
        if (!vine__http_is_digit(text.text[i]))
            return false;
        port = port * 10 + (unsigned)(text.text[i] - '0');
    }
    return port <= 65535;
}

VINE__INSIDE bool vine__http_is_authority(struct vine_http_slice text, bool wants_port)
{
    size_t at = 0;

    if (text.size > 0 && text.text[0] == '[') {
        at = literal_size(text);
        if (at == 0)
            return false;
    } else {
        while (at < text.size) {
            /* The ':' is of no host's name. */
            if (vine__http_is_class(text.text[at], VINE__HTTP_HOST)) {
                at++;
                continue;
            }
            if (text.text[at] == ':')
                break;
            if (text.text[at] != '%' || text.size - at < 3 ||
                vine__http_hex(text.text[at + 1]) > 15 || vine__http_hex(text.text[at + 2]) > 15)
                return false;
            at += 3;
        }
    }
    if (at == text.size)
        return !wants_port;
    const struct vine_http_slice port = {text.text + at + 1, text.size - at - 1};

    return text.text[at] == ':' && is_port(port) && (!wants_port || (at > 0 && port.size > 0));
}
