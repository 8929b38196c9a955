/* SPDX-License-Identifier: Apache-2.0 */
/* Which processes there shall be: places that are kept filled, exchanged, emptied in the end. */
#include "core/supervise/supervise_internal.h"

#include <signal.h>
#include <sys/wait.h>

#include <vine/log.h>

#define HASTE_NS (1 * VINE_NS_PER_SECOND)

/* Who fails to start is started anew at once so often, and then ever more seldom; and if nobody has
 * ever served, so often in all. */
#define AT_ONCE_MAX    3U
#define DELAY_FIRST_NS (VINE_NS_PER_SECOND / 10)
#define DELAY_MAX_NS   (5 * VINE_NS_PER_SECOND)
#define FAILURES_MAX   5U

#define MS(ns) ((double)(ns) / 1e6)

/* ---- what is told ---------------------------------------------------------------------------- */

uint32_t vine__places_count_ready(const struct supervisor *supervisor)
{
    uint32_t count = 0;

    for (uint32_t i = 0; i < supervisor->place_count; i++) {
        const struct process *const current = supervisor->places[i].current;

        count += current != NULL && current->is_ready && !current->is_leaving;
    }
    return count;
}

static void tell_status(struct supervisor *supervisor)
{
    const uint32_t count = vine__places_count_ready(supervisor);

    vine__manager_tell(&supervisor->manager, "STATUS=%u of %u processes serve", count,
                       supervisor->place_count);
    if (count < supervisor->place_count || supervisor->was_told_ready)
        return;
    supervisor->was_told_ready = true;
    vine_log(SUPERVISE_LOG, VINE_LOG_INFO, "ready");
    vine__manager_tell(&supervisor->manager, "READY=1");
}

/* ---- the end --------------------------------------------------------------------------------- */

static bool is_rolling(const struct supervisor *supervisor)
{
    return supervisor->rolling < supervisor->place_count;
}

static void stop(struct supervisor *supervisor, int code, uint64_t now_ns)
{
    supervisor->is_stopping = true;
    supervisor->rolling = supervisor->place_count;
    supervisor->code = code;
    /* Before those are told who accept: whoever comes from here on is in nobody's queue. */
    vine__listeners_refuse_more(&supervisor->listeners);
    vine__manager_tell(&supervisor->manager, "STOPPING=1");
    VINE_LIST_FOR_EACH(node, &supervisor->processes)
    {
        struct process *const process = VINE_LIST_OBJECT(node, struct process, link);

        if (!process->is_leaving && !process->has_ended)
            vine__member_leave(process, now_ns, supervisor->options.drain_ns);
    }
}

static void hasten(struct supervisor *supervisor, uint64_t now_ns)
{
    VINE_LIST_FOR_EACH(node, &supervisor->processes)
    {
        struct process *const process = VINE_LIST_OBJECT(node, struct process, link);

        if (process->has_ended)
            continue;
        if (supervisor->is_hastened)
            vine__member_kill(process);
        else
            vine__member_leave(process, now_ns, HASTE_NS);
    }
    supervisor->is_hastened = true;
}

void vine__places_stop(struct supervisor *supervisor, const char *why, uint64_t now_ns)
{
    if (supervisor->is_stopping) {
        vine_log(SUPERVISE_LOG, VINE_LOG_INFO, "%s again: hastening", why);
        hasten(supervisor, now_ns);
        return;
    }
    vine_log(SUPERVISE_LOG, VINE_LOG_INFO, "%s: stopping", why);
    stop(supervisor, 0, now_ns);
}

/* ---- starting -------------------------------------------------------------------------------- */

static void fail_to_start(struct supervisor *supervisor, struct place *place, bool is_usage,
                          uint64_t now_ns)
{
    uint64_t delay_ns = DELAY_FIRST_NS;

    place->failures++;
    if (!supervisor->was_any_ready && (is_usage || place->failures >= FAILURES_MAX)) {
        vine_log(SUPERVISE_LOG, VINE_LOG_ERROR, "no process has ever been ready: giving up");
        stop(supervisor, is_usage ? EXIT_USAGE : EXIT_FAILED, now_ns);
        return;
    }
    for (uint32_t i = AT_ONCE_MAX; i < place->failures && delay_ns < DELAY_MAX_NS; i++)
        delay_ns *= 2;
    if (place->failures < AT_ONCE_MAX)
        delay_ns = 0;
    else if (delay_ns > DELAY_MAX_NS)
        delay_ns = DELAY_MAX_NS;
    if (delay_ns > 0)
        vine_log(SUPERVISE_LOG, VINE_LOG_WARNING,
                 "process %u was not ready %u times, one after the other; the next one starts in "
                 "%.0f ms",
                 place->index, place->failures, MS(delay_ns));
    place->start_ns = now_ns + delay_ns;
}

/* Fill the places that are empty and whose time has come. */
void vine__places_fill(struct supervisor *supervisor, uint64_t now_ns)
{
    for (uint32_t i = 0; i < supervisor->place_count && !supervisor->is_stopping; i++) {
        struct place *const place = &supervisor->places[i];

        if (place->current != NULL || now_ns < place->start_ns)
            continue;
        if (vine__member_start(supervisor, place) != 0) {
            if (place->failures < AT_ONCE_MAX)
                place->failures = AT_ONCE_MAX - 1; /* what is lacking needs a while to be there */
            fail_to_start(supervisor, place, false, now_ns);
        }
    }
}

/* ---- rolling restarts ------------------------------------------------------------------------ */

static void end_rolling(struct supervisor *supervisor, const char *how, uint64_t now_ns)
{
    supervisor->rolling = supervisor->place_count;
    vine_log(SUPERVISE_LOG, VINE_LOG_INFO, "rolling restart: %s", how);
    vine__manager_tell(&supervisor->manager, "READY=1");
    if (supervisor->restarts_again)
        vine__places_exchange(supervisor, now_ns);
}

/* Begin with the place whose turn it is. */
static void roll(struct supervisor *supervisor, uint64_t now_ns)
{
    struct place *const place = &supervisor->places[supervisor->rolling];
    struct process *const current = place->current;

    if (current != NULL && !current->is_ready) {
        /* It does not serve yet, and is of the program that was there before. */
        current->is_leaving = true;
        vine__member_kill(current);
        place->current = NULL;
    }
    if (place->current == NULL)
        place->start_ns = now_ns;
    if (vine__member_start(supervisor, place) != 0)
        end_rolling(supervisor, "given up, the old processes stay", now_ns);
}

static void roll_on(struct supervisor *supervisor, uint64_t now_ns)
{
    if (++supervisor->rolling < supervisor->place_count) {
        roll(supervisor, now_ns);
        return;
    }
    end_rolling(supervisor, "done", now_ns);
}

void vine__places_exchange(struct supervisor *supervisor, uint64_t now_ns)
{
    if (supervisor->is_stopping)
        return;
    supervisor->restarts_again = is_rolling(supervisor);
    if (supervisor->restarts_again)
        return;
    vine_log(SUPERVISE_LOG, VINE_LOG_INFO, "rolling restart: of %u process%s",
             supervisor->place_count, supervisor->place_count == 1 ? "" : "es");
    vine__manager_tell(&supervisor->manager, "RELOADING=1\nMONOTONIC_USEC=%llu",
                       (unsigned long long)(now_ns / 1000));
    supervisor->rolling = 0;
    roll(supervisor, now_ns);
}

/* ---- what becomes of processes --------------------------------------------------------------- */

void vine__places_see_ready(struct supervisor *supervisor, struct process *process, uint64_t now_ns)
{
    struct place *const place = process->place;
    struct process *const before = place->coming == process ? place->current : NULL;

    if (process->is_leaving)
        return;
    process->deadline_ns = VINE_FOREVER;
    supervisor->was_any_ready = true;
    place->failures = 0;
    if (place->coming == process) {
        place->current = process;
        place->coming = NULL;
    }
    if (place->ended_ns != 0)
        vine_log(SUPERVISE_LOG, VINE_LOG_INFO,
                 "process %u (pid %d) serves, %.1f ms after the end of pid %d", place->index,
                 (int)process->spawned.pid, MS(now_ns - place->ended_ns), (int)place->ended_pid);
    else
        vine_log(SUPERVISE_LOG, VINE_LOG_INFO,
                 "process %u (pid %d) serves, %.1f ms after its start", place->index,
                 (int)process->spawned.pid, MS(now_ns - process->started_ns));
    place->ended_ns = 0;
    if (before != NULL) {
        vine__member_log(VINE_LOG_INFO, before, "has been replaced, and finishes what it has");
        vine__member_leave(before, now_ns, supervisor->options.drain_ns);
    }
    tell_status(supervisor);
    if (place->index == supervisor->rolling)
        roll_on(supervisor, now_ns);
}

static void tell_end(const struct process *process, int status)
{
    const bool was_well = process->is_leaving && WIFEXITED(status) && WEXITSTATUS(status) == 0;
    char how[VINE__STATUS_TEXT_BYTES];

    vine__status_print(status, how);
    vine_log(SUPERVISE_LOG, was_well ? VINE_LOG_INFO : VINE_LOG_WARNING,
             "process %u (pid %d) %s%s%s%s", process->place->index, (int)process->spawned.pid, how,
             process->is_ready || process->is_leaving ? "" : " before it was ready",
             process->words[0] != '\0' ? "; its last words: " : "", process->words);
}

void vine__places_see_end(struct supervisor *supervisor, struct process *process, int status,
                          uint64_t now_ns)
{
    struct place *const place = process->place;
    const bool is_usage = status != -1 && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_USAGE;

    tell_end(process, status);
    if (place->coming == process) {
        place->coming = NULL;
        end_rolling(supervisor, "given up, the old processes stay", now_ns);
    } else if (place->current == process) {
        place->current = NULL;
        place->start_ns = now_ns;
        if (process->is_ready) {
            place->ended_ns = now_ns;
            place->ended_pid = process->spawned.pid;
        }
        if (place->coming != NULL) {
            place->current = place->coming;
            place->coming = NULL;
        } else if (!process->is_ready && !supervisor->is_stopping) {
            fail_to_start(supervisor, place, is_usage, now_ns);
            if (place->index == supervisor->rolling)
                end_rolling(supervisor, "given up", now_ns);
        }
        if (!supervisor->is_stopping)
            tell_status(supervisor);
    }
}
