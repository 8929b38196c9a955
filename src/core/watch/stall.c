/* SPDX-License-Identifier: Apache-2.0 */
/* Cores that are awake and do not turn. */
#include "core/watch/watch_internal.h"

#include <inttypes.h>
#include <stdio.h>

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
    core->check_at_ns = 0;
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

/* What a stall that goes on is made of. */
struct stall {
    uint64_t blocked_ns; /* without the wait for a processor */
    uint64_t used_ns;
    uint64_t waited_ns;
    bool is_seen; /* its thread has said where it is */
};

/* Look at a core that seems to be blocked. Returns whether it has been, for long enough. */
static bool is_blocked(struct vine__watch_core *core, struct stall *ret_stall)
{
    const bool is_seen = vine__look_at(core);
    const uint64_t now_ns = vine__clock_now_ns();
    const uint64_t all_ns = now_ns - core->since_ns;
    struct stall stall = {.is_seen = is_seen};

    if (is_seen && core->glance.turns != core->turns)
        return false; /* it is over */
    if (!is_seen && vine__thread_is_runnable(core->what.number)) {
        core->check_at_ns = now_ns + core->report_at_ns; /* it gets no processor at all */
        return false;
    }
    /* Who has answered runs, so that all of its waiting is counted. */
    stall.waited_ns =
        vine__min_u64(vine__thread_waited_ns(core->what.number) - core->waited_ns, all_ns);
    stall.used_ns = vine__thread_used_ns(core->what.thread) - core->used_ns;
    stall.blocked_ns = all_ns - stall.waited_ns;
    if (stall.blocked_ns < core->report_at_ns) {
        core->check_at_ns = now_ns + core->report_at_ns - stall.blocked_ns;
        return false;
    }
    *ret_stall = stall;
    return true;
}

static void tell(struct vine__watch *watch, const struct vine__watch_core *core,
                 const struct stall *stall)
{
    char what[128] = "; its thread does not answer";

    if (stall->is_seen)
        (void)snprintf(what, sizeof(what), ", in group %s, with %" PRIu64 " more to do, in",
                       core->glance.group_name, core->glance.backlog);
    vine_log(MODULE, VINE_LOG_WARNING,
             "core %" PRIu32 " has been blocked for %" PRIu64 " ms, %" PRIu64
             " of them on a processor; it waited %" PRIu64 " ms more for one%s",
             core->core, stall->blocked_ns / NS_PER_MS, stall->used_ns / NS_PER_MS,
             stall->waited_ns / NS_PER_MS, what);
    if (stall->is_seen)
        vine__look_tell(watch, core, VINE_LOG_WARNING, MODULE);
}

static void report(struct vine__watch *watch, struct vine__watch_core *core)
{
    struct stall stall;

    if (!vine_log_is_on(MODULE, VINE_LOG_WARNING) || !is_blocked(core, &stall))
        return;
    core->report_at_ns *= 2;
    if (!may_report(watch, core))
        return;
    core->is_reported = true;
    tell(watch, core, &stall);
}

/* Returns whether it is awake, or has been since the last time. */
static bool look(struct vine__watch *watch, struct vine__watch_core *core, uint64_t now_ns)
{
    const struct vine__reactor_pulse pulse = vine__reactor_see(core->what.reactor);
    const bool has_turned = pulse.turns != core->turns;

    see_period(watch, core, now_ns);
    if (has_turned || !pulse.is_awake) {
        if (core->is_reported)
            vine_log(MODULE, VINE_LOG_INFO, "core %" PRIu32 " goes on, after about %" PRIu64 " ms",
                     core->core, (now_ns - core->since_ns) / NS_PER_MS);
        begin(core, pulse.turns, watch->options.blocked_ns, now_ns);
        return has_turned || pulse.is_awake;
    }
    if (!core->is_suspect) {
        core->is_suspect = true;
        core->used_ns = vine__thread_used_ns(core->what.thread);
        core->waited_ns = vine__thread_waited_ns(core->what.number);
    }
    if (now_ns - core->since_ns >= core->report_at_ns && now_ns >= core->check_at_ns)
        report(watch, core);
    return true;
}

bool vine__watch_look_round(struct vine__watch *watch, uint64_t now_ns)
{
    bool is_any_awake = false;

    for (uint32_t core = 0; core < watch->options.core_count; core++)
        is_any_awake |= look(watch, &watch->cores[core], now_ns);
    return is_any_awake;
}
