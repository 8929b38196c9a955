/* SPDX-License-Identifier: Apache-2.0 */
#include "run.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include <vine/error.h>

#include "collide.h"
#include "connect.h"
#include "json.h"
#include "message.h"
#include "serve.h"
#include "settings.h"
#include "status.h"
#include "verb.h"
#include "verify.h"

#define CHUNK_MIN        4096
#define CHUNK_MAX        (256ULL << 20)
#define DESCRIPTORS_KEPT 96 /* for everything but files at work: the walk, the pipe, OUT */

struct run_values {
    const char *output;
    const char *appliance;
    const char *level;
    uint64_t jobs;
    uint64_t chunk;
    uint64_t reconnect;
    bool sums;
    bool verify;
    bool in_process;
    bool json;
    bool quiet;
    bool verbose;
};

/* The verb's whole state. */
struct run_verb {
    const struct run_values *values;
    const char *procedure;
    char **sources;
    size_t source_count;
    struct settings settings;
    struct connection connection;
    struct run run;
    struct vine_pipe *pipe; /* until an engine has it */
};

static int usage(const char *what)
{
    message_error("%s", what);
    return STATUS_USAGE;
}

/* ---- what was asked for ------------------------------------------------------------------------- */

static int check_level(struct run_verb *verb)
{
    struct run_options *options = &verb->run.options;
    const struct recipe *recipe = &options->recipe;

    if (verb->values->level == NULL)
        return STATUS_DONE;
    if (recipe->level_argument < 0) {
        message_error("%s has no levels", recipe->procedure);
        return STATUS_USAGE;
    }
    if (vine__parse_unsigned(verb->values->level, &options->level) < 0 ||
        options->level < recipe->level_min || options->level > recipe->level_max) {
        message_error("%s has levels %llu to %llu, not '%s'", recipe->procedure,
                      (unsigned long long)recipe->level_min, (unsigned long long)recipe->level_max,
                      message_escape(verb->values->level));
        return STATUS_USAGE;
    }
    options->has_level = true;
    return STATUS_DONE;
}

static int check_collisions(struct run_verb *verb)
{
    struct collision collision;

    if (!verb->run.options.recipe.makes_files && !verb->values->sums)
        return STATUS_DONE;
    const int found =
        collide_find(&verb->run.options.recipe, verb->sources, verb->source_count, &collision);
    if (found == 0)
        return STATUS_DONE;
    if (found < 0) {
        message_error("cannot compare the arguments: %s", vine_error_text(found));
        return STATUS_FAILED;
    }
    message_error("'%s' and '%s' both lead to %s; run them one by one, each with an output of its "
                  "own",
                  message_escape(verb->sources[collision.first]),
                  message_escape(verb->sources[collision.second]),
                  message_escape(collision.result));
    free(collision.result);
    return STATUS_USAGE;
}

/* What can be refused once the recipe is known. */
static int check(struct run_verb *verb)
{
    const struct recipe *recipe = &verb->run.options.recipe;

    if (recipe->makes_files && verb->values->output == NULL) {
        message_error("%s makes files: say where with -o OUT", recipe->procedure);
        return STATUS_USAGE;
    }
    if (verb->values->sums && verb->values->output == NULL)
        return usage("--sums writes OUT/" SUMS_NAME ": say where with -o OUT");
    if (verb->values->verify && !verify_knows(recipe)) {
        message_error("--verify does not know what %s does", recipe->procedure);
        return STATUS_USAGE;
    }
    const int status = check_level(verb);
    return status != STATUS_DONE ? status : check_collisions(verb);
}

static int read_options(struct run_verb *verb)
{
    struct run_options *options = &verb->run.options;
    const uint64_t jobs = settings_number(&verb->settings, "jobs", 64);

    options->chunk_bytes = settings_number(&verb->settings, "chunk", 1 << 20);
    options->jobs = jobs < 4096 ? (uint32_t)jobs : 4096;
    options->with_sums = verb->values->sums;
    options->verify = verb->values->verify;
    options->json = verb->values->json;
    options->quiet = verb->values->quiet;
    options->verbose = verb->values->verbose;
    if (options->jobs == 0)
        return usage("at least one task has to be in flight");
    if (options->chunk_bytes < CHUNK_MIN || options->chunk_bytes > CHUNK_MAX)
        return usage("a chunk has 4 KiB to 256 MiB");
    if (strlen(verb->procedure) > VINE_NAME_MAX)
        return usage("no procedure has so long a name");
    return STATUS_DONE;
}

/* ---- the engine --------------------------------------------------------------------------------- */

static int take_limits(struct run_verb *verb)
{
    struct run *run = &verb->run;
    const uint64_t chunk = run->options.chunk_bytes;
    const uint64_t least = chunk + recipe_room(&run->options.recipe, chunk);

    run->tasks_max =
        run->options.jobs < run->engine->tasks_max ? run->options.jobs : run->engine->tasks_max;
    run->memory_max = run->engine->memory_max;
    if (least <= run->memory_max)
        return STATUS_DONE;
    message_error("chunks of %llu bytes do not fit into the %llu that the appliance grants",
                  (unsigned long long)chunk, (unsigned long long)run->memory_max);
    return STATUS_USAGE;
}

/* The pipe becomes the run's engine. */
static int make_engine(struct run_verb *verb)
{
    const struct engine_options options = {
        .recipe = &verb->run.options.recipe,
        .with_sums = verb->run.options.with_sums,
        .has_level = verb->run.options.has_level,
        .level = verb->run.options.level,
        .threads = serve_processors(),
    };
    const char *missing = verb->procedure;
    int error;

    if (verb->values->in_process)
        error = engine_threads_create(&options, &verb->run.engine);
    else
        error = engine_pipe_create(verb->pipe, &options, &verb->run.engine, &missing);
    if (error == 0) {
        verb->pipe = NULL;
        return take_limits(verb);
    }
    if (error == -VINE_EPROCEDURE) {
        message_error("the appliance has no procedure %s; `vine procs` lists what it has",
                      message_escape(missing));
        return STATUS_USAGE;
    }
    if (error == -ENOTSUP) {
        message_error("--in-process does not know what %s does", missing);
        return STATUS_USAGE;
    }
    message_error("%s: %s", missing, vine_error_text(error));
    return status_of_error(error);
}

static int reconnect(struct run *run, void *context)
{
    struct run_verb *verb = context;
    int status = connection_reopen(&verb->connection,
                                   settings_number(&verb->settings, "reconnect", 10), &verb->pipe);

    (void)run;
    if (status == STATUS_DONE)
        status = make_engine(verb);
    return status == STATUS_DONE ? STATUS_DONE : STATUS_TRY_AGAIN;
}

/* A procedure that does not ship is described by the appliance. */
static int ask_for_recipe(struct run_verb *verb)
{
    struct vine_procedure *procedure;
    const int error = vine_procedure_get(verb->pipe, verb->procedure, &procedure);

    if (error == -VINE_EPROCEDURE) {
        message_error("the appliance has no procedure %s; `vine procs` lists what it has",
                      message_escape(verb->procedure));
        return STATUS_USAGE;
    }
    if (error < 0) {
        message_error("%s: %s", message_escape(verb->procedure), vine_error_text(error));
        return status_of_error(error);
    }
    const char *why = recipe_of_info(vine_procedure_describe(procedure), &verb->run.options.recipe);
    if (why == NULL)
        return STATUS_DONE;
    message_error("%s cannot be run on files: %s", verb->procedure, why);
    return STATUS_USAGE;
}

static int prepare_engine(struct run_verb *verb)
{
    const bool ships = recipe_of_shipped(verb->procedure, &verb->run.options.recipe);
    int status = STATUS_DONE;

    /* Refuse before anything is started, where that can be. */
    if (ships || verb->values->in_process)
        status = ships ? check(verb) : usage("--in-process knows the procedures that ship alone");
    if (status == STATUS_DONE && !verb->values->in_process) {
        status = connection_open(&verb->connection, &verb->pipe);
        if (status == STATUS_DONE)
            status = ask_for_recipe(verb);
        if (status == STATUS_DONE && !ships)
            status = check(verb);
    }
    return status == STATUS_DONE ? make_engine(verb) : status;
}

/* ---- the output --------------------------------------------------------------------------------- */

static int output_error(const struct run_verb *verb, int error)
{
    if (error == -EBUSY) {
        message_error("another `vine run` works in %s", message_escape(verb->values->output));
        return STATUS_TRY_AGAIN;
    }
    message_error("cannot write to %s: %s", message_escape(verb->values->output),
                  vine_error_text(error));
    return STATUS_FAILED;
}

static int prepare_output(struct run_verb *verb, struct stat *ret_status)
{
    struct run *run = &verb->run;
    char with[128];

    int error = output_open(verb->values->output, &run->output);
    if (error == 0 && fstat(run->output.fd, ret_status) < 0)
        error = -errno;
    if (error < 0)
        return output_error(verb, error);
    for (size_t i = 0; i < verb->source_count; i++) {
        struct stat source;
        if (stat(verb->sources[i], &source) == 0 && source.st_dev == ret_status->st_dev &&
            source.st_ino == ret_status->st_ino) {
            message_error("%s is where results go, too: they would be taken for sources next time",
                          message_escape(verb->sources[i]));
            return STATUS_USAGE;
        }
    }
    snprintf(with, sizeof(with), "%s level=%s chunk=%llu", run->options.recipe.procedure,
             run->options.has_level ? verb->values->level : "-",
             (unsigned long long)run->options.chunk_bytes);
    if (run->options.recipe.makes_files)
        error = state_open(&run->output, with, &run->state);
    if (error == 0 && run->options.with_sums)
        error = sums_open(&run->output, &run->sums);
    return error < 0 ? output_error(verb, error) : STATUS_DONE;
}

/* All went as far as it could: what there is gets its last touches. */
static int complete_output(struct run_verb *verb, int status)
{
    struct run *run = &verb->run;
    const bool has_ended = status == STATUS_DONE || status == STATUS_FAILED;
    int error = 0;

    if (run->output.fd < 0)
        return status;
    if (run->options.with_sums && run->sums.stream != NULL) {
        if (has_ended && !run->is_fatal)
            error = sums_commit(&run->sums);
        sums_abandon(&run->sums);
    }
    const bool wants_sync = has_ended && error == 0 && run->progress.files_done > 0;
    if (wants_sync)
        error = output_sync(&run->output);
    const int closed = state_close(&run->state, wants_sync && error == 0);
    if (error == 0 && has_ended && !run->is_fatal)
        error = closed;
    output_close(&run->output);
    if (error < 0)
        return status == STATUS_DONE ? output_error(verb, error) : status;
    return status;
}

/* ---- the whole ---------------------------------------------------------------------------------- */

static void set_files_max(struct run *run)
{
    struct rlimit limit;
    rlim_t files = RUN_FILES_MAX;

    /* A file at work holds its source, its result, and perhaps the directory of that. */
    if (getrlimit(RLIMIT_NOFILE, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY)
        files = limit.rlim_cur > DESCRIPTORS_KEPT ? (limit.rlim_cur - DESCRIPTORS_KEPT) / 3 : 1;
    run->files_max = files < RUN_FILES_MAX ? (uint32_t)files : RUN_FILES_MAX;
    if (run->files_max == 0)
        run->files_max = 1;
}

static void free_files(struct run *run)
{
    while (run->first != NULL) {
        struct file *next = run->first->next;
        run_file_free(run, run->first);
        run->first = next;
    }
}

static int carry_out(struct run_verb *verb)
{
    struct run *run = &verb->run;
    struct stat output_status;
    int status = STATUS_DONE;

    if (verb->values->output != NULL)
        status = prepare_output(verb, &output_status);
    if (status == STATUS_DONE &&
        walk_open(verb->sources, verb->source_count,
                  verb->values->output != NULL ? &output_status : NULL, &run->walk) < 0) {
        message_error("out of memory");
        status = STATUS_FAILED;
    }
    if (status == STATUS_DONE) {
        progress_init(&run->progress, run->options.quiet);
        status = run_loop(run);
    } else {
        run->is_fatal = true;
    }
    message_progress("");
    return complete_output(verb, status);
}

static void summarize(const struct run_verb *verb, int status)
{
    const struct run *run = &verb->run;
    const char *what = verb->values->in_process           ? "in this process"
                       : verb->connection.address == NULL ? "by an appliance of its own"
                                                          : "by the appliance";

    if (run->options.json) {
        json_t *object = progress_json(&run->progress);
        json_object_set_new(object, "summary", json_true());
        json_object_set_new(object, "exit_status", json_integer(status));
        json_print_line(object);
    }
    if (!run->options.quiet)
        progress_summary(&run->progress, what);
}

static int run_run(const struct arguments *arguments)
{
    struct run_verb *verb = calloc(1, sizeof(*verb));
    int status = STATUS_FAILED;

    if (verb == NULL) {
        message_error("out of memory");
        return status;
    }
    struct run *run = &verb->run;
    verb->values = arguments->values;
    verb->procedure = arguments->operands[0];
    verb->sources = arguments->operands + 1;
    verb->source_count = arguments->operand_count - 1;
    run->output.fd = -1;
    run->sums.file.fd = -1;
    run->last = &run->first;
    run->unsent_last = &run->unsent;
    run->reconnect = reconnect;
    run->reconnect_context = verb;
    message_set_quiet(verb->values->quiet);
    set_files_max(run);
    status = settings_load(&verb->settings, arguments);
    if (status == STATUS_DONE) {
        verb->connection.address = settings_address(&verb->settings);
        verb->connection.is_verbose = verb->values->verbose;
        status = read_options(verb);
    }
    if (status == STATUS_DONE)
        status = prepare_engine(verb);
    if (status == STATUS_DONE) {
        status = carry_out(verb);
        if (run->progress.begun_ns != 0)
            summarize(verb, status);
    }
    free_files(run);
    walk_close(run->walk);
    engine_destroy(run->engine);
    vine_pipe_close(verb->pipe);
    connection_close(&verb->connection);
    settings_free(&verb->settings);
    free(verb);
    return status;
}

#define VALUE(field) .offset = offsetof(struct run_values, field)

static const struct option run_options[] = {
    {.name = "output",
     .letter = 'o',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_DIRECTORY,
     VALUE(output),
     .value = "OUT",
     .help = "the directory for results, at OUT/<path below the argument><suffix>; made if it is "
             "not there"},
    {.name = "appliance",
     .letter = 'a',
     .kind = OPTION_TEXT,
     .hint = COMPLETE_FILE,
     VALUE(appliance),
     .value = "ADDRESS",
     .key = "appliance",
     .help = "the appliance to use; where nothing names one, one is started for the length of the "
             "command"},
    {.name = "jobs",
     .letter = 'j',
     .kind = OPTION_COUNT,
     VALUE(jobs),
     .value = "N",
     .key = "jobs",
     .help = "keep at most N tasks in flight (64)"},
    {.name = "level",
     .letter = 'L',
     .kind = OPTION_TEXT,
     VALUE(level),
     .value = "N",
     .help = "how hard to compress, as `vine procs` tells"},
    {.name = "chunk",
     .kind = OPTION_SIZE,
     VALUE(chunk),
     .value = "SIZE",
     .key = "chunk",
     .help = "bytes of a file that go with one task (1M)"},
    {.name = "sums",
     .kind = OPTION_FLAG,
     VALUE(sums),
     .help = "write OUT/SHA256SUMS of the sources, for `cd SOURCE && sha256sum -c OUT/SHA256SUMS`"},
    {.name = "verify",
     .kind = OPTION_FLAG,
     VALUE(verify),
     .help = "undo or repeat each result in this process and compare, before it gets its name"},
    {.name = "in-process",
     .kind = OPTION_FLAG,
     VALUE(in_process),
     .help = "do the work in threads of this process with the same libraries, to compare"},
    {.name = "reconnect",
     .kind = OPTION_COUNT,
     VALUE(reconnect),
     .value = "SECONDS",
     .key = "reconnect",
     .help = "how long a lost appliance is sought again (10)"},
    {.name = "json",
     .kind = OPTION_FLAG,
     VALUE(json),
     .help = "print an object a line: each file, then a summary"},
    {.name = "quiet",
     .letter = 'q',
     .kind = OPTION_FLAG,
     VALUE(quiet),
     .help = "say nothing but what went wrong"},
    {.name = "verbose",
     .letter = 'v',
     .kind = OPTION_FLAG,
     VALUE(verbose),
     .help = "name symbolic links that are passed over, and tell of the pipe"},
};

#undef VALUE

static const char *const run_description[] = {
    "Hands files to a procedure of an appliance, in chunks, many at a time. Compressed, expanded "
    "and "
    "copied files land below OUT, at their path relative to the argument (a FILE by its name "
    "alone) "
    "with .zst or .gz added or taken off. Hashes are printed as sha256sum prints them, in the "
    "order "
    "of the arguments and, within a directory, of the names.",
    "Inside a DIR symbolic links are not followed, and fifos, sockets and devices are passed over. "
    "What cannot be read is named and the rest is done. A file that changes while it is read is "
    "read "
    "once more; if it changes again, it has failed.",
    "A result gets its name when it is whole. OUT/.vine-run remembers what each was made of, so "
    "the "
    "same command, run again, skips what is there and unchanged. Results are synced to the disk "
    "together, at the end: those of a killed run are kept, those of one that a power cut ended are "
    "made again.",
    "When the appliance is lost on the way it is sought for a while, and what was unfinished is "
    "handed out again.",
    NULL,
};

static const char *const run_examples[] = {
    "vine run zstd --sums /usr/include -o out",
    "compress a tree into out, with a list of sums",
    "vine run sha256 *.iso",
    "hash files as sha256sum does",
    "vine run unzstd out -o back",
    "expand the .zst files again",
    NULL,
};

const struct verb verb_run = {
    .name = "run",
    .synopsis = "PROC FILE|DIR...",
    .description = run_description,
    .examples = run_examples,
    .options = run_options,
    .option_count = sizeof(run_options) / sizeof(run_options[0]),
    .values_size = sizeof(struct run_values),
    .operands_min = 2,
    .operands_max = SIZE_MAX,
    .hint = COMPLETE_RUN,
    .run = run_run,
};
