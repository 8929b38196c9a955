/* SPDX-License-Identifier: Apache-2.0 */
/* Values by themselves: numbers, sizes, switches, paths. See utils/config.h. */
#include "utils/config.h"

#include "utils/bits.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/* Independent of the locale, and of the sign of char. */
static int digit_of(char c)
{
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return 16;
}

/* Read digits from `*text` on, which moves behind them. */
static int parse_digits(const char **text, int base, uint64_t *ret_value)
{
    uint64_t value = 0;
    const char *at = *text;
    if (digit_of(*at) >= base)
        return -EINVAL;
    int error = 0;
    for (; digit_of(*at) < base; at++) {
        if (vine__multiply_overflows_u64(value, (uint64_t)base, &value) ||
            vine__add_overflows_u64(value, (uint64_t)digit_of(*at), &value))
            error = -ERANGE; /* unless what follows makes it no number at all */
    }
    *text = at;
    *ret_value = value;
    return error;
}

static bool is_hexadecimal(const char *text)
{
    return text[0] == '0' && (text[1] == 'x' || text[1] == 'X');
}

int vine__parse_unsigned(const char *text, uint64_t *ret_value)
{
    uint64_t value;
    const bool hexadecimal = is_hexadecimal(text);
    if (hexadecimal)
        text += 2;
    const int error = parse_digits(&text, hexadecimal ? 16 : 10, &value);
    if (error == -EINVAL || *text != '\0')
        return -EINVAL;
    if (error == 0)
        *ret_value = value;
    return error;
}

/* Whether `text` is `letter`, "letterB" or "letteriB", in any case. */
static bool is_unit(const char *text, char letter)
{
    /* Lower case for ASCII letters; nothing else becomes one by it that matters here. */
    if ((text[0] | 0x20) != letter)
        return false;
    text++;
    if ((text[0] | 0x20) == 'i' && (text[1] | 0x20) == 'b')
        text++;
    if ((text[0] | 0x20) == 'b')
        text++;
    return text[0] == '\0';
}

int vine__parse_size(const char *text, uint64_t *ret_bytes)
{
    if (is_hexadecimal(text))
        return vine__parse_unsigned(text, ret_bytes);

    uint64_t value = 0;
    const int error = parse_digits(&text, 10, &value);
    if (error == -EINVAL)
        return error;
    const char *unit = text + strspn(text, " \t");
    uint32_t shift = 0;
    if (*unit != '\0') {
        static const char letters[] = "kmgtp";
        if ((unit[0] | 0x20) != 'b' || unit[1] != '\0') {
            while (letters[shift] != '\0' && !is_unit(unit, letters[shift]))
                shift++;
            if (letters[shift] == '\0')
                return -EINVAL;
            shift = (shift + 1) * 10;
        }
    } else if (unit != text) {
        return -EINVAL; /* blanks at the end, which a file's value never has */
    }
    if (error != 0)
        return error;
    return vine__multiply_overflows_u64(value, UINT64_C(1) << shift, ret_bytes) ? -ERANGE : 0;
}

/* What is behind the point, in parts of a unit: what is less than a nanosecond is left out. */
static uint64_t parse_fraction(const char **text, uint64_t unit_ns)
{
    uint64_t ns = 0, part = unit_ns;

    for (; **text >= '0' && **text <= '9'; ++*text) {
        part /= 10;
        ns += part * (uint64_t)(**text - '0');
    }
    return ns;
}

int vine__parse_duration(const char *text, uint64_t *ret_ns)
{
    static const struct {
        const char *name;
        uint64_t ns;
    } units[] = {
        {"ns", 1},          {"us", 1000},          {"ms", 1000000},
        {"s", 1000000000u}, {"min", 60000000000u}, {"h", 3600000000000u},
    };
    uint64_t value = 0;
    const int error = parse_digits(&text, 10, &value);
    const char *point = text;

    if (error == -EINVAL)
        return error;
    if (*text == '\0' && value == 0 && error == 0) {
        *ret_ns = 0;
        return 0;
    }
    if (*point == '.' && (point[1] < '0' || point[1] > '9'))
        return -EINVAL;
    if (*point == '.')
        text += 1 + strspn(point + 1, "0123456789");
    for (size_t i = 0; i < sizeof(units) / sizeof(units[0]); i++) {
        uint64_t ns;

        if (strcmp(text, units[i].name) != 0)
            continue;
        if (error != 0 || vine__multiply_overflows_u64(value, units[i].ns, &ns))
            return -ERANGE;
        if (*point++ == '.' &&
            vine__add_overflows_u64(ns, parse_fraction(&point, units[i].ns), &ns))
            return -ERANGE;
        *ret_ns = ns;
        return 0;
    }
    return -EINVAL;
}

int vine__parse_bool(const char *text, bool *ret_value)
{
    if ((text[0] != '0' && text[0] != '1') || text[1] != '\0')
        return -EINVAL;
    *ret_value = text[0] == '1';
    return 0;
}

int vine__expand_path(const char *text, const char *home, char **ret_path)
{
    const char *rest = text;
    size_t home_length = 0;
    if (text[0] == '~') {
        if (text[1] != '\0' && text[1] != '/')
            return -EINVAL;
        if (home == NULL || home[0] == '\0')
            return -ENOENT;
        rest = text + 1;
        home_length = strlen(home);
    }
    const size_t rest_size = strlen(rest) + 1;
    char *path = malloc(home_length + rest_size);
    if (path == NULL)
        return -ENOMEM;
    if (home_length > 0)
        memcpy(path, home, home_length);
    memcpy(path + home_length, rest, rest_size);
    *ret_path = path;
    return 0;
}
