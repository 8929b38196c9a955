/* SPDX-License-Identifier: Apache-2.0 */
/* Reading a command line. See options.h. */
#include "core/launch/options.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/launch/options_internal.h"

/* One of an option that may be given more than once. */
struct given {
    uint32_t index;
    enum vine__origin origin;
    const char *text;
};

struct parser {
    const struct vine_options *program;
    struct vine__launch_options *options;
    struct vine__launch_value *own; /* of the program's rows */
    struct given *given;            /* there is room for one of each word and each fallback */
    uint32_t given_count;
    struct vine__mistakes *mistakes;
    enum vine__origin origin;
};

void vine__mistakes_add(struct vine__mistakes *mistakes, const char *format, ...)
{
    const size_t room = sizeof(mistakes->text) - mistakes->length;
    const bool is_first = mistakes->length == 0;
    va_list arguments;

    mistakes->count++;
    if (room < 2)
        return;

    char *const line = mistakes->text + mistakes->length + !is_first;

    va_start(arguments, format);

    const int length = vsnprintf(line, room - !is_first, format, arguments);

    va_end(arguments);
    if (length < 0 || (size_t)length >= room - !is_first) {
        mistakes->text[mistakes->length] = '\0'; /* all of a line or none of it */
        return;
    }
    if (!is_first)
        mistakes->text[mistakes->length++] = '\n';
    mistakes->length += (uint32_t)length;
}

static struct vine__launch_value *value_at(struct parser *parser, uint32_t index)
{
    return index < VINE__LAUNCH_COUNT ? &parser->options->all[index]
                                      : &parser->own[index - VINE__LAUNCH_COUNT];
}

/* How messages say whose value is wrong. */
static const char *whose(const struct parser *parser)
{
    return parser->origin == VINE__ORIGIN_USER ? "" : " (the program's own default)";
}

static void take_value(struct parser *parser, uint32_t index, const char *text)
{
    const struct vine__option_row row = vine__option_row(parser->program, index);
    struct vine__launch_value *const value = value_at(parser, index);
    char right[VINE__RIGHT_BYTES];

    if (vine__option_parse(&row, text, value, right) != 0) {
        vine__mistakes_add(parser->mistakes, "--%s%s: '%s' is not what it takes: %s", row.name,
                           whose(parser), text, right);
        return;
    }
    value->origin = (uint8_t)parser->origin;
    if (vine__option_repeats(row.kind))
        parser->given[parser->given_count++] = (struct given){index, parser->origin, text};
    if (row.kind != VINE_OPTION_LEVELS)
        return;
    switch (vine__option_add_levels(parser->options, text)) {
    case 0:
        break;
    case -ENOSPC:
        vine__mistakes_add(parser->mistakes, "--%s%s: there is room for %d modules", row.name,
                           whose(parser), VINE__LEVELS_MAX);
        break;
    case -ENAMETOOLONG:
        vine__mistakes_add(parser->mistakes,
                           "--%s%s: '%s' has too long a name; right would be one of %d bytes at "
                           "most",
                           row.name, whose(parser), text, VINE_LOG_MODULE_BYTES - 1);
        break;
    default:
        vine__option_describe(&row, right);
        vine__mistakes_add(parser->mistakes, "--%s%s: '%s' is not what it takes: %s", row.name,
                           whose(parser), text, right);
    }
}

static void tell_unknown(struct parser *parser, const char *name, size_t length)
{
    const uint32_t nearest = vine__option_nearest(parser->program, name, length);

    if (nearest == UINT32_MAX)
        vine__mistakes_add(parser->mistakes, "--%.*s%s: there is no such option; --help lists all",
                           (int)length, name, whose(parser));
    else
        vine__mistakes_add(parser->mistakes, "--%.*s%s: there is no such option; there is --%s",
                           (int)length, name, whose(parser),
                           vine__option_row(parser->program, nearest).name);
}

/* Take one option from `words`, with its value, which may be the next word. Returns how many words
 * that were. */
static int take_option(struct parser *parser, const char *const *words)
{
    const char *const name = words[0] + 2;
    const size_t length = strcspn(name, "=");
    const uint32_t index = vine__option_find(parser->program, name, length);
    char right[VINE__RIGHT_BYTES];

    if (index == UINT32_MAX) {
        tell_unknown(parser, name, length);
        return 1;
    }

    const struct vine__option_row row = vine__option_row(parser->program, index);

    if (name[length] == '=') {
        take_value(parser, index, name + length + 1);
        return 1;
    }
    if (row.bare != NULL) {
        take_value(parser, index, row.bare);
        return 1;
    }
    if (parser->origin == VINE__ORIGIN_USER && words[1] != NULL) {
        take_value(parser, index, words[1]);
        return 2;
    }
    vine__option_describe(&row, right);
    vine__mistakes_add(parser->mistakes, "--%s%s: it takes a value: %s", row.name, whose(parser),
                       right);
    return 1;
}

static void take_words(struct parser *parser, int argc, char **argv)
{
    struct vine__launch_options *const options = parser->options;
    int i = 1;

    parser->origin = VINE__ORIGIN_USER;
    while (i < argc && strcmp(argv[i], "--") != 0) {
        if (strncmp(argv[i], "--", 2) == 0) {
            i += take_option(parser, (const char *const *)&argv[i]);
        } else if (strcmp(argv[i], "-h") == 0) {
            take_value(parser, VINE__LAUNCH_help, "text");
            i++;
        } else if (argv[i][0] == '-' && argv[i][1] != '\0') {
            vine__mistakes_add(parser->mistakes,
                               "%s: there is no such option; --help lists all, and operands that "
                               "begin with a dash follow a --",
                               argv[i]);
            i++;
        } else {
            options->argv[options->argc++] = argv[i++];
        }
    }
    for (i++; i < argc; i++)
        options->argv[options->argc++] = argv[i];
    options->argv[options->argc] = NULL;
}

static void take_fallbacks(struct parser *parser)
{
    const uint32_t count = vine__option_rows(parser->program);

    parser->origin = VINE__ORIGIN_TABLE;
    for (uint32_t i = 0; i < count; i++) {
        const struct vine__option_row row = vine__option_row(parser->program, i);

        if (vine__option_has_fallback(&row))
            take_value(parser, i, row.fallback);
    }
    parser->origin = VINE__ORIGIN_PROGRAM;
    if (parser->program == NULL || parser->program->defaults == NULL)
        return;
    for (const char *const *text = parser->program->defaults; *text != NULL; text++) {
        if (strncmp(*text, "--", 2) == 0)
            take_option(parser, text);
        else
            vine__mistakes_add(parser->mistakes, "%s%s: an option begins with two dashes", *text,
                               whose(parser));
    }
}

/* Those of who counts most. Returns where the next ones go. */
static const char **store_texts(const struct parser *parser, uint32_t index, uint8_t origin,
                                struct vine_texts *ret_texts, const char **place)
{
    const char **const first = place;

    for (uint32_t i = 0; i < parser->given_count; i++)
        if (parser->given[i].index == index && parser->given[i].origin == origin)
            *place++ = parser->given[i].text;
    *ret_texts = (struct vine_texts){.texts = first, .count = (size_t)(place - first)};
    return place;
}

/* Hand the program what it asked for. */
static void store_own(const struct parser *parser)
{
    const char **place = parser->options->texts;

    for (uint32_t i = 0; parser->program != NULL && i < parser->program->option_count; i++) {
        const struct vine_option *const option = &parser->program->options[i];
        const struct vine__launch_value *const value = &parser->own[i];

        if (value->origin == VINE__ORIGIN_NONE || option->value == NULL)
            continue;
        if (option->kind == VINE_OPTION_FLAG)
            *(bool *)option->value = value->number != 0;
        else if (option->kind == VINE_OPTION_TEXT || option->kind == VINE_OPTION_ADDRESS)
            *(const char **)option->value = value->text;
        else if (vine__option_repeats(option->kind))
            place =
                store_texts(parser, VINE__LAUNCH_COUNT + i, value->origin, option->value, place);
        else
            *(uint64_t *)option->value = value->number;
    }
}

static size_t count_defaults(const struct vine_options *program)
{
    size_t count = 0;

    while (program != NULL && program->defaults != NULL && program->defaults[count] != NULL)
        count++;
    return count;
}

struct vine_options vine__launch_program(const struct vine_options *program, const char *argv0)
{
    struct vine_options known = {0};
    const char *slash;

    if (program != NULL)
        memcpy(&known, program,
               program->size_bytes < sizeof(known) ? program->size_bytes : sizeof(known));
    known.size_bytes = sizeof(known);
    if (known.name != NULL)
        return known;
    slash = argv0 == NULL ? NULL : strrchr(argv0, '/');
    known.name = slash != NULL ? slash + 1 : argv0;
    if (known.name == NULL || known.name[0] == '\0')
        known.name = "vine";
    return known;
}

int vine__launch_options_init(struct vine__launch_options *ret_options,
                              const struct vine_options *program, int argc, char **argv,
                              struct vine__mistakes *ret_mistakes)
{
    static char no_name[] = "vine";
    const size_t own_count = program == NULL ? 0 : program->option_count;
    const size_t words_max = (size_t)(argc > 0 ? argc : 1) + own_count + count_defaults(program);
    struct vine__launch_options options = {0};
    struct vine__mistakes mistakes = {0};
    struct parser parser = {.program = program, .options = &options, .mistakes = &mistakes};

    options.argv = calloc((size_t)(argc > 0 ? argc : 1) + 1, sizeof(options.argv[0]));
    options.texts = calloc(words_max, sizeof(options.texts[0]));
    parser.own = calloc(own_count + 1, sizeof(parser.own[0]));
    parser.given = calloc(words_max, sizeof(parser.given[0]));
    if (options.argv == NULL || options.texts == NULL || parser.own == NULL ||
        parser.given == NULL) {
        vine__launch_options_fini(&options);
        free(parser.own);
        free(parser.given);
        return -ENOMEM;
    }
    options.argv[options.argc++] = argc > 0 ? argv[0] : no_name;
    take_fallbacks(&parser);
    take_words(&parser, argc, argv);
    /* Who asks for words alone need not say what is to be done. */
    if (program != NULL && !vine__is_asked(&options.help) && options.version.number == 0 &&
        options.topology.text == NULL)
        vine__operands_check(program->operands, options.argc, options.argv, &mistakes);
    if (mistakes.count == 0)
        store_own(&parser);
    free(parser.own);
    free(parser.given);
    if (mistakes.count > 0) {
        vine__launch_options_fini(&options);
        *ret_mistakes = mistakes;
        return -EINVAL;
    }
    *ret_options = options;
    return 0;
}

void vine__launch_options_fini(struct vine__launch_options *options)
{
    free(options->argv);
    free(options->texts);
    *options = (struct vine__launch_options){0};
}

enum vine_log_level vine__launch_level(const struct vine__launch_options *options,
                                       const char *module)
{
    const size_t length = strlen(module);

    for (uint32_t i = options->level_count; i > 0; i--) {
        const struct vine__level *const level = &options->levels[i - 1];

        if (level->length == length && memcmp(level->module, module, length) == 0)
            return level->level;
    }
    return (enum vine_log_level)options->default_log_level.number;
}
