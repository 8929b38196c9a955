/* SPDX-License-Identifier: Apache-2.0 */
/*
 * main.c - the command: finds the verb, has its arguments parsed, runs it.
 */
#include <stdio.h>
#include <string.h>

#include "help.h"
#include "json.h"
#include "mains.h"
#include "message.h"
#include "options.h"
#include "own.h"
#include "status.h"
#include "verb.h"

int main(int argc, char **argv)
{
    main_begin();

    const char *name = argc > 1 ? argv[1] : NULL;
    if (name == NULL) {
        help_print_overview(stderr);
        return STATUS_USAGE;
    }
    if (strcmp(name, "--help") == 0 || strcmp(name, "-h") == 0) {
        help_print_overview(stdout);
        return main_finish(STATUS_DONE);
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
        return main_finish(wants_help ? STATUS_DONE : STATUS_USAGE);
    }
    if (verb == NULL) {
        help_no_verb(argc - 1, argv + 1);
        if (options_line_has(argc - 1, argv + 1, "--json"))
            json_print_failure(STATUS_USAGE);
        return main_finish(STATUS_USAGE);
    }
    argc -= 1 + words;
    argv += 1 + words;
    message_set_verb(verb->name);
    return main_finish(verb->program != NULL ? own_become(verb->program, argc, argv)
                                             : main_run(verb, verb->run, argc, argv));
}
