/* SPDX-License-Identifier: Apache-2.0 */
/*
 * manual.c - man pages from the tables of verbs.
 */
#include <ctype.h>
#include <string.h>

#include "utils/vinetalk_keys.h"

#include "addresses.h"
#include "help.h"
#include "message.h"
#include "own.h"
#include "settings.h"
#include "status.h"
#include "subprocess.h"

/* Text for roff: dashes as such, a dot at a line's start is no request. */
static void print_text(FILE *file, const char *text)
{
    if (*text == '.' || *text == '\'')
        fputs("\\&", file);
    for (; *text != '\0'; text++) {
        if (*text == '-')
            fputs("\\-", file);
        else if (*text == '\\')
            fputs("\\e", file);
        else
            fputc(*text, file);
    }
}

static void print_line(FILE *file, const char *before, const char *text)
{
    fputs(before, file);
    print_text(file, text);
    fputc('\n', file);
}

static void print_title(FILE *file, const char *name)
{
    fputs(".TH \"", file);
    for (; *name != '\0'; name++)
        fputc(toupper((unsigned char)*name), file);
    fputs("\" 1 \"\" \"vine " VINE_VERSION "\" \"Vine\"\n", file);
}

static void print_statuses(FILE *file)
{
    fputs(".SH EXIT STATUS\n", file);
#define PRINT_STATUS(name, code, text) print_line(file, ".TP\n.B " #code "\n", text);
    STATUSES(PRINT_STATUS)
#undef PRINT_STATUS
}

static void print_option(FILE *file, const struct verb *verb, const struct option *option)
{
    char text[HELP_TEXT_MAX];

    fputs(".TP\n.B ", file);
    if (option->letter != 0)
        fprintf(file, "\\-%c\\fR, \\fB", option->letter);
    print_text(file, "--");
    print_text(file, option->name);
    if (option->value != NULL)
        fprintf(file, " \\fI%s\\fR", option->value);
    fputc('\n', file);
    print_text(file, help_of_option(verb, option, text));
    fputs(".\n", file);
}

/* Of a verb or a group. A page's name has no blank. */
static void name_page(const char *verb, char ret_name[64])
{
    snprintf(ret_name, 64, "vine-%s", verb);
    for (char *at = ret_name; *at != '\0'; at++)
        if (*at == ' ')
            *at = '-';
}

/* The program has a page of its own, by --help=man, whose options are all that is not told here.
 * Returns a status, and has told if they cannot be had. */
static int print_options_of_program(FILE *file, const char *program)
{
    char path[4096];
    const char *const argv[] = {path, "--help=man", NULL};
    struct subprocess page = {0};
    const char *options = NULL;

    if (own_find(program, path, sizeof(path)) != STATUS_DONE)
        return STATUS_FAILED;
    if (subprocess_run(argv, NULL, &page) == 0 && page.status == 0)
        options = strstr(page.output, ".SH OPTIONS\n");
    if (options != NULL)
        fputs(options, file);
    else
        message_error("%s: it has no page by --help=man", path);
    subprocess_free(&page);
    return options != NULL ? STATUS_DONE : STATUS_FAILED;
}

static void print_options(FILE *file, const struct verb *verb)
{
    size_t i;

    fputs(".SH OPTIONS\n", file);
    for (i = 0; i < verb->option_count && verb->options[i].heading == NULL; i++)
        print_option(file, verb, &verb->options[i]);
    fputs(".TP\n.B \\-h\\fR, \\fB\\-\\-help\nshow a summary.\n", file);
    for (; i < verb->option_count; i++) {
        if (verb->options[i].heading != NULL)
            print_line(file, ".SS ", verb->options[i].heading);
        print_option(file, verb, &verb->options[i]);
    }
}

static int print_verb(FILE *file, const struct verb *verb)
{
    char name[64], group[VERB_WORD_BYTES];

    name_page(verb->name, name);
    print_title(file, name);
    fputs(".SH NAME\n", file);
    print_text(file, name);
    print_line(file, " \\- ", verb_summary(verb));
    fprintf(file, ".SH SYNOPSIS\n.B vine %s\n[\\fIOPTION\\fR...] ", verb->name);
    print_line(file, "", verb->synopsis);
    fputs(".SH DESCRIPTION\n", file);
    for (const char *const *paragraph = verb->description; *paragraph != NULL; paragraph++)
        print_line(file, ".PP\n", *paragraph);
    if (verb->program == NULL)
        print_options(file, verb);
    else if (print_options_of_program(file, verb->program) != STATUS_DONE)
        return STATUS_FAILED;
    if (help_has_address(verb))
        fputs(".PP\nThe forms of an \\fIADDRESS\\fR are listed in\n.BR vine (1).\n", file);
    if (verb->examples != NULL) {
        fputs(".SH EXAMPLES\n", file);
        for (const char *const *example = verb->examples; *example != NULL; example += 2) {
            print_line(file, ".TP\n.B ", example[0]);
            print_line(file, "", example[1]);
        }
    }
    print_statuses(file);
    fputs(".SH SEE ALSO\n.BR vine (1)", file);
    if (verb_second_word(verb) != NULL)
        fprintf(file, ",\n.BR vine-%s (1)", verb_first_word(verb, group));
    fputc('\n', file);
    return STATUS_DONE;
}

void manual_print_group(FILE *file, const char *word)
{
    char name[64];

    name_page(word, name);
    print_title(file, name);
    fprintf(file, ".SH NAME\n%s", name);
    print_line(file, " \\- ", verb_group_summary(word));
    fprintf(file,
            ".SH SYNOPSIS\n.B vine %s\n\\fIVERB\\fR [\\fIOPTION\\fR...] "
            "[\\fIARGUMENT\\fR...]\n.SH DESCRIPTION\n",
            word);
    print_line(file, "", verb_group_description(word));
    fputs(".SH VERBS\n", file);
    for (size_t i = 0; i < verb_count; i++)
        if (verb_is_of_group(verbs[i], word)) {
            print_line(file, ".TP\n.B ", verbs[i]->name);
            print_line(file, "", verb_summary(verbs[i]));
        }
    fputs(".SH SEE ALSO\n.BR vine (1)", file);
    for (size_t i = 0; i < verb_count; i++)
        if (verb_is_of_group(verbs[i], word)) {
            name_page(verbs[i]->name, name);
            fprintf(file, ",\n.BR %s (1)", name);
        }
    fputc('\n', file);
}

static void print_overview(FILE *file)
{
    char facts[HELP_FACTS_MAX], name[64], word[VERB_WORD_BYTES];

    print_title(file, "vine");
    fputs(".SH NAME\nvine \\- hand work to an appliance through shared memory\n"
          ".SH SYNOPSIS\n.B vine\n\\fIVERB\\fR [\\fIOPTION\\fR...] [\\fIARGUMENT\\fR...]\n"
          ".SH DESCRIPTION\n",
          file);
    print_line(
        file, "",
        "An application hands work to an appliance, another process, through memory that both "
        "map. This command runs an appliance, and hands it files. Data goes to standard "
        "output, progress and messages to standard error.");
    fputs(".SH VERBS\n", file);
    for (size_t i = 0; i < verb_count; i++) {
        print_line(file, ".TP\n.B ", verbs[i]->name);
        print_line(file, "", verb_summary(verbs[i]));
    }
    fputs(".SH ADDRESSES\nEvery \\fIADDRESS\\fR takes one of these forms.\n", file);
#define PRINT_ADDRESS(form, meaning) print_line(file, ".TP\n.B " form "\n", meaning);
    ADDRESSES(PRINT_ADDRESS)
#undef PRINT_ADDRESS
    fputs(".SH CONFIGURATION\n", file);
    print_line(
        file, "",
        "Files of lines `KEY VALUE`: /etc/vine/vine.conf, "
        "$XDG_CONFIG_HOME/vine/vine.conf (~/.config without the variable), ~/.vinetalk; then "
        "the environment, each key in capitals behind VINE_; then options. The later wins. "
        "`vine config` shows each value and where it comes from.");
    for (size_t i = 0; i < VINETALK_KEY_COUNT; i++) {
        print_line(file, ".TP\n.B ", vinetalk_keys[i].key);
        print_text(file, vinetalk_keys[i].help);
        print_text(file, help_of_key(&vinetalk_keys[i], facts));
        fputc('\n', file);
    }
    fputs(".SH JSON\n", file);
    print_line(
        file, "",
        "Every verb takes --json: data is JSON in UTF-8 on standard output then, messages "
        "stay on standard error. `run` and `appliance` print an object a line, as things "
        "happen. A command that cannot begin prints one object in place of that: `error`, as "
        "it is on standard error, and `exit_status`. Where a name or a text is not UTF-8, the "
        "bytes that do not fit become "
        "U+FFFD, and a member with _hex behind its name holds all of them.");
    fputs(".SH ENVIRONMENT\n", file);
    print_line(file, ".TP\n.B VINE_KEY\n",
               "a setting, for each key of CONFIGURATION in capitals: VINE_APPLIANCE, VINE_JOBS");
    print_line(file, ".TP\n.B VINE_SYSFS\n",
               "where PCI devices are looked for, if /sys is mounted elsewhere");
    print_line(file, ".TP\n.B NO_COLOR\n", "if set, no colours, also on terminals");
    print_statuses(file);
    fputs(".SH SEE ALSO\n", file);
    for (size_t i = 0; i < verb_count; i++) {
        if (verb_is_first(i) && verb_second_word(verbs[i]) != NULL)
            fprintf(file, ".BR vine-%s (1),\n", verb_first_word(verbs[i], word));
        name_page(verbs[i]->name, name);
        fprintf(file, ".BR %s (1)%s\n", name, i + 1 < verb_count ? "," : "");
    }
}

int manual_print(FILE *file, const struct verb *verb)
{
    if (verb != NULL)
        return print_verb(file, verb);
    print_overview(file);
    return STATUS_DONE;
}
