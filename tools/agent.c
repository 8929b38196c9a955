/* SPDX-License-Identifier: Apache-2.0 */
#include "agent.h"

#include <stdlib.h>

#include "message.h"
#include "settings.h"
#include "status.h"
#include "verb.h"

/* Most of them wait for the far appliance. One application may have a quarter of them wait, and a
 * quarter of the sessions of a pipe. */
#define WORKERS      32
#define WORKERS_MAX  256
#define SESSIONS_MAX 63

struct agent_values {
    const char *appliance;
    const char *listen;
    uint64_t workers;
    bool wait;
    bool watch;
    uint64_t drain;
    bool verbose;
    bool json;
};

#define VALUE(field) .offset = offsetof(struct agent_values, field)

static const struct option agent_options[] = {
    {.name = "appliance",
     .letter = 'a',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(appliance),
     .value = "ADDRESS",
     .help = "the appliance that does the work; `pci:auto` if none is named"},
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
     .min = 1,
     .max = WORKERS_MAX,
     .help = "have at most N tasks under way at once, of one application a quarter of that; 32 if "
             "nothing says"},
    {.name = "wait",
     .kind = OPTION_FLAG,
     VALUE(wait),
     .help = "where there is no appliance yet, wait for it"},
    {.name = "watch",
     .kind = OPTION_FLAG,
     VALUE(watch),
     .help = "serve nobody: watch the processes of this machine that have a link, and tell the "
             "other end of one that dies"},
    {.name = "drain",
     .kind = OPTION_COUNT,
     VALUE(drain),
     .value = "SECONDS",
     .key = "drain",
     .help = "give up what still runs so long after SIGTERM; 0: never"},
    {.name = "verbose",
     .letter = 'v',
     .kind = OPTION_FLAG,
     VALUE(verbose),
     .help = "tell of each pipe"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print an object a line for each event: those of `vine appliance`, and the appliance "
             "lost or back"},
};

#undef VALUE

static int run_agent(const struct arguments *arguments)
{
    const struct agent_values *values = arguments->values;
    const uint32_t workers = values->workers != 0 ? (uint32_t)values->workers : WORKERS;
    struct settings settings;
    struct agent *agent;
    int status;

    if (values->watch)
        return agent_watch(values->verbose, values->json);
    status = settings_load(&settings, arguments);
    if (status != STATUS_DONE)
        return status;
    agent = malloc(sizeof(*agent));
    if (agent == NULL) {
        message_error("out of memory");
        settings_free(&settings);
        return STATUS_FAILED;
    }
    agent_init(agent, values->appliance != NULL ? values->appliance : "pci:auto");
    agent->source.running_max = workers >= 4 ? workers / 4 : 1;
    agent->source.sessions_max = SESSIONS_MAX;
    agent->waits = values->wait;
    agent->is_verbose = values->verbose;
    agent->json = values->json;
    const struct serve_options options = {
        .address = settings_text(&settings, "listen", "default"),
        .workers = workers,
        .source = &agent->source,
        .drain_seconds = (unsigned)settings_number(&settings, "drain"),
        .ready_fd = -1,
        .is_verbose = values->verbose,
        .json = values->json,
    };
    status = serve(&options);
    free(agent);
    settings_free(&settings);
    return status;
}

static const char *const agent_description[] = {
    "Serves the procedures of another appliance to the applications of this machine, over one pipe "
    "of its own: where a link to an appliance in another machine takes one process, several share "
    "it through an agent. To them it is an appliance without streams; it copies data into the link "
    "and out of it.",
    "Where the appliance is lost, tasks end with VINE_EPEERLOST and new pipes are refused until it "
    "is back, for which the agent tries again and again. Open pipes stay, and find the procedures "
    "that it has then. Signals are those of `vine appliance`.",
    "With --watch it has no pipe and serves nobody: it tells the other machines of processes of "
    "this one that were killed while they had an end of a link, which nobody else can see. One of "
    "them is enough for a machine, and the first process of a guest starts it.",
    NULL,
};

static const char *const agent_examples[] = {
    "vine agent &",
    "share the link of this machine: `VINE_APPLIANCE=default vine run ...` uses it",
    "vine agent --appliance /run/far.sock --listen ./near.sock",
    "pass on what comes to one socket to the appliance at another",
    NULL,
};

const struct verb verb_agent = {
    .name = "agent",
    .synopsis = "",
    .description = agent_description,
    .examples = agent_examples,
    .options = agent_options,
    .option_count = sizeof(agent_options) / sizeof(agent_options[0]),
    .values_size = sizeof(struct agent_values),
    .run = run_agent,
};
