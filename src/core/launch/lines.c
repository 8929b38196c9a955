/* SPDX-License-Identifier: Apache-2.0 */
/* Text by lines. See lines.h. */
#include "core/launch/lines.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void vine__lines_add(const struct vine__lines *lines, const char *format, ...)
{
    char line[VINE__LINE_BYTES];
    va_list arguments;

    if (lines->fn == NULL)
        return;
    va_start(arguments, format);
    vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    lines->fn(lines->context, line);
}

/* Bytes of `text` that go on a line of `room` columns: up to the last blank, or a whole word that
 * is longer. */
static size_t part_of(const char *text, size_t room)
{
    const size_t length = strlen(text);
    size_t part = length <= room ? length : room;

    if (part == length)
        return length;
    while (part > 0 && text[part] != ' ')
        part--;
    return part > 0 ? part : strcspn(text, " ");
}

void vine__lines_wrap(const struct vine__lines *lines, const char *first, uint32_t indent,
                      uint32_t width, const char *text)
{
    const char *before = first;
    uint32_t column = (uint32_t)strlen(first);

    do {
        const size_t room = width > column ? width - column : 1;
        const size_t part = part_of(text, room);

        vine__lines_add(lines, "%*s%s%.*s", before == first ? 0 : (int)indent, "",
                        before == first ? first : "", (int)part, text);
        text += part;
        text += strspn(text, " ");
        before = NULL;
        column = indent;
    } while (*text != '\0');
}

const char *vine__bytes_text(uint64_t bytes, char ret_text[VINE__BYTES_TEXT])
{
    static const char *const units[] = {"bytes", "KiB", "MiB", "GiB", "TiB", "PiB"};
    uint32_t unit = 0;

    while (unit < 5 && bytes >> 10 * (unit + 1) != 0)
        unit++;

    const uint64_t whole = bytes >> 10 * unit;
    const uint64_t rest = bytes & ((UINT64_C(1) << 10 * unit) - 1);

    if (rest == 0)
        snprintf(ret_text, VINE__BYTES_TEXT, "%llu %s", (unsigned long long)whole, units[unit]);
    else /* hundredths of the unit, cut off */
        snprintf(ret_text, VINE__BYTES_TEXT, "%llu.%02llu %s", (unsigned long long)whole,
                 (unsigned long long)((rest >> (10 * unit - 10)) * 100 >> 10), units[unit]);
    return ret_text;
}
