/* SPDX-License-Identifier: Apache-2.0 */
#include "core/resp/number.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/resp/resp_internal.h"

#define DOUBLE_READ_MAX 63     /* bytes */
#define EXPONENT_MAX    100000 /* beyond any double's, however many digits stand before it */
#define EXPONENT_BYTES  16

bool vine_resp_integer(const char *bytes, size_t size_bytes, int64_t *ret_number)
{
    const bool is_negative = size_bytes > 0 && bytes[0] == '-';
    const size_t first = is_negative;
    const uint64_t magnitude_max = (uint64_t)INT64_MAX + is_negative;
    uint64_t magnitude = 0;

    if (size_bytes == first)
        return false;
    if (bytes[first] == '0') {
        if (size_bytes != 1)
            return false;
        *ret_number = 0;
        return true;
    }
    for (size_t at = first; at < size_bytes; at++) {
        const unsigned char digit = (unsigned char)(bytes[at] - '0');

        if (digit > 9 || __builtin_mul_overflow(magnitude, 10, &magnitude) ||
            __builtin_add_overflow(magnitude, digit, &magnitude))
            return false;
    }
    if (magnitude > magnitude_max)
        return false;
    *ret_number = is_negative ? (int64_t)(0 - magnitude) : (int64_t)magnitude;
    return true;
}

size_t vine__resp_digits(uint64_t number, char text[VINE__RESP_INTEGER_BYTES])
{
    char digits[VINE__RESP_INTEGER_BYTES];
    size_t size = 0;

    do {
        digits[size++] = (char)('0' + number % 10);
        number /= 10;
    } while (number != 0);
    for (size_t n = 0; n < size; n++)
        text[n] = digits[size - 1 - n];
    return size;
}

size_t vine__resp_pointed(char *text)
{
    size_t size = 0;

    for (const char *from = text; *from != '\0'; from++) {
        if (strchr("0123456789+-e", *from) != NULL)
            text[size++] = *from;
        else if (size == 0 || text[size - 1] != '.')
            text[size++] = '.';
    }
    text[size] = '\0';
    return size;
}

size_t vine__resp_double_text(double number, char text[VINE__RESP_DOUBLE_BYTES])
{
    if (__builtin_isnan(number))
        return (size_t)snprintf(text, VINE__RESP_DOUBLE_BYTES, "nan");
    if (__builtin_isinf(number))
        return (size_t)snprintf(text, VINE__RESP_DOUBLE_BYTES, number < 0 ? "-inf" : "inf");
    /* 17 digits always suffice, and most numbers that people have written need no more than 15. */
    for (int digits = 15;; digits++) {
        double again = 0;
        size_t size;

        (void)snprintf(text, VINE__RESP_DOUBLE_BYTES, "%.*g", digits, number);
        size = vine__resp_pointed(text);
        if (digits == 17 ||
            (vine__resp_double(text, size, &again) && again >= number && again <= number))
            return size;
    }
}

/* Whether libc's idea of a number and the protocol's are one: digits, perhaps a point and digits,
 * perhaps an exponent. */
static bool is_number(const char *bytes, size_t size)
{
    const size_t first = size > 0 && (bytes[0] == '-' || bytes[0] == '+');
    bool is_point_allowed = true, is_exponent_allowed = true, ends_with_digit = false;

    for (size_t at = first; at < size; at++) {
        const char byte = bytes[at];

        if (byte >= '0' && byte <= '9') {
            ends_with_digit = true;
            continue;
        }
        if (byte == '.' && is_point_allowed && ends_with_digit) {
            is_point_allowed = false;
        } else if ((byte == 'e' || byte == 'E') && is_exponent_allowed && ends_with_digit) {
            is_point_allowed = false;
            is_exponent_allowed = false;
            if (at + 1 < size && (bytes[at + 1] == '-' || bytes[at + 1] == '+'))
                at++;
        } else {
            return false;
        }
        ends_with_digit = false;
    }
    return ends_with_digit;
}

/* The same number without a point, which libc reads as the program's locale has it: "1.5e3" is
 * "15e2". `text` has room for an exponent behind all of the bytes. */
static void without_point(const char *bytes, size_t size, char *text)
{
    int64_t exponent = 0;
    size_t at = 0, to = 0, point = size;

    for (; at < size && (bytes[at] | 0x20) != 'e'; at++) {
        if (bytes[at] == '.')
            point = at;
        else
            text[to++] = bytes[at];
    }
    if (at < size) {
        const size_t first = at + 1 + (bytes[at + 1] == '+');
        const bool is_negative = bytes[first] == '-';

        for (size_t n = first + is_negative; n < size && exponent < EXPONENT_MAX; n++)
            exponent = exponent * 10 + (bytes[n] - '0');
        exponent = is_negative ? -exponent : exponent;
    }
    if (point < at)
        exponent -= (int64_t)(at - point - 1);
    (void)snprintf(text + to, EXPONENT_BYTES, "e%lld", (long long)exponent);
}

bool vine__resp_double(const char *bytes, size_t size_bytes, double *ret_number)
{
    static const struct {
        const char *text;
        double number;
    } words[] = {{"inf", __builtin_inf()}, {"-inf", -__builtin_inf()}, {"nan", __builtin_nan("")}};
    char text[DOUBLE_READ_MAX + EXPONENT_BYTES];

    for (size_t n = 0; n < sizeof(words) / sizeof(words[0]); n++) {
        if (size_bytes == strlen(words[n].text) && memcmp(bytes, words[n].text, size_bytes) == 0) {
            *ret_number = words[n].number;
            return true;
        }
    }
    if (size_bytes > DOUBLE_READ_MAX || !is_number(bytes, size_bytes))
        return false;
    without_point(bytes, size_bytes, text);
    *ret_number = strtod(text, NULL);
    return true;
}
