/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The main function of a program on reactors. It is the program's, so that it prints and nothing
 * else of the library does.
 */
#include <vine/runtime.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "core/launch/crew.h"
#include "core/launch/explain.h"
#include "core/launch/options.h"
#include "core/launch/plan.h"
#include "core/log/log.h"
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

/* Returns an exit code, or -1: there is a plan. */
static int make_plan(struct start *start)
{
    const struct vine__launch_options *const options = &start->options;
    const struct vine__topology_options topology_options = {.description = options->topology.text,
                                                            .hugepages = options->hugepages.text};
    const struct vine__lines shown = {.fn = print_line, .context = stdout};
    struct vine__mistakes mistakes = {0};
    struct vine__config_reason reason = {0};
    int error = vine__topology_create(&start->topology, &topology_options, &reason);

    if (error != 0) {
        if (reason.text[0] == '\0')
            return tell_failure(start, "no memory for what the machine is made of");
        if (options->topology.text == NULL)
            return tell_failure(start, reason.text);
        vine__mistakes_add(&mistakes, "--topology %s", reason.text);
        return tell_mistakes(start, &mistakes);
    }
    error = vine__plan_create(&start->plan, start->topology, options, &mistakes);
    if (error == -ENOMEM)
        return tell_failure(start, "no memory for a plan");
    if (start->topology->is_described) {
        vine__explain_described(&shown, start->topology, options, start->plan);
        return error != 0 ? tell_mistakes(start, &mistakes) : 0;
    }
    vine__explain_plan(&start->lines, start->topology, options, start->plan);
    return error != 0 ? tell_mistakes(start, &mistakes) : -1;
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
        return tell_failure(start, "--logger-log-level: a module's name is too long");
    if (start->program.before != NULL && start->options.topology.text == NULL) {
        const int code = start->program.before(argc, argv);

        if (code != VINE_MAIN_GOES_ON)
            return code;
    }
    if (vine_supervised() != NULL) {
        start->options.process_index = vine_supervised()->index;
        start->options.process_count = vine_supervised()->process_count;
        start->options.stop_limit_ns = vine_supervised()->drain_ns;
    }
    if (start->options.explain_start.number != 0)
        start->lines = (struct vine__lines){.fn = print_line, .context = stderr};
    vine__explain_step(&start->lines, VINE__STEP_SIGNALS, "%s",
                       vine__step_text(VINE__STEP_SIGNALS));
    const int code = make_plan(start);

    return code >= 0 ? code : run(start, app_main);
}

int vine_main(int argc, char **argv, const struct vine_options *options,
              int (*app_main)(int argc, char **argv))
{
    struct start start = {.program = vine__launch_program(options, argc > 0 ? argv[0] : NULL)};
    const int code = live(&start, argc, argv, app_main);

    vine__plan_destroy(start.plan);
    vine__topology_destroy(start.topology);
    vine__launch_options_fini(&start.options);
    return code;
}
