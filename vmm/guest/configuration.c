/* SPDX-License-Identifier: Apache-2.0 */
#include "configuration.h"

#include <stdbool.h>
#include <string.h>

#include "utils/name.h"
#include "utils/tables.h"

static const struct keyword {
    const char *name;
    unsigned least, most;
    const char *usage;
} keywords[] = {
#define KEYWORD(kind, name, least, most, usage) [kind] = {name, least, most, usage},
    CONFIGURATION_KEYWORDS(KEYWORD)
#undef KEYWORD
};

const char *configuration_keyword(enum configuration_kind kind)
{
    return keywords[kind].name;
}

/* Take the next word off a line, in place: blanks end it, but not between quotes, where \" and \\
 * stand for a quote and a backslash. Returns false at the line's end, or with *ret_why. */
static bool take_word(char **line, char **ret_word, const char **ret_why)
{
    char *from = *line + strspn(*line, " \t\r");
    char *to = from;
    bool quoted = false;

    if (*from == '\0')
        return false;
    *ret_word = to;
    while (*from != '\0' && (quoted || strchr(" \t\r", *from) == NULL)) {
        if (*from == '"')
            quoted = !quoted;
        else if (quoted && *from == '\\' && (from[1] == '"' || from[1] == '\\'))
            *to++ = *++from;
        else
            *to++ = *from;
        from++;
    }
    if (quoted)
        *ret_why = "a quote is not closed";
    *line = *from == '\0' ? from : from + 1;
    *to = '\0';
    return !quoted;
}

static const char *check(const struct configuration_line *line)
{
    const struct keyword *const keyword = &keywords[line->kind];

    if (line->word_count < keyword->least || line->word_count > keyword->most)
        return keyword->usage;
    switch (line->kind) {
    case LINE_ENV:
        return line->words[0][0] == '=' || strchr(line->words[0], '=') == NULL ? keyword->usage
                                                                               : NULL;
    case LINE_RUN:
    case LINE_START:
    case LINE_KEEP:
        if (!vine__is_name(line->words[0], CONFIGURATION_NAME_MAX))
            return "a program's name has 1 to 31 letters, digits, dots, underscores and dashes";
        return line->words[1][0] != '/' ? "a program is named by its whole path" : NULL;
    case LINE_MOUNT:
        return line->words[1][0] != '/' ? "a directory is named by its whole path" : NULL;
    case LINE_WATCH:
        return strcmp(line->words[0], "yes") != 0 && strcmp(line->words[0], "no") != 0
                   ? keyword->usage
                   : NULL;
    case LINE_HOSTNAME:
    case LINE_NET:
    case LINE_POWEROFF:
        break;
    }
    return NULL;
}

/* Returns why the line is not understood, or NULL. What is not taken leaves no words behind. */
static const char *parse_line(char *text, unsigned number, struct configuration *configuration)
{
    struct configuration_line line = {
        .number = number,
        .words = &configuration->words[configuration->word_count],
    };
    const char *why = NULL;
    char *word;

    if (!take_word(&text, &word, &why))
        return why;
    if (word[0] == '#')
        return NULL;
    size_t kind = 0;
    while (kind < VINE_ARRAY_COUNT(keywords) && strcmp(keywords[kind].name, word) != 0)
        kind++;
    if (kind == VINE_ARRAY_COUNT(keywords))
        return "there is no such keyword";
    line.kind = (enum configuration_kind)kind;
    if (configuration->line_count == CONFIGURATION_LINES_MAX)
        return "there are too many lines";
    /* One word is left for the NULL. */
    const size_t room = CONFIGURATION_WORDS_MAX - configuration->word_count;
    while (take_word(&text, &word, &why)) {
        if (line.word_count + 1 >= room)
            return "there are too many words";
        line.words[line.word_count++] = word;
    }
    if (why == NULL)
        why = check(&line);
    if (why != NULL || room == 0)
        return why != NULL ? why : "there are too many words";
    line.words[line.word_count] = NULL;
    configuration->word_count += line.word_count + 1;
    configuration->lines[configuration->line_count++] = line;
    return NULL;
}

void configuration_parse(char *text, size_t size, configuration_complain_fn complain, void *context,
                         struct configuration *ret_configuration)
{
    char *const end = text + size;
    unsigned number = 0;

    ret_configuration->line_count = 0;
    ret_configuration->word_count = 0;
    while (text < end) {
        char *newline = memchr(text, '\n', (size_t)(end - text));
        char *const stop = newline != NULL ? newline : end;
        const bool has_zero = memchr(text, '\0', (size_t)(stop - text)) != NULL;

        *stop = '\0';
        number++;
        const char *why =
            has_zero ? "it has a zero byte" : parse_line(text, number, ret_configuration);
        if (why != NULL)
            complain(context, number, why);
        text = stop + 1;
    }
}
