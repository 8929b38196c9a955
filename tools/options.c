/* SPDX-License-Identifier: Apache-2.0 */
#include "options.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "utils/assert.h"
#include "utils/config.h"

#include "human.h"
#include "message.h"

struct parser {
    const struct verb *verb;
    struct arguments *arguments;
    char **next; /* the argument that comes next; NULL ends them */
    char **end;
};

static int check_bounds(const struct option *option, uint64_t value)
{
    return value < option->min || value > option->max ? -ERANGE : 0;
}

static const char *what_it_takes(const struct option *option, int error, char *text, size_t size)
{
    if (option->kind == OPTION_SIZE && option->max > 0 && error == -ERANGE) {
        char least[HUMAN_MAX], most[HUMAN_MAX];

        snprintf(text, size, "from %s to %s", human_binary(option->min, least),
                 human_binary(option->max, most));
        return text;
    }
    if (option->kind == OPTION_SIZE)
        return error == -ERANGE ? "a number of bytes below 2^64"
                                : "a number of bytes (such as 256K or 1M)";
    if (option->kind == OPTION_TIME)
        return error == -ERANGE ? "a time below 2^64 ns"
                                : "a time with its unit (such as 250us, 100ms, 1.5s or 2min)";
    if (option->max == 0)
        return error == -ERANGE ? "a number below 2^64" : "a number";
    snprintf(text, size, "a number from %llu to %llu", (unsigned long long)option->min,
             (unsigned long long)option->max);
    return text;
}

static bool add_to_list(struct option_list *list, const char *text)
{
    const char **texts = realloc(list->texts, (list->count + 1) * sizeof(texts[0]));

    if (texts == NULL) {
        message_error("out of memory");
        return false;
    }
    list->texts = texts;
    list->texts[list->count++] = text;
    return true;
}

bool options_set(const struct option *option, const char *said, const char *text, void *values)
{
    void *const place = (char *)values + option->offset;
    char bounds[80];
    int error = 0;

    switch (option->kind) {
    case OPTION_FLAG:
        *(bool *)place = true;
        break;
    case OPTION_TEXT:
    case OPTION_LIST:
        if (option->kind == OPTION_TEXT)
            *(const char **)place = text;
        else if (!add_to_list(place, text))
            return false;
        if (text[0] != '\0')
            break;
        message_error("%s %s is empty", said, option->value);
        return false;
    case OPTION_COUNT:
        error = vine__parse_unsigned(text, place);
        if (error == 0 && option->max > 0)
            error = check_bounds(option, *(const uint64_t *)place);
        break;
    case OPTION_SIZE:
        error = vine__parse_size(text, place);
        if (error == 0 && option->max > 0)
            error = check_bounds(option, *(const uint64_t *)place);
        break;
    case OPTION_TIME:
        error = vine__parse_duration(text, place);
        break;
    default:
        VINE_ASSERT(option->kind <= OPTION_LIST);
    }
    if (error == 0)
        return true;
    message_error("%s %s takes %s, not '%s'", said, option->value,
                  what_it_takes(option, error, bounds, sizeof(bounds)), message_escape(text));
    return false;
}

const struct option *options_find(const struct verb *verb, const char *name, size_t length)
{
    for (size_t i = 0; i < verb->option_count; i++) {
        const struct option *option = &verb->options[i];
        if (strlen(option->name) == length && memcmp(option->name, name, length) == 0)
            return option;
    }
    return NULL;
}

const struct option *options_find_letter(const struct verb *verb, char letter)
{
    for (size_t i = 0; i < verb->option_count; i++)
        if (verb->options[i].letter == letter)
            return &verb->options[i];
    return NULL;
}

static bool refuse(const struct parser *parser, const char *dashes, const char *name, size_t length)
{
    char said[128];

    snprintf(said, sizeof(said), "%s%.*s", dashes, (int)(length < 64 ? length : 64), name);
    message_error("there is no option %s; `vine %s --help` lists them", message_escape(said),
                  parser->verb->name);
    return false;
}

static bool set(struct parser *parser, const struct option *option, const char *said,
                const char *text)
{
    const size_t index = (size_t)(option - parser->verb->options);

    VINE_ASSERT(index < 64);
    /* One of two values would be passed over. */
    if (option->kind != OPTION_FLAG && option->kind != OPTION_LIST &&
        (parser->arguments->given >> index & 1) != 0) {
        message_error("%s is given twice", said);
        return false;
    }
    if (!options_set(option, said, text, parser->arguments->values))
        return false;
    parser->arguments->given |= 1ULL << index;
    return true;
}

/* Take the value of an option from where it is: behind `=` or the letter, or the next argument. */
static bool take(struct parser *parser, const struct option *option, const char *said,
                 const char *attached)
{
    if (attached == NULL) {
        if (parser->next == parser->end) {
            message_error("%s %s: the %s is missing", said, option->value, option->value);
            return false;
        }
        attached = *parser->next++;
    }
    return set(parser, option, said, attached);
}

static bool parse_long(struct parser *parser, const char *argument)
{
    const char *name = argument + 2;
    const char *equals = strchr(name, '=');
    const size_t length = equals != NULL ? (size_t)(equals - name) : strlen(name);
    const struct option *option = options_find(parser->verb, name, length);
    char said[64];

    if (option == NULL)
        return refuse(parser, "--", name, length);
    snprintf(said, sizeof(said), "--%s", option->name);
    if (option->kind != OPTION_FLAG)
        return take(parser, option, said, equals != NULL ? equals + 1 : NULL);
    if (equals != NULL) {
        message_error("%s takes no value", said);
        return false;
    }
    return set(parser, option, said, "");
}

static bool parse_letters(struct parser *parser, const char *argument)
{
    for (const char *letter = argument + 1; *letter != '\0'; letter++) {
        const struct option *option = options_find_letter(parser->verb, *letter);
        const char said[] = {'-', *letter, '\0'};

        if (option == NULL)
            return refuse(parser, "-", letter, 1);
        if (option->kind != OPTION_FLAG)
            return take(parser, option, said, letter[1] != '\0' ? letter + 1 : NULL);
        if (!set(parser, option, said, ""))
            return false;
    }
    return true;
}

bool options_line_has(int argc, char **argv, const char *wanted)
{
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++)
        if (strcmp(argv[i], wanted) == 0)
            return true;
    return false;
}

static bool check_operands(const struct verb *verb, const struct arguments *arguments)
{
    if (arguments->operand_count < verb->operands_min) {
        message_error("too few arguments: vine %s %s", verb->name, verb->synopsis);
        return false;
    }
    if (arguments->operand_count > verb->operands_max) {
        message_error("unexpected argument '%s'",
                      message_escape(arguments->operands[verb->operands_max]));
        return false;
    }
    return true;
}

enum options_outcome options_parse(const struct verb *verb, int argc, char **argv,
                                   struct arguments *ret_arguments)
{
    struct parser parser = {verb, ret_arguments, argv, argv + argc};

    *ret_arguments = (struct arguments){
        .verb = verb,
        .values = calloc(1, verb->values_size > 0 ? verb->values_size : 1),
        .operands = calloc((size_t)argc + 1, sizeof(char *)),
        .line = argv,
        .line_count = argc,
    };
    if (ret_arguments->values == NULL || ret_arguments->operands == NULL) {
        message_error("out of memory");
        return OPTIONS_WRONG;
    }
    /* Help is given whatever else is wrong with the line. */
    if (options_line_has(argc, argv, "--help") || options_line_has(argc, argv, "-h"))
        return OPTIONS_HELP;

    bool only_operands = false;
    while (parser.next < parser.end) {
        const char *argument = *parser.next++;

        if (only_operands || argument[0] != '-' || argument[1] == '\0')
            ret_arguments->operands[ret_arguments->operand_count++] = parser.next[-1];
        else if (strcmp(argument, "--") == 0)
            only_operands = true;
        else if (!(argument[1] == '-' ? parse_long(&parser, argument)
                                      : parse_letters(&parser, argument)))
            return OPTIONS_WRONG;
    }
    return check_operands(verb, ret_arguments) ? OPTIONS_PARSED : OPTIONS_WRONG;
}

bool options_want_json(const struct arguments *arguments, enum options_outcome outcome, int argc,
                       char **argv)
{
    const struct option *json = options_find(arguments->verb, "json", 4);

    if (outcome == OPTIONS_WRONG)
        return options_line_has(argc, argv, "--json");
    return json != NULL && (arguments->given & 1ULL << (json - arguments->verb->options)) != 0;
}

void options_free(struct arguments *arguments)
{
    for (size_t i = 0; arguments->values != NULL && i < arguments->verb->option_count; i++) {
        const struct option *const option = &arguments->verb->options[i];
        if (option->kind == OPTION_LIST)
            free(((struct option_list *)((char *)arguments->values + option->offset))->texts);
    }
    free(arguments->values);
    free(arguments->operands);
    *arguments = (struct arguments){0};
}
