/* SPDX-License-Identifier: Apache-2.0 */
#include "mains.h"

#include <signal.h>
#include <stdio.h>

#include "help.h"
#include "json.h"
#include "message.h"
#include "options.h"
#include "status.h"

void main_begin(void)
{
    /* A reader that went away is an error of fflush, which is told, not a silent death that would
     * leave temporary files behind. */
    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN); /* alike: a file or a memory object that may not grow further */
    message_init();
}

int main_run(const struct verb *verb, int (*run)(const struct arguments *arguments), int argc,
             char **argv)
{
    struct arguments arguments;
    int status = STATUS_USAGE;

    message_set_verb(verb->name);
    const enum options_outcome outcome = options_parse(verb, argc, argv, &arguments);

    switch (outcome) {
    case OPTIONS_HELP:
        help_print_verb(stdout, verb);
        status = STATUS_DONE;
        break;
    case OPTIONS_WRONG:
        break;
    case OPTIONS_PARSED:
        status = run(&arguments);
        break;
    }
    if (status != STATUS_DONE && options_want_json(&arguments, outcome, argc, argv))
        json_print_failure(status);
    options_free(&arguments);
    return status;
}

int main_finish(int status)
{
    if (fflush(stdout) != 0 || ferror(stdout)) {
        message_error("standard output: cannot write: %m");
        return status == STATUS_DONE ? STATUS_FAILED : status;
    }
    return status;
}
