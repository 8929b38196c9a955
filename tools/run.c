/* SPDX-License-Identifier: Apache-2.0 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "json.h"
#include "message.h"
#include "run_verb.h"
#include "status.h"
#include "verb.h"

#define DESCRIPTORS_KEPT 96 /* for everything but files at work: the walk, the pipe, OUT */

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
        status = run_open_output(verb, &output_status);
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
    return run_complete_output(verb, status);
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
        if (status == STATUS_TRY_AGAIN) /* else the files say what went wrong */
            json_set_name(object, "error", message_last_error());
        json_object_set_new(object, "exit_status", json_integer(status));
        json_print_line(object);
    }
    if (!run->options.quiet)
        progress_summary(&run->progress, what);
    if (status > 128)
        message_warning(run->options.recipe.makes_files
                            ? "interrupted; what is whole is kept, and the same command goes on"
                            : "interrupted");
}

/* `-` alone; a file of that name is ./-. */
static bool is_stream(const struct run_verb *verb)
{
    return verb->source_count == 1 && strcmp(verb->sources[0], "-") == 0;
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
    message_set_quiet(verb->values->quiet);
    set_files_max(run);
    status = settings_load(&verb->settings, arguments);
    if (status == STATUS_DONE) {
        verb->connection.address = settings_address(&verb->settings);
        verb->connection.is_verbose = verb->values->verbose;
        status = run_read_options(verb);
    }
    if (status == STATUS_DONE && is_stream(verb)) {
        status = run_prepare_stream(verb);
        if (status == STATUS_DONE)
            status = run_stream(verb);
    } else if (status == STATUS_DONE && (status = run_prepare(verb)) == STATUS_DONE) {
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
     .help = "keep at most N tasks in flight"},
    {.name = "level",
     .letter = 'L',
     .kind = OPTION_TEXT,
     VALUE(level),
     .value = "N",
     .help = "how hard to compress, as `vine procs` tells"},
    {.name = "key",
     .letter = 'k',
     .kind = OPTION_TEXT,
     VALUE(key),
     .value = "NAME",
     .help = "the key to seal with, or to open with no other, by its name at the appliance; of "
             "procedures from libraries, their argument `key`"},
    {.name = "chunk",
     .kind = OPTION_SIZE,
     VALUE(chunk),
     .value = "SIZE",
     .key = "chunk",
     .help = "bytes of a file that go with one task, if its procedure takes so many"},
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
     .help = "how long a lost appliance is sought again; 0: one attempt"},
    {.name = "deadline",
     .kind = OPTION_TIME,
     VALUE(deadline_ns),
     .value = "TIME",
     .key = "deadline",
     .help = "give a task up that has not ended so long after the appliance got it, as 30s, and "
             "with it its file; 0: never"},
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
    "Hands files to a procedure of an appliance, in chunks, many at a time, on all of its workers. "
    "A chunk that is compressed is a frame of its own; one frame of all, which is smaller and "
    "takes "
    "one worker, comes of -. Compressed, expanded "
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
    "Where - stands in place of files, standard input goes through a stream to standard output, as "
    "it comes, of any length: with procedures that have streams, as zstd, unzstd, gzip, gunzip and "
    "sha256 have them at an appliance on reactors that is named (`vine procs` tells). "
    "With the appliance the stream is lost, which is status 75: what was written cannot be taken "
    "back, so --reconnect is for files alone.",
    NULL,
};

static const char *const run_examples[] = {
    "vine run zstd --sums /usr/include -o out",
    "compress a tree into out, with a list of sums",
    "vine run sha256 *.iso",
    "hash files as sha256sum does",
    "vine run unzstd out -o back",
    "expand the .zst files again",
    "tar c /etc | vine run zstd -a ./my.sock - >etc.tar.zst",
    "compress a stream as it comes",
    "vine run seal --key backups accounts -o safe",
    "encrypt a tree with a key that the appliance has, and nobody else",
    NULL,
};

const struct verb verb_run = {
    .name = "run",
    .synopsis = "PROC FILE|DIR...|-",
    .description = run_description,
    .examples = run_examples,
    .options = run_options,
    .option_count = sizeof(run_options) / sizeof(run_options[0]),
    .values_size = sizeof(struct run_values),
    .operands_min = 2,
    .operands_max = SIZE_MAX,
    .hints = {COMPLETE_PROCEDURE, COMPLETE_FILE},
    .run = run_run,
};
