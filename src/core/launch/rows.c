/* SPDX-License-Identifier: Apache-2.0 */
/* The rows of both tables of options, and finding them. See options_internal.h. */
#include "core/launch/options_internal.h"

#include <string.h>

#include "utils/assert.h"
#include "utils/tables.h"

#define VINE__LAUNCH_ROW(field, text, type, value, preset, without, lowest, highest, meaning)      \
    {.name = (text),                                                                               \
     .kind = VINE_OPTION_##type,                                                                   \
     .shown = (value),                                                                             \
     .fallback = (preset),                                                                         \
     .bare = (without),                                                                            \
     .least = (lowest),                                                                            \
     .greatest = (highest),                                                                        \
     .help = (meaning)},

static const struct vine__option_row rows[] = {VINE__LAUNCH_OPTIONS(VINE__LAUNCH_ROW)};

VINE_STATIC_ASSERT(VINE_ARRAY_COUNT(rows) == VINE__LAUNCH_COUNT, "a row for each option");

uint32_t vine__option_rows(const struct vine_options *program)
{
    return VINE__LAUNCH_COUNT + (program == NULL ? 0 : (uint32_t)program->option_count);
}

struct vine__option_row vine__option_row(const struct vine_options *program, uint32_t index)
{
    static const char *const shown[] = {
        [VINE_OPTION_FLAG] = NULL,         [VINE_OPTION_COUNT] = "N",
        [VINE_OPTION_SIZE] = "SIZE",       [VINE_OPTION_MILLISECONDS] = "MS",
        [VINE_OPTION_TEXT] = "TEXT",       [VINE_OPTION_TEXTS] = "TEXT",
        [VINE_OPTION_ADDRESS] = "ADDRESS", [VINE_OPTION_ADDRESSES] = "ADDRESS",
        [VINE_OPTION_CHOICE] = "",
    };

    VINE_ASSERT(index < vine__option_rows(program));
    if (index < VINE__LAUNCH_COUNT)
        return rows[index];

    const struct vine_option *const own = &program->options[index - VINE__LAUNCH_COUNT];

    VINE_ASSERT(own->name != NULL && own->help != NULL && own->kind < VINE_OPTION_KIND_COUNT);
    VINE_ASSERT(own->kind != VINE_OPTION_CHOICE || own->shown != NULL);
    return (struct vine__option_row){
        .name = own->name,
        .kind = own->kind,
        .shown = own->shown != NULL ? own->shown : shown[own->kind],
        .fallback = own->fallback,
        .bare = own->kind == VINE_OPTION_FLAG ? "1" : NULL,
        .least = own->least,
        .greatest = own->greatest,
        .help = own->help,
    };
}

uint32_t vine__option_find(const struct vine_options *program, const char *name, size_t length)
{
    const uint32_t count = vine__option_rows(program);

    for (uint32_t i = 0; i < count; i++) {
        const struct vine__option_row row = vine__option_row(program, i);

        if (strlen(row.name) == length && memcmp(row.name, name, length) == 0)
            return i;
    }
    return UINT32_MAX;
}

#define NAME_MAX_COMPARED 40

/* How many letters have to be added, taken out or changed to make one name of the other
 * (Levenshtein's distance, by Wagner and Fischer's table, of which one line is kept). */
static uint32_t distance(const char *a, size_t a_length, const char *b)
{
    const size_t b_length = strlen(b);
    uint32_t line[NAME_MAX_COMPARED + 1];

    if (a_length > NAME_MAX_COMPARED || b_length > NAME_MAX_COMPARED)
        return UINT32_MAX;
    for (uint32_t j = 0; j <= b_length; j++)
        line[j] = j;
    for (size_t i = 1; i <= a_length; i++) {
        uint32_t corner = line[0];

        line[0] = (uint32_t)i;
        for (size_t j = 1; j <= b_length; j++) {
            uint32_t best = corner + (a[i - 1] != b[j - 1]);

            corner = line[j];
            if (line[j] + 1 < best)
                best = line[j] + 1;
            if (line[j - 1] + 1 < best)
                best = line[j - 1] + 1;
            line[j] = best;
        }
    }
    return line[b_length];
}

uint32_t vine__option_nearest(const struct vine_options *program, const char *name, size_t length)
{
    const uint32_t count = vine__option_rows(program);
    uint32_t least = (uint32_t)(length / 3) + 1, nearest = UINT32_MAX;

    if (length < 2)
        return UINT32_MAX;
    for (uint32_t i = 0; i < count; i++) {
        const struct vine__option_row row = vine__option_row(program, i);
        const uint32_t far = distance(name, length, row.name);

        if (far < least) {
            least = far;
            nearest = i;
        }
    }
    return nearest;
}

const char *vine__option_wish(const struct vine_options *program,
                              const struct vine__option_row *row)
{
    const size_t length = strlen(row->name);
    const char *wish = NULL;

    if (program == NULL || program->defaults == NULL)
        return NULL;
    for (const char *const *text = program->defaults; *text != NULL; text++)
        if (strncmp(*text, "--", 2) == 0 && strncmp(*text + 2, row->name, length) == 0 &&
            ((*text)[2 + length] == '=' || (*text)[2 + length] == '\0'))
            wish = (*text)[2 + length] == '=' ? *text + 2 + length + 1 : row->bare;
    return wish;
}
