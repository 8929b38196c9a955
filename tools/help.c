/* SPDX-License-Identifier: Apache-2.0 */
#include "help.h"

#include <string.h>
#include <unistd.h>

#include "utils/vinetalk_keys.h"

#include "addresses.h"
#include "message.h"
#include "options.h"
#include "status.h"

#define HELP_COLUMN 24
#define HELP_WIDTH  96

/* Print `text` broken at blanks; the cursor stands at `column`, later lines begin at `indent`. */
static void print_wrapped(FILE *file, const char *text, int column, int indent)
{
    while (*text != '\0') {
        const size_t word = strcspn(text, " ");

        if (column > indent && column + 1 + (int)word > HELP_WIDTH) {
            fprintf(file, "\n%*s", indent, "");
            column = indent;
        } else if (column > indent) {
            fputc(' ', file);
            column++;
        }
        fprintf(file, "%.*s", (int)word, text);
        column += (int)word;
        text += word;
        text += strspn(text, " ");
    }
    fputc('\n', file);
}

static void print_heading(FILE *file, const char *heading)
{
    const int fd = fileno(file);

    fprintf(file, "\n%s%s%s\n", message_colour_of(fd, COLOUR_BOLD), heading,
            message_colour_of(fd, COLOUR_PLAIN));
}

static void print_row(FILE *file, const char *left, const char *right)
{
    const int length = fprintf(file, "  %s", left);

    if (length >= HELP_COLUMN - 1)
        fprintf(file, "\n%*s", HELP_COLUMN, "");
    else
        fprintf(file, "%*s", HELP_COLUMN - length, "");
    print_wrapped(file, right, HELP_COLUMN, HELP_COLUMN);
}

static void print_statuses(FILE *file)
{
    print_heading(file, "Exit status");
#define PRINT_STATUS(name, code, text) print_row(file, #code, text);
    STATUSES(PRINT_STATUS)
#undef PRINT_STATUS
}

static void print_addresses(FILE *file)
{
    print_heading(file, "Addresses");
#define PRINT_ADDRESS(form, meaning) print_row(file, form, meaning);
    ADDRESSES(PRINT_ADDRESS)
#undef PRINT_ADDRESS
}

bool help_has_address(const struct verb *verb)
{
    for (size_t i = 0; i < verb->option_count; i++)
        if (verb->options[i].value != NULL && strcmp(verb->options[i].value, ADDRESS_VALUE) == 0)
            return true;
    return false;
}

void help_print_overview(FILE *file)
{
    fputs("vine - hand work to an appliance through shared memory\n\n"
          "usage: vine VERB [OPTION...] [ARGUMENT...]\n",
          file);
    print_heading(file, "Verbs");
    for (size_t i = 0; i < verb_count; i++)
        print_row(file, verbs[i]->name, verb_summary(verbs[i]));
    print_addresses(file);
    print_statuses(file);
    fputs("\n`vine VERB --help` explains one; `vine run sha256 FILE` is a place to start.\n", file);
}

void help_print_group(FILE *file, const char *word)
{
    fprintf(file, "vine %s - %s\n\nusage: vine %s VERB [OPTION...] [ARGUMENT...]\n\n", word,
            verb_group_summary(word), word);
    print_wrapped(file, verb_group_description(word), 0, 0);
    print_heading(file, "Verbs");
    for (size_t i = 0; i < verb_count; i++)
        if (verb_is_of_group(verbs[i], word))
            print_row(file, verbs[i]->name, verb_summary(verbs[i]));
    fprintf(file, "\n`vine %s VERB --help` explains one.\n", word);
}

const char *help_of_key(const struct vine__config_key *key, char ret_text[HELP_FACTS_MAX])
{
    int length = 0;

    ret_text[0] = '\0';
    if (key->least != NULL)
        length = snprintf(ret_text, HELP_FACTS_MAX, ", %s to %s", key->least, key->greatest);
    if (key->fallback != NULL)
        snprintf(ret_text + length, HELP_FACTS_MAX - (size_t)length, ", default %s", key->fallback);
    return ret_text;
}

const char *help_fallback_of_option(const struct verb *verb, const struct option *option)
{
    const size_t length = strlen(option->name);

    for (const char *const *wish = verb->wishes; wish != NULL && *wish != NULL; wish++)
        if (strncmp(*wish + 2, option->name, length) == 0 && (*wish)[2 + length] == '=')
            return *wish + 2 + length + 1;
    return option->fallback;
}

/* "default 200", or "default: one a core". */
static const char *add_fallback(const struct option *option, const char *fallback,
                                char ret_text[HELP_TEXT_MAX])
{
    if (fallback[0] == '(')
        snprintf(ret_text, HELP_TEXT_MAX, "%s (default: %s", option->help, fallback + 1);
    else
        snprintf(ret_text, HELP_TEXT_MAX, "%s (default %s)", option->help, fallback);
    return ret_text;
}

const char *help_of_option(const struct verb *verb, const struct option *option,
                           char ret_text[HELP_TEXT_MAX])
{
    const char *const fallback = help_fallback_of_option(verb, option);
    char facts[HELP_FACTS_MAX];

    if (option->key == NULL)
        return fallback != NULL ? add_fallback(option, fallback, ret_text) : option->help;
    for (uint32_t i = 0; i < VINETALK_KEY_COUNT; i++)
        if (strcmp(vinetalk_keys[i].key, option->key) == 0)
            snprintf(ret_text, HELP_TEXT_MAX, "%s (setting `%s`%s)", option->help, option->key,
                     help_of_key(&vinetalk_keys[i], facts));
    return ret_text;
}

static void print_option(FILE *file, const struct verb *verb, const struct option *option)
{
    char left[64], text[HELP_TEXT_MAX];

    snprintf(left, sizeof(left), "%s%c%s--%s%s%s", option->letter != 0 ? "-" : "",
             option->letter != 0 ? option->letter : ' ', option->letter != 0 ? ", " : "   ",
             option->name, option->value != NULL ? " " : "",
             option->value != NULL ? option->value : "");
    print_row(file, left, help_of_option(verb, option, text));
}

void help_print_verb(FILE *file, const struct verb *verb)
{
    size_t i;

    fprintf(file, "vine %s - %s\n\nusage: vine %s [OPTION...]%s%s\n", verb->name,
            verb_summary(verb), verb->name, verb->synopsis[0] != '\0' ? " " : "", verb->synopsis);
    for (const char *const *paragraph = verb->description; *paragraph != NULL; paragraph++) {
        fputc('\n', file);
        print_wrapped(file, *paragraph, 0, 0);
    }
    print_heading(file, "Options");
    for (i = 0; i < verb->option_count && verb->options[i].heading == NULL; i++)
        print_option(file, verb, &verb->options[i]);
    print_row(file, "-h, --help", "show this");
    for (; i < verb->option_count; i++) {
        if (verb->options[i].heading != NULL)
            print_heading(file, verb->options[i].heading);
        print_option(file, verb, &verb->options[i]);
    }
    if (help_has_address(verb))
        fputs("\n`vine help` lists the forms of an " ADDRESS_VALUE ".\n", file);
    if (verb->examples != NULL) {
        print_heading(file, "Examples");
        for (const char *const *example = verb->examples; *example != NULL; example += 2) {
            fprintf(file, "  %s\n      ", example[0]);
            print_wrapped(file, example[1], 6, 6);
        }
    }
    print_statuses(file);
}

struct help_values {
    bool manual;
    const char *completion;
    bool complete;
    bool json;
};

static const struct option help_options[] = {
    {.name = "man",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct help_values, manual),
     .help = "write the man page of the verb, or of the command, as roff"},
    {.name = "completion",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_CHOICE,
     .offset = offsetof(struct help_values, completion),
     .value = "bash|zsh|fish",
     .help = "write what makes this shell complete what is typed"},
    {.name = "complete",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct help_values, complete),
     .help = "print what the last of the words behind -- may become, as these completions ask"},
    {.name = "json",
     .kind = OPTION_FLAG,
     .offset = offsetof(struct help_values, json),
     .help = "print the tables behind the help: of the verb or group, or of all, with settings and "
             "exit statuses"},
};

void help_no_verb(int argc, char **argv)
{
    const char *const second = argc > 1 && verb_is_group(argv[0]) ? argv[1] : NULL;

    if (second != NULL)
        message_error("there is no verb '%s %s'; `vine help %s` lists them", argv[0],
                      message_escape(second), argv[0]);
    else
        message_error("there is no verb '%s'; `vine help` lists them", message_escape(argv[0]));
}

static int print_completions(const char *shell)
{
    if (completion_print(stdout, shell))
        return STATUS_DONE;
    message_error("completions are made for bash, zsh and fish, not for '%s'",
                  message_escape(shell));
    return STATUS_USAGE;
}

static int explain_group(const struct help_values *values, const char *word)
{
    if (values->json)
        return help_print_json_group(word);
    if (values->manual)
        manual_print_group(stdout, word);
    else
        help_print_group(stdout, word);
    return STATUS_DONE;
}

static int explain(const struct help_values *values, const struct verb *verb)
{
    if (values->json)
        return help_print_json(verb);
    if (values->manual)
        return manual_print(stdout, verb);
    if (verb != NULL)
        help_print_verb(stdout, verb);
    else
        help_print_overview(stdout);
    return STATUS_DONE;
}

static int run_help(const struct arguments *arguments)
{
    const struct help_values *values = arguments->values;
    const size_t count = arguments->operand_count;
    int words = 0;

    if (values->manual + values->json + values->complete + (values->completion != NULL) > 1) {
        message_error("--man, --json, --completion and --complete are ways to say it: take one");
        return STATUS_USAGE;
    }
    if (values->complete) {
        complete_print(stdout, arguments->operands, count);
        return STATUS_DONE;
    }
    if (values->completion != NULL)
        return print_completions(values->completion);
    if (count == 1 && verb_is_group(arguments->operands[0]))
        return explain_group(values, arguments->operands[0]);

    const struct verb *const verb = verb_find_words((int)count, arguments->operands, &words);

    words = verb != NULL ? words : 0;
    if ((size_t)words < count) {
        help_no_verb((int)count - words, arguments->operands + words);
        return STATUS_USAGE;
    }
    return explain(values, verb);
}

static const char *const help_description[] = {
    "Without an argument lists the verbs. What it says comes from the same tables that parse the "
    "command line; so do the man pages and the completions.",
    NULL,
};

const struct verb verb_help = {
    .name = "help",
    .synopsis = "[VERB | -- WORD...]",
    .description = help_description,
    .options = help_options,
    .option_count = sizeof(help_options) / sizeof(help_options[0]),
    .values_size = sizeof(struct help_values),
    .operands_max = SIZE_MAX,
    .hints = {COMPLETE_VERB},
    .run = run_help,
};
