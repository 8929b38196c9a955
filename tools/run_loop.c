/* SPDX-License-Identifier: Apache-2.0 */
/*
 * run_loop.c - `vine run` under way: keep the engine busy, take what it has done, notice when it is
 * lost or when somebody wants to stop.
 */
#include <errno.h>
#include <signal.h>

#include <vine/error.h>

#include "human.h"
#include "message.h"
#include "run.h"
#include "status.h"

/* Tasks of a lost appliance end within a second; beyond this they are abandoned with the pipe. */
#define LOST_TASKS_NS (3 * VINE_NS_PER_SECOND)

/* So often in a row an appliance may be lost before it has done anything. */
#define FRUITLESS_MAX 3

static volatile sig_atomic_t stop_signal;

static void on_signal(int number)
{
    stop_signal = number;
}

bool run_is_stopped(void)
{
    return stop_signal != 0;
}

static void take_signals(void)
{
    static const int numbers[] = {SIGINT, SIGTERM, SIGHUP};
    struct sigaction action = {.sa_handler = on_signal}; /* waits are to be interrupted */

    sigemptyset(&action.sa_mask);
    for (unsigned i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
        struct sigaction before;
        sigaction(numbers[i], NULL, &before);
        if (numbers[i] != SIGHUP || before.sa_handler != SIG_IGN) /* nohup */
            sigaction(numbers[i], &action, NULL);
    }
}

/* Issue as much as there is room for. Returns whether anything was. */
static bool feed(struct run *run)
{
    bool issued = false;

    if (!run_feed_unsent(run))
        return false;
    for (uint32_t i = 0; i < run->active_count && run->lost == 0;) {
        struct file *file = run->active[i];
        enum feed fed;

        while ((fed = run_feed_file(run, file)) == FEED_ISSUED)
            issued = true;
        run_file_settle(run, file);
        if (fed == FEED_REFUSED)
            return issued;
        if (i < run->active_count && run->active[i] == file) /* else the next took its place */
            i++;
    }
    while (run->lost == 0 && !run->is_fatal && run->unsent == NULL && stop_signal == 0) {
        const uint32_t before = run->active_count;
        enum feed fed = FEED_NOTHING;

        if (run->engine->in_flight >= run->tasks_max || !run_take_file(run))
            return issued;
        if (run->active_count == before)
            continue;
        struct file *file = run->active[before];
        while ((fed = run_feed_file(run, file)) == FEED_ISSUED)
            issued = true;
        run_file_settle(run, file);
        if (fed == FEED_REFUSED)
            return issued;
    }
    return issued;
}

/* Returns whether anything had ended. */
static bool harvest(struct run *run)
{
    struct work *work;
    bool any = false;

    while ((work = engine_next_done(run->engine)) != NULL) {
        run_file_take(run, work);
        any = true;
    }
    return any;
}

/* Work that could not be issued goes back to its file, which issues it again. */
static void drop_unsent(struct run *run)
{
    while (run->unsent != NULL) {
        struct work *work = run->unsent;
        struct file *file = work->owner;

        run->unsent = work->next;
        file->in_flight--;
        file->wants_restart = true;
        run->memory -= work->cost;
        run_work_free(run, work);
    }
    run->unsent_last = &run->unsent;
}

/* Let go of the lost engine: of everything in flight first. What an appliance took before it drains
 * still ends, however long that takes, or ends with its loss. */
static void let_go(struct run *run)
{
    const uint64_t until =
        run->lost == -VINE_EDRAINING ? UINT64_MAX : human_now_ns() + LOST_TASKS_NS;

    while (run->engine->in_flight > 0 && human_now_ns() < until && stop_signal == 0) {
        if (!harvest(run))
            (void)engine_wait(run->engine, VINE_NS_PER_SECOND / 20);
        progress_tell(&run->progress, run->engine->in_flight);
    }
    drop_unsent(run);
}

static int recover(struct run *run, unsigned *fruitless)
{
    const int error = run->lost;

    let_go(run);
    if (stop_signal != 0)
        return STATUS_DONE;
    if (run->engine->in_flight > 0 || run->reconnect == NULL || ++*fruitless > FRUITLESS_MAX) {
        message_error("the appliance was lost: %s", vine_error_text(error));
        return STATUS_TRY_AGAIN;
    }
    message_warning("the appliance was lost (%s); looking for it again", vine_error_text(error));
    for (uint32_t i = 0; i < run->active_count; i++) {
        /* Whatever hangs on the old pipe goes before it does. */
        run_file_rewind(run, run->active[i], run->active[i]->is_retry);
    }
    engine_destroy(run->engine);
    run->engine = NULL;
    const int status = run->reconnect(run, run->reconnect_context);
    if (status != STATUS_DONE)
        return status;
    run->lost = 0;
    return STATUS_DONE;
}

/* Nothing is under way and nothing can be issued: so it never will be. */
static void give_up_one(struct run *run)
{
    struct file *file = run->active[0];

    drop_unsent(run);
    run_file_fail(run, file, "cannot be handed to the appliance", run->refused);
    for (uint32_t i = 0; i < run->active_count; i++)
        run_file_settle(run, run->active[i]);
}

static void stop_feeding(struct run *run)
{
    run->walk_has_ended = true;
    drop_unsent(run);
    for (uint32_t i = run->active_count; i > 0; i--) {
        struct file *file = run->active[i - 1];
        file->outcome = FILE_FAILED; /* not told: what stopped the run was */
        run_file_settle(run, file);
    }
}

int run_loop(struct run *run)
{
    unsigned fruitless = 0;

    stop_signal = 0;
    take_signals();
    for (;;) {
        if (stop_signal != 0) {
            message_progress("");
            drop_unsent(run);
            run_tell_ended(run);
            return 128 + stop_signal;
        }
        if (run->lost < 0) {
            const int status = recover(run, &fruitless);
            if (status != STATUS_DONE) {
                run_tell_ended(run);
                return status;
            }
            continue;
        }
        if (run->is_fatal)
            stop_feeding(run);
        const bool fed = feed(run);
        run_retire(run);
        if (run->lost < 0)
            continue;
        if (run->engine->in_flight == 0 && run->first == NULL && run->walk_has_ended)
            break;
        if (run->engine->in_flight == 0 && !fed && run->active_count > 0 && !run->is_fatal) {
            give_up_one(run);
            continue;
        }
        const int error = engine_wait(run->engine, progress_patience_ns(&run->progress));
        if (harvest(run))
            fruitless = 0;
        if (error < 0 && run->lost == 0)
            run->lost = error;
        run_retire(run);
        progress_tell(&run->progress, run->engine->in_flight);
    }
    return run->is_fatal || run->progress.files_failed > 0 ? STATUS_FAILED : STATUS_DONE;
}
