/* SPDX-License-Identifier: Apache-2.0 */
#include "appliance.h"

#include <stdlib.h>

#include "arch/wake/membarrier.h"

#include "keys.h"
#include "message.h"
#include "own.h"
#include "processors.h"
#include "status.h"

#define VALUE(field) .offset = offsetof(struct appliance_values, field)

/* How the values of the runtime's options are kept: as texts, that it reads itself. */
#define KEPT(field)                                                                                \
    .kind = OPTION_LIST, .offset = offsetof(struct appliance_values, reactors[APPLIANCE_##field])
#define KEPT_COUNT        KEPT
#define KEPT_CPUS         KEPT
#define KEPT_PORTION      KEPT
#define KEPT_PATH         KEPT
#define KEPT_SWITCH       KEPT
#define KEPT_MACHINE      KEPT
#define KEPT_MICROSECONDS KEPT
#define KEPT_MILLISECONDS KEPT
#define KEPT_CHOICE       KEPT
#define KEPT_LEVELS       KEPT
#define KEPT_FLAG(field)                                                                           \
    .kind = OPTION_FLAG,                                                                           \
    .offset = offsetof(struct appliance_values, reactor_flags[APPLIANCE_##field])
#define REACTOR(field, name_, kind_, value_, fallback_, bare_, least_, greatest_, help_)           \
    {.name = name_, KEPT_##kind_(field), .value = value_, .fallback = fallback_, .help = help_},

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
    {.name = "handover",
     .kind = OPTION_COUNT,
     VALUE(handover),
     .value = "SECONDS",
     .key = "handover",
     .help = "when another one takes over, give up sessions, streams and tasks that still go on "
             "after so long; 0: never"},
    {.name = "shares",
     .kind = OPTION_LIST,
     VALUE(shares),
     .value = "WHO=N",
     .key = "shares",
     .help = "give N shares of the time, of loops and of workers, to the pipes of user:NAME, "
             "user:UID or exe:PATH, where several want it; 100 are usual, 10000 the most; may be "
             "given for several, of which the first that fits counts"},
    {.name = "dispatch-max",
     .kind = OPTION_TIME,
     VALUE(dispatch_max_ns),
     .value = "TIME",
     .key = "dispatch_max",
     .help = "tell of procedures that hold a loop for longer, as 2ms: nobody else is served "
             "meanwhile; 0: never"},
    {.name = "take-over",
     .kind = OPTION_FLAG,
     VALUE(take_over),
     .help = "take the place of the appliance that serves there, if there is one: it leaves its "
             "pipes and ends, and no task is lost"},
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
             "50000, or 500000 at links, if nothing says; on reactors the same as "
             "--idle-poll-time-us"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print an object a line for each event: listening, pipes opened, closed or refused, "
             "libraries loaded, refused or gone, draining, stopped"},
    {.name = "isolate",
     .kind = OPTION_TEXT,
     .hint = COMPLETE_CHOICE,
     VALUE(isolate),
     .value = "best|pku|mprotect|none",
     .fallback = "best",
     .heading = "Options of its reactors",
     .help = "what keeps procedures that are coroutines from each other's memory; best: pku where "
             "this machine has it, else mprotect"},
    {.name = "heap",
     .kind = OPTION_SIZE,
     VALUE(heap_bytes),
     .value = "SIZE",
     .fallback = "64K",
     .help = "what the heap of such a task or session grows to at most, a power of two"},
    {.name = "run-limit",
     .kind = OPTION_COUNT,
     VALUE(run_ms),
     .value = "MS",
     .fallback = "1000",
     .help = "processor time that such a coroutine may use without waiting for anything; one that "
             "uses more is ended as by a fault; 0: no limit"},
    {.name = "pipes-stay",
     .kind = OPTION_FLAG,
     VALUE(pipes_stay),
     .key = "pipes_stay",
     .help = "leave each pipe on the core that took it; else pipes go to cores that have less to "
             "do"},
    /* Those of every program on reactors. */
    VINE__REACTOR_OPTIONS(REACTOR)};

#undef REACTOR
#undef VALUE

int appliance_init(struct appliance *appliance, const struct arguments *arguments)
{
    const struct appliance_values *values = arguments->values;
    struct settings *const settings = &appliance->settings;

    *appliance = (struct appliance){0};
    /* While there is one thread, and it takes no time. */
    (void)!vine__membarrier_register();
    int status = settings_load(settings, arguments);
    if (status != STATUS_DONE)
        return status;
    appliance->libraries = settings_path(settings, "procs");
    appliance->folder = settings_path(settings, "keys");
    const uint64_t leave_ns = settings_number(settings, "handover") * VINE_NS_PER_SECOND;
    appliance->serve = (struct serve_options){
        /* Where to serve, else the appliance that applications are told to use. */
        .address = settings_text(settings, "listen", settings_address(settings)),
        .workers = (uint32_t)settings_number(settings, "workers"),
        .libraries = appliance->libraries,
        .shares = &appliance->shares,
        .dispatch_max_ns = settings_ns(settings, "dispatch_max"),
        .drain_seconds = (unsigned)settings_number(settings, "drain"),
        .leave_ns = leave_ns != 0 ? leave_ns : VINE_FOREVER,
        .ready_fd = -1,
        .spin_ns = values->spin_ns,
        .takes_over = values->take_over,
        .shows_progress = values->progress,
        .is_verbose = values->verbose,
        .json = values->json,
    };
    appliance->pipes_stay = settings_number(settings, "pipes_stay") != 0;
    status = shares_init(&appliance->shares, settings_text(settings, "shares", NULL));
    if (status == STATUS_DONE && appliance->folder != NULL)
        status = keys_start(appliance->folder, appliance->libraries, processors_count(),
                            &appliance->serve.keys);
    if (status != STATUS_DONE)
        appliance_fini(appliance);
    return status;
}

void appliance_fini(struct appliance *appliance)
{
    keys_close(appliance->serve.keys);
    shares_fini(&appliance->shares);
    free(appliance->folder);
    free(appliance->libraries);
    settings_free(&appliance->settings);
    *appliance = (struct appliance){0};
}

/* On a plain loop, where there are no reactors that options could be of. */
static int serve_plainly(const struct appliance *appliance, const struct arguments *arguments)
{
    const struct verb *const verb = arguments->verb;
    size_t i = 0;

    while (verb->options[i].heading == NULL)
        i++;
    for (; i < verb->option_count; i++)
        if ((arguments->given & 1ULL << i) != 0) {
            message_error("--%s is for reactors: " APPLIANCE_PROGRAM " is not beside this command",
                          verb->options[i].name);
            return STATUS_USAGE;
        }
    return serve(&appliance->serve);
}

/* It becomes the program that has reactors. Where that was not installed, as in small guests, a
 * plain loop serves. */
static int run_appliance(const struct arguments *arguments)
{
    struct appliance appliance;

    if (own_has(APPLIANCE_PROGRAM))
        return own_become(APPLIANCE_PROGRAM, arguments->line_count, arguments->line);
    int status = appliance_init(&appliance, arguments);
    if (status == STATUS_DONE) {
        status = serve_plainly(&appliance, arguments);
        appliance_fini(&appliance);
    }
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
    "It is a program on reactors, with their options: one core that is bound to no processor, "
    "unless they say otherwise, and worker threads for what takes long. Each pipe is served by one "
    "of the cores; that of a named segment or a device, and links (file:, shm:, pci:, link:, "
    "vinetalk:), by the first one.",
    "A live appliance's address is never taken, but with --take-over, by which an appliance of the "
    "same user is replaced while it works: pipes come over one by one, each when its tasks under "
    "way and its sessions have ended, or the --handover seconds of the former are over. A socket "
    "that a dead one left is taken.",
    NULL,
};

static const char *const appliance_examples[] = {
    "vine appliance",
    "serve at the default address, where `vine run` with VINE_APPLIANCE=default finds it",
    "vine appliance --listen /run/user/1000/work.sock --workers 4",
    "serve at a path, with four workers",
    "vine appliance --take-over",
    "replace the one that serves at the default address, as with a newer version, under load",
    "vine appliance --smp 4 --procs ./procs --isolate pku",
    "serve on four cores, also the procedures of libraries, of which coroutines are kept apart",
    NULL,
};

/* The core shares its processor with workers and applications, as a plain loop does; and what holds
 * it up for moments, such as the start of many threads on a busy machine, is nothing to tell. */
static const char *const appliance_wishes[] = {
    "--smp=1", "--thread-affinity=0", "--idle-poll-time-us=50", "--blocked-reactor-notify-ms=1000",
    NULL,
};

const struct verb verb_appliance = {
    .name = "appliance",
    .synopsis = "",
    .description = appliance_description,
    .examples = appliance_examples,
    .options = appliance_options,
    .option_count = sizeof(appliance_options) / sizeof(appliance_options[0]),
    .wishes = appliance_wishes,
    .values_size = sizeof(struct appliance_values),
    .run = run_appliance,
};
