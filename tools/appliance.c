/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>

#include "keys.h"
#include "message.h"
#include "processors.h"
#include "serve.h"
#include "settings.h"
#include "status.h"
#include "verb.h"

struct appliance_values {
    const char *listen;
    uint64_t workers;
    const char *procs;
    const char *keys;
    uint64_t drain;
    uint64_t spin_ns;
    bool progress;
    bool verbose;
    bool json;
};

#define VALUE(field) .offset = offsetof(struct appliance_values, field)

static const struct option appliance_options[] = {
    {.name = "listen",
     .letter = 'l',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(listen),
     .value = "ADDRESS",
     .key = "listen",
     .help = "serve at this address; `default` if nothing names one"},
    {.name = "workers",
     .letter = 'w',
     .kind = OPTION_COUNT,
     VALUE(workers),
     .value = "N",
     .key = "workers",
     .help = "run tasks on N threads; one less than there are processors, at least one, if nothing "
             "says, or 0"},
    {.name = "procs",
     .letter = 'p',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(procs),
     .value = "DIR",
     .key = "procs",
     .help = "offer the procedures of the shared objects in DIR too, and take up those that change "
             "while serving"},
    {.name = "keys",
     .letter = 'k',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(keys),
     .value = "DIR",
     .key = "keys",
     .help = "offer `seal` and `open` with the keys of DIR, one a file, which a process of its own "
             "has and this one cannot read"},
    {.name = "drain",
     .kind = OPTION_COUNT,
     VALUE(drain),
     .value = "SECONDS",
     .key = "drain",
     .help = "give up what still runs so long after SIGTERM; 0: never"},
    {.name = "progress",
     .kind = OPTION_FLAG,
     VALUE(progress),
     .help = "show pipes, tasks and the last second's MB/s at the bottom of a terminal"},
    {.name = "verbose",
     .letter = 'v',
     .kind = OPTION_FLAG,
     VALUE(verbose),
     .help = "tell of each pipe, and of each library that is loaded"},
    {.name = "spin",
     .kind = OPTION_COUNT,
     VALUE(spin_ns),
     .value = "NS",
     .min = 1,
     .max = 1000000000,
     .help = "look for so many nanoseconds for the next task before sleeping; 1: sleep at once; "
             "50000, or 500000 at links, if nothing says"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print an object a line for each event: listening, pipes opened, closed or refused, "
             "libraries loaded, refused or gone, draining, stopped"},
};

#undef VALUE

static int run_appliance(const struct arguments *arguments)
{
    const struct appliance_values *values = arguments->values;
    struct settings settings;
    int status = settings_load(&settings, arguments);

    if (status != STATUS_DONE)
        return status;
    char *libraries = settings_path(&settings, "procs");
    char *folder = settings_path(&settings, "keys");
    struct keys *keys = NULL;
    /* First of all, while there is one thread and no library. */
    if (folder != NULL)
        status = keys_start(folder, libraries, processors_count(), &keys);
    const struct serve_options options = {
        /* Where to serve, else the appliance that applications are told to use. */
        .address = settings_text(&settings, "listen", settings_address(&settings)),
        .workers = (uint32_t)settings_number(&settings, "workers"),
        .libraries = libraries,
        .keys = keys,
        .drain_seconds = (unsigned)settings_number(&settings, "drain"),
        .ready_fd = -1,
        .spin_ns = values->spin_ns,
        .shows_progress = values->progress,
        .is_verbose = values->verbose,
        .json = values->json,
    };
    if (status == STATUS_DONE)
        status = serve(&options);
    keys_close(keys);
    free(folder);
    free(libraries);
    settings_free(&settings);
    return status;
}

static const char *const appliance_description[] = {
    "Serves the procedures that ship, and those of libraries, to the applications that connect. "
    "Prints one line with its address when it is ready.",
    "SIGTERM or SIGINT: it takes no new work, ends what it has taken, and goes. A second one, or "
    "the end of the --drain seconds, makes it give up what still runs, and a procedure that does "
    "not heed that within 3 seconds is gone without: it ends with status 1. SIGHUP: it looks at "
    "the libraries again, which it also does whenever their directory changes.",
    "With --json the events are on standard output, each with its time, and with `error` and "
    "`reason` where something went wrong; the appliance waits until they are read.",
    "A live appliance's address is never taken; a socket that a dead one left is.",
    NULL,
};

static const char *const appliance_examples[] = {
    "vine appliance",
    "serve at the default address, where `vine run` with VINE_APPLIANCE=default finds it",
    "vine appliance --listen /run/user/1000/work.sock --workers 4",
    "serve at a path, with four workers",
    NULL,
};

const struct verb verb_appliance = {
    .name = "appliance",
    .synopsis = "",
    .description = appliance_description,
    .examples = appliance_examples,
    .options = appliance_options,
    .option_count = sizeof(appliance_options) / sizeof(appliance_options[0]),
    .values_size = sizeof(struct appliance_values),
    .run = run_appliance,
};
