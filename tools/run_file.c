/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_file.c - from results to a finished file: written in order, checked, named, told of.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "utils/assert.h"

#include "../procedures/procedures.h"

#include "json.h"
#include "message.h"
#include "run.h"
#include "verify.h"

/* A session that ended under a file, as after a failed task, is begun again so often. */
#define SESSION_RESTARTS_MAX 3

void run_work_free(struct run *run, struct work *work)
{
    engine_work_free(run->engine, work);
}

static void drop_early(struct run *run, struct file *file)
{
    while (file->early != NULL) {
        struct work *work = file->early;
        file->early = work->next;
        run_work_free(run, work);
    }
}

static void close_sessions(struct run *run, struct file *file)
{
    engine_session_close(run->engine, file->session);
    engine_session_close(run->engine, file->sum_session);
    file->session = NULL;
    file->sum_session = NULL;
}

/* No more can be written there: every other file would fail alike. */
static bool is_full(int error)
{
    return error == -ENOSPC || error == -EDQUOT || error == -EROFS;
}

void run_file_fail(struct run *run, struct file *file, const char *what, int error)
{
    if (file->outcome == FILE_FAILED)
        return;
    const char *why = error == 0 ? NULL : vine_error_text(error);
    char text[256];

    snprintf(text, sizeof(text), "%s%s%s", what != NULL ? what : "",
             what != NULL && why != NULL ? ": " : "", why != NULL ? why : "");
    file->outcome = FILE_FAILED;
    file->reason = strdup(text);
    message_error("%s: %s", message_escape(file->shown), text);
    if (is_full(error) && !run->is_fatal) {
        message_error("no further result can be written; stopping");
        run->is_fatal = true;
    }
}

void run_file_pass(struct file *file, const char *why)
{
    file->outcome = FILE_PASSED;
    file->reason = strdup(why);
}

static void fail_result(struct run *run, struct file *file, int error)
{
    char what[160];

    snprintf(what, sizeof(what), "cannot write its result %.100s",
             message_escape(file->result_path));
    run_file_fail(run, file, what, error);
}

void run_file_changed(struct run *run, struct file *file)
{
    if (file->changed_once) {
        run_file_fail(run, file, "changed while it was read, twice", 0);
        return;
    }
    if (!file->wants_restart)
        message_warning("%s: changed while it was read; once more", message_escape(file->shown));
    file->wants_restart = true;
    file->is_retry = true;
}

void run_file_rewind(struct run *run, struct file *file, bool from_the_start)
{
    const struct recipe *recipe = &run->options.recipe;
    const uint64_t size = (uint64_t)file->before.st_size;

    drop_early(run, file);
    close_sessions(run, file);
    file->wants_restart = false;
    file->is_retry = false;
    file->chunk_bytes =
        recipe->shape == RECIPE_WHOLE ? (size > 0 ? size : 1) : run->options.chunk_bytes;
    file->chunk_count = size > 0 ? (size - 1) / file->chunk_bytes + 1 : 1;
    /* What is a frame of its own stays written; what hangs together begins anew. */
    if (from_the_start || recipe->shape != RECIPE_CHUNKS) {
        if (file->output_size > 0 && ftruncate(file->output.fd, 0) < 0)
            fail_result(run, file, -errno);
        file->written = 0;
        file->output_size = 0;
    }
    file->next_main = file->written;
    file->expand_offset = 0;
    file->expand_has_more = false;
    file->expand_is_over = false;
    file->main_is_done = recipe->shape == RECIPE_CHUNKS && file->written == file->chunk_count;
    if (!file->sum_is_done || from_the_start) {
        file->next_sum = 0;
        file->sum_is_done = !run->options.with_sums;
    }
}

/* ---- results --------------------------------------------------------------------------------- */

bool run_is_loss(int status)
{
    switch (status) {
    case -VINE_EPEERLOST:
    case -VINE_ECORRUPT:
    case -VINE_EPROTOCOL:
    case -VINE_ECLOSED:
    case -VINE_EDRAINING:
    case -VINE_EFORK:
    case -VINE_ECANCELED: /* not by us: the appliance has given it up as it ends */
        return true;
    default:
        return false;
    }
}

/* `reason` in the words of who did the work, or "". */
static void take_failure(struct run *run, struct file *file, int status, const char *reason)
{
    if (status == -VINE_ESESSION && file->restarts < SESSION_RESTARTS_MAX) {
        file->restarts++;
        file->wants_restart = true;
    } else if (run_is_loss(status)) {
        if (run->lost == 0)
            run->lost = status;
        file->wants_restart = true;
    } else if (status == -VINE_EQUOTA && run->memory_max > run->options.chunk_bytes) {
        run->memory_max /= 2; /* the appliance's half is smaller than we thought */
        file->wants_restart = true;
    } else {
        const bool is_key = status == -VINE_EKEY && run->options.key != NULL;
        char what[160];

        snprintf(what, sizeof(what), "%s%.128s", is_key ? "key " : "",
                 is_key ? message_escape(run->options.key) : reason);
        run_file_fail(run, file, what[0] != '\0' ? what : NULL, status);
    }
}

static void write_result(struct run *run, struct file *file, const struct work *work)
{
    /* An empty file's result may be empty, and its memory NULL. */
    int error = work->output_size > 0 ? output_write(&file->output, work->output, work->output_size,
                                                     file->output_size)
                                      : 0;

    if (error < 0) {
        fail_result(run, file, error);
        return;
    }
    error = engine_check(work);
    if (error < 0) {
        if (ftruncate(file->output.fd, (off_t)file->output_size) < 0)
            fail_result(run, file, -errno);
        else
            take_failure(run, file, error, "");
        return;
    }
    file->output_size += work->output_size;
    file->written++;
    run->progress.bytes_out += work->output_size;
}

/* Keep a result that came before its time, in order. */
static void keep_early(struct file *file, struct work *work)
{
    struct work **place = &file->early;

    while (*place != NULL && (*place)->index < work->index)
        place = &(*place)->next;
    work->next = *place;
    *place = work;
}

static void take_chunk(struct run *run, struct file *file, struct work *work)
{
    keep_early(file, work);
    while (file->outcome == FILE_ACTIVE && file->early != NULL &&
           file->early->index == file->written) {
        struct work *next = file->early;
        file->early = next->next;
        write_result(run, file, next);
        run_work_free(run, next);
    }
    file->main_is_done = file->written == file->chunk_count;
}

static uint64_t word_at(const unsigned char *bytes)
{
    uint64_t word = 0;

    for (int i = 7; i >= 0; i--)
        word = word << 8 | bytes[i];
    return word;
}

static void take_expanded(struct run *run, struct file *file, struct work *work)
{
    if (work->result_size < 2 * sizeof(uint64_t) || word_at(work->result) > work->input->size) {
        run_file_fail(run, file, "its task had an impossible result", 0);
        return;
    }
    const uint64_t consumed = word_at(work->result), flags = word_at(work->result + 8);
    const bool has_more = (flags & VINE_EXPAND_MORE) != 0;
    if (consumed == 0 && work->output_size == 0 && work->input->size > 0 && !has_more) {
        run_file_fail(run, file, "its task took nothing and made nothing", 0);
        return;
    }
    write_result(run, file, work);
    file->expand_offset += consumed;
    file->expand_has_more = has_more && consumed == work->input->size;
    file->main_is_done = work->is_last;
}

static void take_main(struct run *run, struct file *file, struct work *work)
{
    switch (run->options.recipe.shape) {
    case RECIPE_EXPAND:
        take_expanded(run, file, work);
        run_work_free(run, work);
        break;
    case RECIPE_SUM:
    case RECIPE_WHOLE:
        if (!run->options.recipe.makes_files) {
            if (work->is_last) {
                memcpy(file->result, work->result, work->result_size);
                file->result_size = work->result_size;
                file->main_is_done = true;
            }
            run_work_free(run, work);
            break;
        }
        take_chunk(run, file, work);
        break;
    default:
        take_chunk(run, file, work);
        break;
    }
}

static void take_sum(struct run *run, struct file *file, struct work *work)
{
    if (work->is_last && work->result_size == SUMS_BYTES_MAX) {
        memcpy(file->sum, work->result, SUMS_BYTES_MAX);
        file->sum_size = SUMS_BYTES_MAX;
        file->sum_is_done = true;
    } else if (work->is_last) {
        run_file_fail(run, file, "its hash has an impossible length", 0);
    }
    run_work_free(run, work);
}

void run_file_take(struct run *run, struct work *work)
{
    struct file *file = work->owner;

    VINE_ASSERT(file->in_flight > 0);
    file->in_flight--;
    run->memory -= work->cost;
    if (work->status == 0)
        progress_task(&run->progress, work->queued_ns, work->run_ns);
    if (file->outcome != FILE_ACTIVE || file->wants_restart) {
        run_work_free(run, work);
    } else if (work->status < 0) {
        take_failure(run, file, work->status, work->reason);
        run_work_free(run, work);
    } else if (work->role == ENGINE_SUM) {
        take_sum(run, file, work);
    } else {
        take_main(run, file, work);
    }
    run_file_settle(run, file);
}

/* ---- the end of a file ----------------------------------------------------------------------- */

static void deactivate(struct run *run, struct file *file)
{
    for (uint32_t i = 0; i < run->active_count; i++) {
        if (run->active[i] != file)
            continue;
        memmove(&run->active[i], &run->active[i + 1],
                (run->active_count - i - 1) * sizeof(struct file *));
        run->active_count--;
        return;
    }
}

static int verify(struct run *run, struct file *file)
{
    const struct recipe *recipe = &run->options.recipe;
    int error = 0;

    if (!run->options.verify)
        return 0;
    if (recipe->makes_files)
        error = verify_files(recipe, file->fd, file->output.fd, run_is_stopped);
    else
        error = verify_sum(recipe->procedure, file->fd, file->result, file->result_size,
                           run_is_stopped);
    if (error == 0 && run->options.with_sums)
        error = verify_sum("sha256", file->fd, file->sum, file->sum_size, run_is_stopped);
    return error;
}

static void finish(struct run *run, struct file *file)
{
    struct stat after, result;
    int error = verify(run, file);

    if (error == -EINTR) /* the run stops, and this file is as unfinished as the others */
        return;
    if (fstat(file->fd, &after) < 0) {
        run_file_fail(run, file, NULL, -errno);
        return;
    }
    if (!walk_same_state(&file->before, &after)) {
        run_file_changed(run, file);
        return;
    }
    if (error < 0) {
        run_file_fail(run, file,
                      error == -VINE_EDATA ? "the result is not what it should be" : "verifying it",
                      error == -VINE_EDATA ? 0 : error);
        return;
    }
    if (file->result_path != NULL) {
        error = output_commit(&file->output, &result);
        if (error == -EEXIST) {
            run_file_fail(run, file, "its result would take its own place", 0);
            return;
        }
        if (error < 0) {
            fail_result(run, file, error);
            return;
        }
        state_add(&run->state, file->result_path, &result, &file->before,
                  run->options.with_sums ? file->sum : NULL);
    }
    file->outcome = FILE_DONE;
}

static void restart(struct run *run, struct file *file)
{
    const bool is_retry = file->is_retry;

    if (is_retry) {
        file->changed_once = true;
        if (fstat(file->fd, &file->before) < 0) {
            run_file_fail(run, file, NULL, -errno);
            return;
        }
    }
    run_file_rewind(run, file, is_retry);
}

void run_file_settle(struct run *run, struct file *file)
{
    if (file->in_flight > 0)
        return;
    if (file->outcome == FILE_ACTIVE && !file->wants_restart && file->main_is_done &&
        file->sum_is_done)
        finish(run, file);
    /* With a lost appliance the restart waits until there is another. */
    if (file->outcome == FILE_ACTIVE && file->wants_restart && run->lost == 0)
        restart(run, file);
    if (file->outcome == FILE_ACTIVE)
        return;
    drop_early(run, file);
    close_sessions(run, file);
    output_abandon(&file->output);
    if (file->fd >= 0)
        close(file->fd);
    file->fd = -1;
    deactivate(run, file);
}

/* ---- telling --------------------------------------------------------------------------------- */

static void print_json(const struct run *run, const struct file *file)
{
    static const char *const outcomes[] = {
        [FILE_DONE] = "done",
        [FILE_UNCHANGED] = "unchanged",
        [FILE_PASSED] = "passed_over",
        [FILE_FAILED] = "failed",
    };
    char hex[2 * VINE_RESULT_MAX + 1];
    json_t *object = json_object();

    json_set_name(object, "file", file->shown);
    json_object_set_new(object, "status", json_string(outcomes[file->outcome]));
    if (file->outcome == FILE_FAILED || file->outcome == FILE_PASSED) {
        /* Without one of its own: what stopped the run was told. */
        json_set_name(object, "reason", file->reason != NULL ? file->reason : "it was not done");
    } else {
        if (file->result_path != NULL)
            json_set_name(object, "result", file->result_path);
        if (file->result_size > 0) {
            sums_hex(file->result, file->result_size, hex);
            json_object_set_new(object, run->options.recipe.procedure, json_string(hex));
        }
        if (run->options.with_sums) {
            sums_hex(file->sum, SUMS_BYTES_MAX, hex);
            json_object_set_new(object, "sha256", json_string(hex));
        }
    }
    json_print_line(object);
}

static void tell(struct run *run, const struct file *file)
{
    const bool went_well = file->outcome == FILE_DONE || file->outcome == FILE_UNCHANGED;

    run->progress.files_done += file->outcome == FILE_DONE;
    run->progress.files_skipped += file->outcome == FILE_UNCHANGED;
    run->progress.files_failed += file->outcome == FILE_FAILED;
    run->progress.files_passed += file->outcome == FILE_PASSED;
    if (went_well && run->options.with_sums)
        sums_print(run->sums.stream, file->sum, SUMS_BYTES_MAX, file->path);
    if (run->options.json) {
        print_json(run, file);
    } else if (went_well && !run->options.recipe.makes_files) {
        if (run->progress.is_terminal)
            message_progress(""); /* they may be one terminal */
        (isatty(STDOUT_FILENO) ? sums_show : sums_print)(stdout, file->result, file->result_size,
                                                         file->shown);
    }
}

void run_file_free(struct run *run, struct file *file)
{
    if (run->engine != NULL) {
        drop_early(run, file);
        close_sessions(run, file);
    }
    output_abandon(&file->output);
    if (file->fd >= 0)
        close(file->fd);
    free(file->path);
    free(file->shown);
    free(file->result_path);
    free(file->reason);
    free(file);
}

void run_retire(struct run *run)
{
    while (run->first != NULL && run->first->outcome != FILE_ACTIVE && run->first->in_flight == 0) {
        struct file *file = run->first;

        tell(run, file);
        run->first = file->next;
        if (run->first == NULL)
            run->last = &run->first;
        run->unretired--;
        run_file_free(run, file);
    }
}

void run_tell_ended(struct run *run)
{
    for (const struct file *file = run->first; file != NULL; file = file->next)
        if (file->outcome != FILE_ACTIVE)
            tell(run, file);
}
