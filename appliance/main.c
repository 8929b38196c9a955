/* SPDX-License-Identifier: Apache-2.0 */
/*
 * appliance/main.c - vine-appliance, which `vine appliance` becomes: an appliance on reactors.
 */
#include <signal.h>
#include <stdio.h>

#include "../procedures/streams/streams.h"
#include "../tools/appliance.h"
#include "../tools/help.h"
#include "../tools/json.h"
#include "../tools/message.h"
#include "../tools/options.h"
#include "../tools/status.h"

#include "on_reactors.h"

static int run(const struct arguments *arguments)
{
    struct appliance appliance;
    int status = appliance_init(&appliance, arguments);

    if (status != STATUS_DONE)
        return status;
    appliance.serve.offered = vine_streams_of;
    status = serve_on_reactors(&appliance, arguments);
    appliance_fini(&appliance);
    return status;
}

int main(int argc, char **argv)
{
    struct arguments arguments;
    int status = STATUS_USAGE;

    signal(SIGPIPE, SIG_IGN);
    signal(SIGXFSZ, SIG_IGN);
    message_init();
    message_set_verb("appliance");
    const enum options_outcome outcome =
        options_parse(&verb_appliance, argc - 1, argv + 1, &arguments);
    if (outcome == OPTIONS_HELP) {
        help_print_verb(stdout, &verb_appliance);
        status = STATUS_DONE;
    } else if (outcome == OPTIONS_PARSED) {
        status = run(&arguments);
    }
    if (status != STATUS_DONE && options_want_json(&arguments, outcome, argc - 1, argv + 1))
        json_print_failure(status);
    options_free(&arguments);
    if (fflush(stdout) != 0 || ferror(stdout)) {
        message_error("standard output: cannot write: %m");
        status = status == STATUS_DONE ? STATUS_FAILED : status;
    }
    return status;
}
