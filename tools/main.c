/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the command: finds the verb, has its arguments parsed, runs it.
 */
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "help.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "own.h"
#include "status.h"
#include "verb.h"

/* Data that could not be written is a failure, however well the work went: a full disk, a closed
 * pipe. */
static int finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        message_error("standard output: cannot write: %m");
        return status == STATUS_DONE ? STATUS_FAILED : status;
    }
    return status;
}

static int run_verb(const struct verb *verb, int argc, char **argv)
{
    if (verb->program != NULL)
        return own_become(verb->program, argc, argv);

    struct arguments arguments;
    int status = STATUS_USAGE;

    const enum options_outcome outcome = options_parse(verb, argc, argv, &arguments);

    switch (outcome) {
    case OPTIONS_HELP:
        help_print_verb(stdout, verb);
        status = STATUS_DONE;
        break;
    case OPTIONS_WRONG:
        break;
    case OPTIONS_PARSED:
        status = verb->run(&arguments);
        break;
    }
    if (status != STATUS_DONE && options_want_json(&arguments, outcome, argc, argv))
        json_print_failure(status);
    options_free(&arguments);
    return status;
}

int main(int argc, char **argv)
{
    /* A reader that went away is an error of fflush, which is told, not a silent death that would
     * leave temporary files behind. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* alike: a file or a memory object that may not grow further */
    message_init();

    const char *name = argc > 1 ? argv[1] : NULL;
    if (name == NULL) {
        help_print_overview(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help_print_overview(stdout);
        return finish(STATUS_DONE);
    }
    if (strcmp(name, "--version") == 0 || strcmp(name, "-V") == 0)
        name = "version";

    int words = 1;
    const struct verb *verb =
        name == argv[1] ? verb_find_words(argc - 1, argv + 1, &words) : verb_find(name);
    const bool wants_help =
        argc > 2 && (strcmp(argv[2], "--help") == 0 || strcmp(argv[2], "-h") == 0);
    if (verb == NULL && verb_is_group(name) && (argc == 2 || wants_help)) {
        help_print_group(wants_help ? stdout : stderr, name);
        return finish(wants_help ? STATUS_DONE : STATUS_USAGE);
    }
    if (verb == NULL) {
        help_no_verb(argc - 1, argv + 1);
        if (options_line_has(argc - 1, argv + 1, "--json"))
            json_print_failure(STATUS_USAGE);
        return finish(STATUS_USAGE);
    }
    message_set_verb(verb->name);
    return finish(run_verb(verb, argc - 1 - words, argv + 1 + words));
}
