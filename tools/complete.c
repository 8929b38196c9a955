/* SPDX-License-Identifier: Apache-2.0 */
/*
 * complete.c - what a word of the command line that is being typed may become, from the tables of
 * verbs.
 */
#include <ctype.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/base.h>

#include "procedures/procedures.h"
#include "utils/tables.h"
#include "vmm/server/machines.h"

#include "complete_names.h"
#include "help.h"
#include "options.h"
#include "own.h"
#include "recipe.h"
#include "status.h"
#include "subprocess.h"
#include "vm_clients.h"

/* For a server or a pool that does not answer: nobody waits longer for a word. */
#define ANSWER_SECONDS 2

struct line {
    FILE *file;
    char **words; /* those before the one that is typed */
    size_t count;
    const char *typed;
    int kept;                /* so many bytes of it stay before each answer: "--name=", "view," */
    const struct verb *verb; /* that it begins with, or NULL */
    struct subprocess help;  /* of a verb that becomes a program, which has printed it */
    const char *socket;      /* that the words before name, or NULL */
    const char *pool;        /* the same */
    const char *awaited;     /* the value of which is typed, as help calls it; NULL: of none */
    uint8_t awaited_kind;    /* enum completion_hint, of that */
    uint64_t given;          /* a bit for each option that was, by its index */
    size_t operands;         /* before the one that is typed */
    bool only_operands;
};

/* ---- answers --------------------------------------------------------------------------------- */

static void begin(const struct line *line, const char *others)
{
    fprintf(line->file, "%s\n", others);
}

static void offer_part(const struct line *line, const char *word, size_t length, const char *what)
{
    const char *const typed = line->typed + line->kept;
    const size_t size = strlen(typed);

    if (length < size || strncmp(word, typed, size) != 0)
        return;
    fprintf(line->file, "%.*s%.*s%s%s\n", line->kept, line->typed, (int)length, word,
            what != NULL ? "\t" : "", what != NULL ? what : "");
}

static void offer(const struct line *line, const char *word, const char *what)
{
    offer_part(line, word, strlen(word), what);
}

static void offer_name(void *context, const char *name, const char *what)
{
    offer(context, name, what);
}

/* ---- the words of the tables ----------------------------------------------------------------- */

static void offer_verbs(const struct line *line, char **before, size_t count)
{
    begin(line, "words");
    if (count == 0)
        for (size_t i = 0; i < verb_count; i++) {
            char word[VERB_WORD_BYTES];
            const char *group;

            if (!verb_is_first(i))
                continue;
            group = verb_group_summary(verb_first_word(verbs[i], word));
            offer(line, word, group != NULL ? group : verb_summary(verbs[i]));
        }
    for (size_t i = 0; count == 1 && i < verb_count; i++)
        if (verb_is_of_group(verbs[i], before[0]))
            offer(line, verb_second_word(verbs[i]), verb_summary(verbs[i]));
}

/* "never|always", or "echo|PLUGIN.so", of which the last is a file's; to the next blank. */
static void offer_choices(const struct line *line, const char *choices)
{
    const size_t length = strcspn(choices, " \n");
    size_t size = strcspn(choices, "| \n");

    for (size_t at = 0; at < length; at += size + 1) {
        size = strcspn(choices + at, "| \n");
        if (isupper((unsigned char)choices[at])) {
            begin(line, "files");
            break;
        }
        if (at + size == length)
            begin(line, "words");
    }
    for (size_t at = 0; at < length; at += size + 1) {
        size = strcspn(choices + at, "| \n");
        if (!isupper((unsigned char)choices[at]))
            offer_part(line, choices + at, size, NULL);
    }
}

static void offer_procedures(const struct line *line)
{
    struct recipe recipe;

    begin(line, "words");
    for (size_t i = 0; i < vine_shipped_procedure_count; i++)
        if (recipe_of_shipped(vine_shipped_procedures[i]->name, &recipe))
            offer(line, recipe.procedure, NULL);
}

static void offer_states(const struct line *line)
{
    begin(line, "words");
#define OFFER_STATE(value, word) offer(line, word, NULL);
    VINE__VM_STATES(OFFER_STATE)
#undef OFFER_STATE
}

/* Those behind the last comma, but for what stands before it. */
static void offer_permissions(struct line *line)
{
    const char *const list = line->typed + line->kept;
    const char *const comma = strrchr(list, ',');
    const size_t before = comma != NULL ? (size_t)(comma - list) + 1 : 0;
    const char *word;

    begin(line, "list");
    line->kept += (int)before;
    for (size_t i = 0; (word = vm_permission_word(i)) != NULL; i++) {
        const size_t size = strlen(word);
        bool is_there = false;

        for (const char *at = list; at < list + before; at += strcspn(at, ",") + 1)
            is_there |= strcspn(at, ",") == size && memcmp(at, word, size) == 0;
        if (!is_there)
            offer(line, word, NULL);
    }
    if (before == 0)
        offer(line, "none", NULL);
}

/* ---- names that are asked for ---------------------------------------------------------------- */

static void give_up(int number)
{
    (void)number;
    _exit(STATUS_DONE);
}

/* What was said so far is there, whatever comes of this. */
static void ask(struct line *line, const char *others,
                void (*names)(const char *where, complete_name_fn give, void *context),
                const char *where)
{
    begin(line, others);
    (void)fflush(line->file);
    (void)signal(SIGALRM, give_up);
    (void)alarm(ANSWER_SECONDS);
    names(where, offer_name, line);
    (void)alarm(0);
}

/* `choices`: how help calls the word. */
static void offer_kind(struct line *line, enum completion_hint kind, const char *choices)
{
    switch (kind) {
    case COMPLETE_NOTHING:
        return begin(line, "words");
    case COMPLETE_FILE:
    case COMPLETE_SOCKET:
        return begin(line, "files");
    case COMPLETE_DIRECTORY:
        return begin(line, "directories");
    case COMPLETE_CHOICE:
        return offer_choices(line, choices);
    case COMPLETE_VERB:
        return offer_verbs(line, line->words + line->count - line->operands, line->operands);
    case COMPLETE_PROCEDURE:
        return offer_procedures(line);
    case COMPLETE_STATE:
        return offer_states(line);
    case COMPLETE_PERMISSIONS:
        return offer_permissions(line);
    case COMPLETE_POOL:
        return begin(line, "files .img");
    case COMPLETE_SERVED_POOL:
        return ask(line, "files .img", complete_pool_places, line->socket);
    case COMPLETE_POOL_NAME:
        return ask(line, "words", complete_pool_names, line->socket);
    case COMPLETE_VM:
        if (line->pool != NULL)
            return ask(line, "words", complete_machines, line->pool);
        return ask(line, "words", complete_vms, line->socket);
    case COMPLETE_CLIENT:
        return ask(line, "words", complete_clients, line->socket);
    }
}

/* ---- options --------------------------------------------------------------------------------- */

/* "  --name VALUE   what it does": of a verb that becomes a program the line of its help on this
 * option, or on the next one behind `from`; NULL: there is none. */
static const char *next_of_program(const char *from)
{
    for (; from != NULL && *from != '\0'; from = strchr(from, '\n')) {
        from += *from == '\n';
        if (strncmp(from, "  --", 4) == 0)
            return from + 2;
    }
    return NULL;
}

static const char *find_of_program(const struct line *line, const char *name, size_t length)
{
    const char *option = next_of_program(line->help.output);

    while (option != NULL &&
           (strcspn(option, " \n") != length + 2 || strncmp(option + 2, name, length) != 0))
        option = next_of_program(option);
    return option;
}

static void read_program_help(struct line *line)
{
    char path[4096];
    const char *const argv[] = {path, "--help", NULL};

    if (own_find(line->verb->program, path, sizeof(path)) == STATUS_DONE)
        (void)subprocess_run(argv, NULL, &line->help);
}

static void offer_options(const struct line *line)
{
    begin(line, "words");
    for (size_t i = 0; i < line->verb->option_count; i++) {
        const struct option *const option = &line->verb->options[i];
        const bool is_over = option->kind != OPTION_FLAG && option->kind != OPTION_LIST;
        char word[64];

        if (is_over && (line->given >> i & 1) != 0)
            continue;
        (void)snprintf(word, sizeof(word), "--%s", option->name);
        offer(line, word, option->help);
        (void)snprintf(word, sizeof(word), "-%c", option->letter);
        if (option->letter != 0)
            offer(line, word, option->help);
    }
    for (const char *option = next_of_program(line->help.output); option != NULL;
         option = next_of_program(option))
        offer_part(line, option, strcspn(option, " =[\n"), NULL);
    if (line->verb->program == NULL)
        offer(line, "--help", "show a summary");
}

/* ---- the words before ------------------------------------------------------------------------ */

/* What a word says of those behind it. */
static void heed(struct line *line, enum completion_hint kind, const char *word)
{
    static char path[4096];
    const char *const home = getenv("HOME");

    /* The shell, which will replace it, has not yet. */
    if ((kind == COMPLETE_SOCKET || kind == COMPLETE_POOL) && home != NULL &&
        strncmp(word, "~/", 2) == 0 &&
        (size_t)snprintf(path, sizeof(path), "%s%s", home, word + 1) < sizeof(path))
        word = path;
    if (kind == COMPLETE_SOCKET)
        line->socket = word;
    if (kind == COMPLETE_POOL)
        line->pool = word;
}

/* The value of this option comes behind it, or `attached` to it. */
static void await(struct line *line, const struct option *option, const char *attached)
{
    if (option == NULL)
        return;
    line->given |= UINT64_C(1) << (option - line->verb->options);
    if (option->kind == OPTION_FLAG)
        return;
    if (attached != NULL)
        return heed(line, option->hint, attached);
    line->awaited = option->value;
    line->awaited_kind = option->hint;
}

/* The same of a program's, by what its help says: "--name VALUE". */
static void await_of_program(struct line *line, const char *name, size_t length)
{
    const char *const option = find_of_program(line, name, length);

    if (option == NULL || option[2 + length] != ' ' || option[2 + length + 1] == ' ')
        return;
    line->awaited = option + 2 + length + 1;
    line->awaited_kind = COMPLETE_CHOICE;
}

static void take_option(struct line *line, const char *word)
{
    const char *const equals = strchr(word, '=');
    const size_t length = strcspn(word + 2, "=");

    if (word[1] == '-' && line->verb->program != NULL) {
        if (equals == NULL)
            await_of_program(line, word + 2, length);
    } else if (word[1] == '-') {
        await(line, options_find(line->verb, word + 2, length), equals != NULL ? equals + 1 : NULL);
    } else {
        const struct option *option = NULL;

        for (word++; *word != '\0' && (option == NULL || option->kind == OPTION_FLAG); word++) {
            option = options_find_letter(line->verb, *word);
            await(line, option, word[1] != '\0' ? word + 1 : NULL);
        }
    }
}

static enum completion_hint kind_of_operand(const struct verb *verb, size_t index)
{
    size_t last = VERB_HINTS_MAX - 1;

    while (last > 0 && verb->hints[last] == COMPLETE_NOTHING)
        last--;
    if (index > last && verb->operands_max != SIZE_MAX)
        return COMPLETE_NOTHING;
    return verb->hints[index < last ? index : last];
}

static void take_words(struct line *line, size_t first)
{
    for (size_t i = first; i < line->count; i++) {
        char *const word = line->words[i];

        if (line->awaited != NULL) {
            line->awaited = NULL;
            heed(line, line->awaited_kind, word);
        } else if (line->only_operands || word[0] != '-' || word[1] == '\0') {
            heed(line, kind_of_operand(line->verb, line->operands++), word);
        } else if (strcmp(word, "--") == 0) {
            line->only_operands = true;
        } else {
            take_option(line, word);
        }
    }
}

/* "VERB" of "PATH VERB [ARGUMENT...]", by its index; or "". */
static const char *name_of_operand(const struct verb *verb, size_t index)
{
    const char *name = verb->synopsis;

    for (; index > 0 && *name != '\0'; index--) {
        name += strcspn(name, " ");
        name += strspn(name, " ");
    }
    return name;
}

static void offer_for(struct line *line)
{
    const char *const equals = strchr(line->typed, '=');

    if (line->awaited == NULL && !line->only_operands && line->typed[0] == '-') {
        if (line->typed[1] != '-' || equals == NULL)
            return offer_options(line);
        line->kept = (int)(equals + 1 - line->typed);
        char name[64];
        (void)snprintf(name, sizeof(name), "%.*s", line->kept - 1, line->typed);
        take_option(line, name);
        if (line->awaited == NULL)
            return begin(line, "words");
    }
    if (line->awaited != NULL)
        return offer_kind(line, line->awaited_kind, line->awaited);
    offer_kind(line, kind_of_operand(line->verb, line->operands),
               name_of_operand(line->verb, line->operands));
}

void complete_print(FILE *file, char **words, size_t count)
{
    struct line line = {.file = file,
                        .words = words,
                        .count = count > 0 ? count - 1 : 0,
                        .typed = count > 0 ? words[count - 1] : ""};
    int first;

    /* Who types has not asked for anything yet. */
    (void)!freopen("/dev/null", "w", stderr);
    line.verb = verb_find_words((int)line.count, words, &first);
    if (line.verb == NULL)
        return offer_verbs(&line, words, line.count);
    if (line.verb->program != NULL)
        read_program_help(&line);
    take_words(&line, (size_t)first);
    offer_for(&line);
    subprocess_free(&line.help);
}
