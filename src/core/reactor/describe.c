/* SPDX-License-Identifier: Apache-2.0 */
/* What others want to know of a reactor: what any thread may see, and what it says of itself. */
#include "core/reactor/reactor_internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>

#include "utils/atomic.h"
#include "utils/bits.h"

#define COUNTED_MAX 100000 /* of what has no count and is walked */
#define LINE_BYTES  320

struct vine__reactor_pulse vine__reactor_see(const struct vine__reactor *reactor)
{
    return (struct vine__reactor_pulse){
        .turns = vine__load_relaxed_u64(&reactor->counts.turns),
        .is_awake = vine__load_relaxed_u32(&reactor->is_awake) != 0,
    };
}

bool vine__reactor_look(struct vine__reactor_glance *ret_glance)
{
    const struct vine__reactor *const reactor = vine__self;

    if (reactor == NULL)
        return false;
    *ret_glance = (struct vine__reactor_glance){
        .core = reactor->core,
        .group = reactor->group,
        .turns = reactor->counts.turns,
        .backlog = reactor->backlog,
        .group_name = reactor->mesh->groups[reactor->group].name,
    };
    return true;
}

void vine__mesh_set_bell(struct vine__mesh *mesh, struct vine__watcher_bell *bell)
{
    mesh->bell = bell;
}

uint32_t vine__reactor_group_count(const struct vine__reactor *reactor)
{
    return reactor->group_count;
}

void vine__reactor_get_group(const struct vine__reactor *reactor, uint32_t id,
                             struct vine__group_counts *ret_counts)
{
    const struct vine__group_record *const record = &reactor->mesh->groups[id];
    const struct vine__group *const group = &reactor->groups[id];

    VINE_ASSERT(id < reactor->group_count);
    *ret_counts = (struct vine__group_counts){
        .name = record->name,
        .used_ns = vine__clock_ticks_to_ns(group->ticks),
        .works = group->works,
        .shares = record->shares,
        .parent = record->parent,
        .holds = record->holds,
    };
}

/* ---- in words -------------------------------------------------------------------------------- */

struct telling {
    vine__reactor_line_fn line;
    void *context;
};

VINE_PRINTF(2, 3) static void tell(const struct telling *telling, const char *format, ...)
{
    char text[LINE_BYTES];
    va_list arguments;

    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    telling->line(telling->context, text);
}

static const char *or_more(uint64_t count)
{
    return count == COUNTED_MAX ? " or more" : "";
}

static uint64_t count_works(const struct vine_work *work)
{
    uint64_t count = 0;

    for (; work != NULL && count < COUNTED_MAX; work = work->next)
        count++;
    return count;
}

static void tell_counts(const struct vine__reactor *reactor, const struct telling *telling)
{
    struct vine__reactor_counts counts;

    vine__reactor_get_counts(reactor, &counts);
    tell(telling,
         "turns %" PRIu64 " (%" PRIu64 " idle), sleeps %" PRIu64 ", awake %" PRIu64
         " ms, asleep %" PRIu64 " ms",
         counts.turns, counts.idle_turns, counts.sleeps, counts.awake_ns / 1000000,
         counts.slept_ns / 1000000);
    tell(telling, "work: %" PRIu64 " waiting, %" PRIu64 " at most so far, %" PRIu64 " done",
         counts.backlog, counts.backlog_most, counts.works);
    tell(telling, "operations: %" PRIu32 " with the kernel, %" PRIu64 " ended",
         vine__poller_pending(reactor->poller), counts.completions);
    tell(telling, "calls: %" PRIu64 " sent, %" PRIu64 " replies, %" PRIu64 " served",
         counts.calls_sent, counts.replies, counts.calls_served);
}

static void tell_groups(const struct vine__reactor *reactor, const struct telling *telling)
{
    for (uint32_t id = 0; id < reactor->group_count; id++) {
        const uint64_t waiting = count_works(reactor->groups[id].first);
        struct vine__group_counts counts;

        vine__reactor_get_group(reactor, id, &counts);
        tell(telling,
             "group %" PRIu32 " %s: %s%" PRIu32 " shares, %" PRIu64 " us used, %" PRIu64
             " works done, %" PRIu64 "%s waiting",
             id, counts.name, counts.holds ? "holds others, " : "", counts.shares,
             counts.used_ns / 1000, counts.works, waiting, or_more(waiting));
    }
}

static void tell_timers(const struct vine__reactor *reactor, const struct telling *telling)
{
    static const char *const names[] = {
        [VINE_CLOCK_STEADY] = "steady",
        [VINE_CLOCK_COARSE] = "coarse",
        [VINE_CLOCK_MANUAL] = "manual",
    };

    for (uint32_t clock = 0; clock < VINE_CLOCK_COUNT; clock++) {
        const uint64_t armed = vine__wheel_count(&reactor->wheels[clock], COUNTED_MAX);

        if (armed > 0)
            tell(telling, "timers: %" PRIu64 "%s armed on the %s clock", armed, or_more(armed),
                 names[clock]);
    }
}

static void tell_peers(const struct vine__reactor *reactor, const struct telling *telling)
{
    for (uint32_t core = 0; core < reactor->mesh->options.core_count; core++) {
        const struct vine__link_to *const link = &reactor->links[core];
        const uint64_t waiting =
            link->waiting_first != NULL ? count_works(&link->waiting_first->work) : 0;

        if (link->in_flight > 0)
            tell(telling,
                 "calls to core %" PRIu32 ": %" PRIu32 " of %u in flight, %" PRIu64 "%s wait to go",
                 core, link->in_flight, FLIGHT_MAX, waiting, or_more(waiting));
    }
}

void vine__reactor_describe(const struct vine__reactor *reactor, vine__reactor_line_fn line,
                            void *context)
{
    const struct telling telling = {.line = line, .context = context};

    tell_counts(reactor, &telling);
    tell_groups(reactor, &telling);
    tell_timers(reactor, &telling);
    tell_peers(reactor, &telling);
}
