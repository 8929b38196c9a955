/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main function of a program on reactors. It is the program's, so that it prints and nothing
 * else of the library does.
 */
#include <vine/runtime.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "arch/guard/guard.h"
#include "arch/peer/standard.h"
#include "arch/poll/poll.h"
#include "core/launch/crew.h"
#include "core/launch/explain.h"
#include "core/launch/options.h"
#include "core/launch/plan.h"
#include "core/log/log.h"
#include "core/supervise/supervise.h"
#include "utils/config.h"

#define EXIT_FAILED 1
#define EXIT_USAGE  2

/* What is decided before anything runs. */
struct start {
    struct vine_options program;
    struct vine__launch_options options;
    struct vine__topology *topology;
    struct vine__plan *plan;
    struct vine__lines lines; /* of --explain-start */
    bool is_rehearsal;        /* others will tell of their start themselves */
};

static void print_line(void *stream, const char *line)
{
    (void)fprintf(stream, "%s\n", line);
}

static int tell_mistakes(const struct start *start, const struct vine__mistakes *mistakes)
{
    const char *text = mistakes->text;

    while (*text != '\0') {
        const char *const end = strchrnul(text, '\n');

        (void)fprintf(stderr, "%s: %.*s\n", start->program.name, (int)(end - text), text);
        text = *end == '\n' ? end + 1 : end;
    }
    (void)fprintf(stderr, "See '%s --help'.\n", start->program.name);
    return EXIT_USAGE;
}

static int tell_failure(const struct start *start, const char *why)
{
    (void)fprintf(stderr, "%s: %s\n", start->program.name, why);
    return EXIT_FAILED;
}

static void print_help(const struct start *start)
{
    const struct vine__lines lines = {.fn = print_line, .context = stdout};

    switch (start->options.help.number) {
    case VINE__LAUNCH_HELP_MAN:
        vine__launch_manual(&start->program, start->program.name, &lines);
        break;
    case VINE__LAUNCH_HELP_MARKDOWN:
        vine__launch_markdown(&start->program, &lines);
        break;
    default:
        vine__launch_help(&start->program, start->program.name, &lines);
    }
}

static void print_version(const struct vine_options *program)
{
    if (program->version != NULL)
        (void)printf("%s %s\n", program->name, program->version);
    else
        (void)printf("%s (vine %s)\n", program->name, VINE_VERSION);
}

/* What functions below return of which there is no exit code yet. */
#define GOES_ON (-1)

/* Returns an exit code, or GOES_ON: there is a topology. */
static int look_at_machine(struct start *start)
{
    const struct vine__launch_options *const options = &start->options;
    const struct vine__topology_options topology_options = {.description = options->topology.text,
                                                            .hugepages = options->hugepages.text};
    struct vine__mistakes mistakes = {0};
    struct vine__config_reason reason = {0};

    if (start->topology != NULL ||
        vine__topology_create(&start->topology, &topology_options, &reason) == 0)
        return GOES_ON;
    if (reason.text[0] == '\0')
        return tell_failure(start, "no memory for what the machine is made of");
    if (options->topology.text == NULL)
        return tell_failure(start, reason.text);
    vine__mistakes_add(&mistakes, "--topology %s", reason.text);
    return tell_mistakes(start, &mistakes);
}

/* Who insists on io_uring is told that there is none before anything begins. */
static int look_at_backend(const struct start *start)
{
    char why[VINE__POLL_WHY_BYTES] = "";
    const struct vine__poller_options options = {.backend = VINE__POLL_BACKEND_URING,
                                                 .ret_why = why};
    struct vine__poller *poller = NULL;
    struct vine__mistakes mistakes = {0};

    if (start->options.reactor_backend.number != VINE__LAUNCH_BACKEND_URING ||
        start->topology->is_described)
        return GOES_ON;
    const int error = vine__poller_create(&poller, &options);

    if (error == 0) {
        vine__poller_destroy(poller);
        return GOES_ON;
    }
    vine__mistakes_add(&mistakes, "--reactor-backend io_uring: %s; right would be auto or epoll",
                       why[0] != '\0' ? why : vine_error_text(error));
    return tell_mistakes(start, &mistakes);
}

/* Returns an exit code, or GOES_ON: there is a plan, for this process alone. */
static int make_plan(struct start *start, const struct vine__lines *lines)
{
    struct vine__mistakes mistakes = {0};
    int code = look_at_machine(start);

    if (code == GOES_ON)
        code = look_at_backend(start);
    if (code != GOES_ON)
        return code;
    vine__plan_destroy(start->plan);
    start->plan = NULL;
    const int error = vine__plan_create(&start->plan, start->topology, &start->options, &mistakes);

    if (error == -ENOMEM)
        return tell_failure(start, "no memory for a plan");
    if (start->topology->is_described)
        vine__explain_described(lines, start->topology, &start->options, start->plan);
    else if (error != 0 || !start->is_rehearsal)
        vine__explain_plan(lines, start->topology, &start->options, start->plan);
    return error != 0 ? tell_mistakes(start, &mistakes) : GOES_ON;
}

/* What a process that will start before the next ones takes of what they share. */
static void charge(struct start *start)
{
    struct vine__huge_pages *const huge = &start->topology->huge;
    const struct vine__plan *const plan = start->plan;

    if (!plan->is_huge)
        return;
    huge->free_count -= plan->memory_bytes / huge->page_bytes;
    for (uint32_t i = 0; i < plan->core_count; i++)
        for (uint32_t j = 0; j < plan->cores[i].piece_count; j++) {
            const struct vine__plan_piece *const piece = &plan->cores[i].pieces[j];
            struct vine__node *const node = &start->topology->nodes[piece->node];
            const uint64_t count = piece->bytes / huge->page_bytes;

            node->huge_page_count -= count < node->huge_page_count ? count : node->huge_page_count;
        }
}

/* What the program wishes of a supervisor: zeroes if it wants none. */
static struct vine_supervise_options wishes_of(const struct start *start)
{
    const struct vine_supervise_options *const given = start->program.supervise;
    struct vine_supervise_options wishes = {0};

    if (given != NULL)
        memcpy(&wishes, given,
               given->size_bytes < sizeof(wishes) ? given->size_bytes : sizeof(wishes));
    return wishes.is_unused ? (struct vine_supervise_options){0} : wishes;
}

/* The same for each of the processes that there will be, or for the only one. What does not suit
 * one of them is told here, before there is any, and once. */
static int make_plans(struct start *start, const struct vine__lines *lines)
{
    const uint64_t wished = wishes_of(start).process_count;
    const uint32_t count =
        wished > 1 && wished <= VINE_SUPERVISE_PROCESSES_MAX ? (uint32_t)wished : 1;
    int code = look_at_machine(start);

    start->options.process_count = count;
    for (uint32_t i = 0; i < count && code == GOES_ON; i++) {
        start->options.process_index = i;
        if (i > 0 && !start->is_rehearsal)
            vine__lines_add(lines, "%s", "");
        if (count > 1 && !start->is_rehearsal)
            vine__lines_add(lines, "Process %u of %u:", i, count);
        code = make_plan(start, lines);
        if (code == GOES_ON)
            charge(start);
    }
    return code;
}

/* Returns an exit code, or GOES_ON: this is the process that serves. */
static int supervise(struct start *start, int argc, char **argv)
{
    /* What `check` may want to know. */
    const bool is_supervised = start->program.supervise != NULL && vine__supervised_init();
    int code = GOES_ON;

    if (start->program.check != NULL)
        code = start->program.check(start->options.argc, start->options.argv);
    if (code != GOES_ON || wishes_of(start).size_bytes == 0)
        return code;
    if (!is_supervised) {
        start->is_rehearsal = true;
        code = make_plans(start, &start->lines);
    }
    if (code == GOES_ON)
        code = vine_supervise(argc, argv, start->program.supervise);
    if (code == GOES_ON) {
        start->options.process_index = vine_supervised()->index;
        start->options.process_count = vine_supervised()->process_count;
        start->options.stop_limit_ns = vine_supervised()->drain_ns;
    }
    return code;
}

static int set_levels(const struct vine__launch_options *options)
{
    int error;

    vine__log_reset_levels();
    error = vine_log_set_level(NULL, (enum vine_log_level)options->default_log_level.number);
    for (uint32_t i = 0; error == 0 && i < options->level_count; i++) {
        const struct vine__level *const level = &options->levels[i];
        char module[VINE_LOG_MODULE_BYTES] = "";

        if (level->length >= sizeof(module))
            return -EINVAL;
        memcpy(module, level->module, level->length);
        error = vine_log_set_level(module, level->level);
    }
    return error;
}

static int run(const struct start *start, int (*app_main)(int argc, char **argv))
{
    const struct vine__crew_options crew_options = {
        .plan = start->plan,
        .topology = start->topology,
        .options = &start->options,
        .lines = &start->lines,
        .app_main = app_main,
    };
    char why[VINE__CREW_WHY_BYTES] = "";
    bool is_cut_short = false;
    int code = 0;

    if (vine__crew_run(&crew_options, &code, &is_cut_short, why) != 0)
        return tell_failure(start, why);
    vine__log_tell_lost();
    if (is_cut_short)
        (void)fprintf(stderr, "%s: something did not stop in time, and was left\n",
                      start->program.name);
    return code;
}

static int live(struct start *start, int argc, char **argv, int (*app_main)(int argc, char **argv))
{
    struct vine__mistakes mistakes = {0};
    const int error =
        vine__launch_options_init(&start->options, &start->program, argc, argv, &mistakes);
    int code;

    if (error == -ENOMEM)
        return tell_failure(start, "no memory for the options");
    if (error != 0)
        return tell_mistakes(start, &mistakes);
    if (vine__is_asked(&start->options.help)) {
        print_help(start);
        return 0;
    }
    if (start->options.version.number != 0) {
        print_version(&start->program);
        return 0;
    }
    if (set_levels(&start->options) != 0)
        return tell_failure(start, "no room for the levels of that many modules");
    if (start->options.topology.text != NULL) {
        const struct vine__lines shown = {.fn = print_line, .context = stdout};

        code = make_plans(start, &shown);
        return code == GOES_ON ? 0 : code;
    }
    if (start->options.explain_start.number != 0)
        start->lines = (struct vine__lines){.fn = print_line, .context = stderr};
    code = supervise(start, argc, argv);
    if (code != GOES_ON)
        return code;
    vine__explain_step(&start->lines, VINE__STEP_SIGNALS, "%s",
                       vine__step_text(VINE__STEP_SIGNALS));
    code = make_plan(start, &start->lines);
    return code != GOES_ON ? code : run(start, app_main);
}

/* vine_main, on pages of its own. */
struct whole {
    int argc;
    char **argv;
    const struct vine_options *options;
    int (*app_main)(int argc, char **argv);
    int code;
};

static void live_apart(void *context)
{
    struct whole *const whole = context;
    struct start start = {
        .program = vine__launch_program(whole->options, whole->argc > 0 ? whole->argv[0] : NULL)};

    whole->code = live(&start, whole->argc, whole->argv, whole->app_main);
    vine__plan_destroy(start.plan);
    vine__topology_destroy(start.topology);
    vine__launch_options_fini(&start.options);
}

int vine_main(int argc, char **argv, const struct vine_options *options,
              int (*app_main)(int argc, char **argv))
{
    struct whole whole = {.argc = argc, .argv = argv, .options = options, .app_main = app_main};

    vine__standard_hold();
    vine__guard_call_apart(live_apart, &whole);
    return whole.code;
}
