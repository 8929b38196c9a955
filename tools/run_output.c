/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_output.c - OUT before and after a run: its lock, its state, its list of sums.
 */
#include <errno.h>
#include <string.h>

#include <vine/error.h>

#include "human.h"
#include "message.h"
#include "run_verb.h"
#include "status.h"

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

int run_open_output(struct run_verb *verb, struct stat *ret_status)
{
    struct run *run = &verb->run;
    char with[512];

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
    /* What was sealed with one key is not what another one would make. */
    if (run->options.key != NULL)
        snprintf(with + strlen(with), sizeof(with) - strlen(with), " key=%s",
                 message_escape(run->options.key));
    if (run->options.recipe.makes_files)
        error = state_open(&run->output, with, &run->state);
    if (error == 0 && run->options.with_sums)
        error = sums_open(&run->output, &run->sums);
    return error < 0 ? output_error(verb, error) : STATUS_DONE;
}

/* All went as far as it could: what there is gets its last touches. */
int run_complete_output(struct run_verb *verb, int status)
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
    if (wants_sync) {
        const uint64_t before = human_now_ns();
        error = output_sync(&run->output);
        run->progress.sync_ns = human_now_ns() - before;
    }
    const int closed = state_close(&run->state, wants_sync && error == 0);
    if (error == 0 && has_ended && !run->is_fatal)
        error = closed;
    output_close(&run->output);
    if (error < 0)
        return status == STATUS_DONE ? output_error(verb, error) : status;
    return status;
}
