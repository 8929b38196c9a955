/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all cores are doing. Each is asked to describe itself by a call; of one that does not answer
 * is told what any thread may see of it, and where its thread is.
 */
#include "core/watch/watch_internal.h"

#include <inttypes.h>
#include <string.h>

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "core/log/log.h"
#include "core/metrics/metrics.h"
#include "utils/atomic.h"

#define MODULE           "state"
#define ANSWER_WITHIN_NS 1000000000ULL /* of all cores together */

/* Keep a line; what does not fit is left out. */
static void keep_line(void *context, const char *line)
{
    struct vine__watch_core *const core = context;
    const size_t length = strlen(line);

    if (length + 1 > sizeof(core->text) - core->text_length)
        return;
    memcpy(core->text + core->text_length, line, length);
    core->text_length += (uint32_t)length;
    core->text[core->text_length++] = '\n';
}

/* On the core. */
static int64_t describe(void *argument)
{
    struct vine__watch_core *const core = argument;

    core->text_length = 0;
    vine__reactor_describe(core->what.reactor, keep_line, core);
    if (core->what.arena != NULL)
        vine__arena_dump(core->what.arena, keep_line, core);
    if (vine__metrics_tell("vine_service_", keep_line, core) != 0 ||
        vine__metrics_tell("vine_process_", keep_line, core) != 0)
        keep_line(core, "no memory to tell of its metrics");
    vine__store_release_u32(&core->answer, VINE__ANSWER_THERE); /* D3 pairs with D4 */
    (void)vine__futex_wake_private(&core->answer, 1);
    return 0;
}

/* Who has not answered the last time is not asked again: what it has to say then comes now. */
static void ask(struct vine__watch_core *core)
{
    /* D4 pairs with D3. */
    if (vine__load_acquire_u32(&core->answer) != VINE__ANSWER_NONE)
        return;
    vine__store_release_u32(&core->answer, VINE__ANSWER_ASKED); /* D1 pairs with D2 */
    if (vine_alien_submit_to(core->core, describe, core) != 0)
        vine__store_relaxed_u32(&core->answer, VINE__ANSWER_NONE);
}

static bool is_answered(struct vine__watch_core *core, uint64_t until_ns)
{
    uint32_t word;

    /* D4 pairs with D3. */
    while ((word = vine__load_acquire_u32(&core->answer)) == VINE__ANSWER_ASKED) {
        const uint64_t now_ns = vine__clock_now_ns();

        if (now_ns >= until_ns)
            return false;
        (void)!vine__futex_wait_private(&core->answer, word, until_ns - now_ns);
    }
    return word == VINE__ANSWER_THERE;
}

static void tell_text(struct vine__watch_core *core)
{
    char *line = core->text;
    char *const end = core->text + core->text_length;

    while (line < end) {
        char *const newline = memchr(line, '\n', (size_t)(end - line));

        *newline = '\0';
        vine__log_more(MODULE, VINE_LOG_INFO, "%s", line);
        line = newline + 1;
    }
}

static void log_line(void *context, const char *line)
{
    (void)context;
    vine__log_more(MODULE, VINE_LOG_INFO, "%s", line);
}

static void tell_unanswered(struct vine__watch *watch, struct vine__watch_core *core)
{
    const struct vine__reactor_pulse before = vine__reactor_see(core->what.reactor);
    const bool is_seen = vine__look_at(core);
    const struct vine__reactor_pulse after = vine__reactor_see(core->what.reactor);

    if (!is_seen)
        vine__log_asked(MODULE, "core %" PRIu32 ": turn %" PRIu64 "; its thread does not answer",
                        core->core, after.turns);
    else if (before.turns != after.turns)
        vine__log_asked(MODULE,
                        "core %" PRIu32 ": turn %" PRIu64 ", %" PRIu64
                        " to do; it turns, but takes nothing new, and was just in",
                        core->core, after.turns, core->glance.backlog);
    else
        vine__log_asked(MODULE,
                        "core %" PRIu32 ": blocked in turn %" PRIu64 ", in group %s, with %" PRIu64
                        " more to do, in",
                        core->core, after.turns, core->glance.group_name, core->glance.backlog);
    if (is_seen)
        vine__look_tell(watch, core, VINE_LOG_INFO, MODULE);
    if (core->what.arena != NULL)
        vine__arena_dump(core->what.arena, log_line, NULL);
}

void vine__watch_tell_state(struct vine__watch *watch)
{
    const uint64_t until_ns = vine__clock_now_ns() + ANSWER_WITHIN_NS;

    for (uint32_t core = 0; core < watch->options.core_count; core++)
        ask(&watch->cores[core]);
    for (uint32_t i = 0; i < watch->options.core_count; i++) {
        struct vine__watch_core *const core = &watch->cores[i];

        if (!is_answered(core, until_ns)) {
            tell_unanswered(watch, core);
            continue;
        }
        vine__log_asked(MODULE, "core %" PRIu32 ":", core->core);
        tell_text(core);
        vine__store_relaxed_u32(&core->answer, VINE__ANSWER_NONE);
    }
}
