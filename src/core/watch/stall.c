/* SPDX-License-Identifier: Apache-2.0 */
/* Cores that are awake and do not turn. */
#include "core/watch/watch_internal.h"

#include <inttypes.h>

#include "arch/clock/clock.h"
#include "core/log/log.h"
#include "utils/bits.h"

#define MODULE    "stall"
#define NS_PER_MS 1000000U

static void begin(struct vine__watch_core *core, uint64_t turns, uint64_t blocked_ns,
                  uint64_t now_ns)
{
    core->turns = turns;
    core->since_ns = now_ns;
    core->report_at_ns = blocked_ns;
    core->is_suspect = false;
    core->is_reported = false;
}

void vine__watch_begin_anew(struct vine__watch *watch, uint64_t now_ns)
{
    for (uint32_t core = 0; core < watch->options.core_count; core++)
        begin(&watch->cores[core], vine__reactor_see(watch->cores[core].what.reactor).turns,
              watch->options.blocked_ns, now_ns);
}

static void tell_left_out(struct vine__watch_core *core)
{
    if (core->left_out > 0)
        vine_log(MODULE, VINE_LOG_WARNING, "core %" PRIu32 ": %" PRIu32 " report%s left out",
                 core->core, core->left_out, core->left_out == 1 ? " was" : "s were");
    core->left_out = 0;
}

void vine__watch_end_reports(struct vine__watch *watch)
{
    for (uint32_t core = 0; core < watch->options.core_count; core++)
        tell_left_out(&watch->cores[core]);
}

/* Whether this one may be told. */
static bool may_report(const struct vine__watch *watch, struct vine__watch_core *core)
{
    if (core->reports < watch->options.reports_at_most) {
        core->reports++;
        return true;
    }
    if (core->left_out++ == 0)
        vine_log(MODULE, VINE_LOG_WARNING,
                 "core %" PRIu32 " is blocked; further reports are left out for a while",
                 core->core);
    return false;
}

/* A new period begins with what the last one left out. */
static void see_period(const struct vine__watch *watch, struct vine__watch_core *core,
                       uint64_t now_ns)
{
    if (now_ns - core->period_ns < watch->options.reports_every_ns)
        return;
    tell_left_out(core);
    core->period_ns = now_ns;
    core->reports = 0;
}

static void report(struct vine__watch *watch, struct vine__watch_core *core, uint64_t now_ns)
{
    const uint64_t blocked_ms = (now_ns - core->since_ns) / NS_PER_MS;
    /* Both are of the time since it was first seen not to turn. */
    const uint64_t used_ms = (vine__thread_used_ns(core->what.thread) - core->used_ns) / NS_PER_MS;

    core->report_at_ns *= 2;
    core->is_reported = true;
    if (!vine_log_is_on(MODULE, VINE_LOG_WARNING) || !may_report(watch, core))
        return;
    if (!vine__look_at(core)) {
        vine_log(MODULE, VINE_LOG_WARNING,
                 "core %" PRIu32 " has been blocked for %" PRIu64 " ms, %" PRIu64
                 " of them on a processor; its thread does not answer",
                 core->core, blocked_ms, used_ms);
        return;
    }
    if (core->glance.turns != core->turns) {
        core->reports--; /* it was over before we could look */
        core->is_reported = false;
        return;
    }
    vine_log(MODULE, VINE_LOG_WARNING,
             "core %" PRIu32 " has been blocked for %" PRIu64 " ms, %" PRIu64
             " of them on a processor, in group %s, with %" PRIu64 " more to do, in",
             core->core, blocked_ms, used_ms, core->glance.group_name, core->glance.backlog);
    vine__look_tell(watch, core, VINE_LOG_WARNING, MODULE);
}

/* Returns whether it is awake, or has been since the last time. */
static bool look(struct vine__watch *watch, struct vine__watch_core *core, uint64_t now_ns)
{
    const struct vine__reactor_pulse pulse = vine__reactor_see(core->what.reactor);
    const bool has_turned = pulse.turns != core->turns;

    see_period(watch, core, now_ns);
    if (has_turned || !pulse.is_awake) {
        if (core->is_reported)
            vine_log(MODULE, VINE_LOG_INFO,
                     "core %" PRIu32 " goes on; it was blocked for about %" PRIu64 " ms",
                     core->core, (now_ns - core->since_ns) / NS_PER_MS);
        begin(core, pulse.turns, watch->options.blocked_ns, now_ns);
        return has_turned || pulse.is_awake;
    }
    if (!core->is_suspect) {
        core->is_suspect = true;
        core->used_ns = vine__thread_used_ns(core->what.thread);
    }
    if (now_ns - core->since_ns >= core->report_at_ns)
        report(watch, core, now_ns);
    return true;
}

bool vine__watch_look_round(struct vine__watch *watch, uint64_t now_ns)
{
    bool is_any_awake = false;

    for (uint32_t core = 0; core < watch->options.core_count; core++)
        is_any_awake |= look(watch, &watch->cores[core], now_ns);
    return is_any_awake;
}
