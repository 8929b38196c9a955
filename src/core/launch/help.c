/* SPDX-License-Identifier: Apache-2.0 */
/* The tables of options as --help, as a page for man and as Markdown. See options.h. */
#include <stdio.h>
#include <string.h>

#include "core/launch/options_internal.h"

#define WIDTH   80
#define MEANING 30 /* the column in which it begins */

/* "default 200", "default: one a core", or "". */
static void describe_default(const struct vine_options *program, const struct vine__option_row *row,
                             char ret_text[VINE__RIGHT_BYTES])
{
    const char *const wish = vine__option_wish(program, row);
    const char *const text = wish != NULL ? wish : row->fallback;

    if (text == NULL)
        ret_text[0] = '\0';
    else if (text == row->fallback && text[0] == '(')
        snprintf(ret_text, VINE__RIGHT_BYTES, "default: %.*s", (int)strlen(text) - 2, text + 1);
    else
        snprintf(ret_text, VINE__RIGHT_BYTES, "default %s", text);
}

/* "--smp N", "--help[=text|man]", "--poll-mode". */
static void name_option(const struct vine__option_row *row, char ret_text[VINE__RIGHT_BYTES])
{
    if (row->shown == NULL)
        snprintf(ret_text, VINE__RIGHT_BYTES, "--%s", row->name);
    else if (row->bare != NULL)
        snprintf(ret_text, VINE__RIGHT_BYTES, "--%s[=%s]", row->name, row->shown);
    else
        snprintf(ret_text, VINE__RIGHT_BYTES, "--%s %s", row->name, row->shown);
}

static void help_rows(const struct vine_options *program, uint32_t first, uint32_t end,
                      const struct vine__lines *lines)
{
    for (uint32_t i = first; i < end; i++) {
        const struct vine__option_row row = vine__option_row(program, i);
        char name[VINE__RIGHT_BYTES], preset[VINE__RIGHT_BYTES];
        char text[VINE__LINE_BYTES], before[VINE__RIGHT_BYTES + 8];

        name_option(&row, name);
        describe_default(program, &row, preset);
        snprintf(text, sizeof(text), "%s%s%s%s", row.help, preset[0] != '\0' ? " (" : "", preset,
                 preset[0] != '\0' ? ")" : "");
        if (strlen(name) + 4 <= MEANING) {
            snprintf(before, sizeof(before), "  %-*s", MEANING - 2, name);
        } else {
            vine__lines_add(lines, "  %s", name);
            snprintf(before, sizeof(before), "%*s", MEANING, "");
        }
        vine__lines_wrap(lines, before, MEANING, WIDTH, text);
    }
}

void vine__launch_help(const struct vine_options *program, const char *name,
                       const struct vine__lines *lines)
{
    const uint32_t count = vine__option_rows(program);
    const char *const operands =
        program != NULL && program->operands != NULL ? program->operands : "";

    vine__lines_add(lines, "Usage: %s [OPTION...]%s%s", name, operands[0] != '\0' ? " " : "",
                    operands);
    if (program != NULL && program->summary != NULL)
        vine__lines_wrap(lines, "", 0, WIDTH, program->summary);
    if (count > VINE__LAUNCH_COUNT) {
        vine__lines_add(lines, "%s", "");
        vine__lines_add(lines, "Options:");
        help_rows(program, VINE__LAUNCH_COUNT, count, lines);
    }
    vine__lines_add(lines, "%s", "");
    vine__lines_add(lines, "Options of the reactors:");
    help_rows(program, 0, VINE__LAUNCH_COUNT, lines);
}

/* Text for roff: dashes as such, and no request at a line's start. */
static void escape(const char *text, char *ret_text, size_t capacity)
{
    size_t length = 0;

    if ((*text == '.' || *text == '\'') && capacity > 2) {
        ret_text[length++] = '\\';
        ret_text[length++] = '&';
    }
    for (; *text != '\0' && length + 3 < capacity; text++) {
        if (*text == '-' || *text == '\\')
            ret_text[length++] = '\\';
        ret_text[length++] = *text == '\\' ? 'e' : *text;
    }
    ret_text[length] = '\0';
}

static void manual_rows(const struct vine_options *program, uint32_t first, uint32_t end,
                        const struct vine__lines *lines)
{
    for (uint32_t i = first; i < end; i++) {
        const struct vine__option_row row = vine__option_row(program, i);
        char preset[VINE__RIGHT_BYTES], text[VINE__LINE_BYTES], escaped[VINE__LINE_BYTES];
        char name[VINE__RIGHT_BYTES];

        escape(row.name, name, sizeof(name));
        vine__lines_add(lines, ".TP");
        if (row.shown == NULL)
            vine__lines_add(lines, ".B \\-\\-%s", name);
        else if (row.bare != NULL)
            vine__lines_add(lines, ".B \\-\\-%s\\fR[=\\fI%s\\fR]", name, row.shown);
        else
            vine__lines_add(lines, ".B \\-\\-%s \\fI%s\\fR", name, row.shown);
        describe_default(program, &row, preset);
        snprintf(text, sizeof(text), "%s%s%s.", row.help, preset[0] != '\0' ? "; " : "", preset);
        escape(text, escaped, sizeof(escaped));
        vine__lines_add(lines, "%s", escaped);
    }
}

void vine__launch_manual(const struct vine_options *program, const char *name,
                         const struct vine__lines *lines)
{
    const uint32_t count = vine__option_rows(program);
    char escaped[VINE__RIGHT_BYTES], summary[VINE__LINE_BYTES / 2];

    escape(name, escaped, sizeof(escaped));
    vine__lines_add(lines, ".TH \"%s\" 1 \"\" \"%s\"", escaped,
                    program != NULL && program->version != NULL ? program->version : "");
    vine__lines_add(lines, ".SH NAME");
    escape(program != NULL && program->summary != NULL ? program->summary : "a program on reactors",
           summary, sizeof(summary));
    vine__lines_add(lines, "%s \\- %s", escaped, summary);
    vine__lines_add(lines, ".SH SYNOPSIS");
    vine__lines_add(lines, ".B %s", escaped);
    vine__lines_add(lines, "[\\fIOPTION\\fR...]");
    if (program != NULL && program->operands != NULL)
        vine__lines_add(lines, "\\fI%s\\fR", program->operands);
    if (count > VINE__LAUNCH_COUNT) {
        vine__lines_add(lines, ".SH OPTIONS");
        manual_rows(program, VINE__LAUNCH_COUNT, count, lines);
    }
    vine__lines_add(lines, ".SH OPTIONS OF THE REACTORS");
    manual_rows(program, 0, VINE__LAUNCH_COUNT, lines);
}

/* A bar would end the cell. */
static void escape_cell(const char *text, char *ret_text, size_t capacity)
{
    size_t length = 0;

    for (; *text != '\0' && length + 3 < capacity; text++) {
        if (*text == '|')
            ret_text[length++] = '\\';
        ret_text[length++] = *text;
    }
    ret_text[length] = '\0';
}

void vine__launch_markdown(const struct vine_options *program, const struct vine__lines *lines)
{
    const uint32_t count = vine__option_rows(program);

    vine__lines_add(lines, "| option | takes | default | what it does |");
    vine__lines_add(lines, "|---|---|---|---|");
    for (uint32_t i = 0; i < count; i++) {
        /* A program's own options first, as in help. */
        const uint32_t own_count = count - VINE__LAUNCH_COUNT;
        const struct vine__option_row row =
            vine__option_row(program, i < own_count ? VINE__LAUNCH_COUNT + i : i - own_count);
        char name[VINE__RIGHT_BYTES], cell[VINE__RIGHT_BYTES], right[VINE__RIGHT_BYTES];
        char preset[VINE__RIGHT_BYTES], help[VINE__LINE_BYTES];

        name_option(&row, name);
        escape_cell(name, cell, sizeof(cell));
        vine__option_describe(&row, right);
        describe_default(program, &row, preset);
        escape_cell(row.help, help, sizeof(help));
        vine__lines_add(
            lines, "| `%s` | %s | %s | %s |", cell, row.shown == NULL ? "nothing" : right,
            preset[0] == '\0' ? "none"
                              : preset + strlen("default") + 1 + (preset[strlen("default")] == ':'),
            help);
    }
}
