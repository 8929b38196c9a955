/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/service/crash.c - crash records: one line for each micro-process that fails, with service,
 * coroutine, line, signal and address, though only so many a second; and what the supervisor shows
 * when it is the process that ends.
 */

#include <inttypes.h>
#include <signal.h>
#include <stdio.h>

#include <vine/error.h>
#include <vine/log.h>
#include <vine/supervise.h>
#include <vine/timer.h>

#include "arch/guard/guard.h"
#include "core/reactor/reactor.h"
#include "core/service/service_internal.h"

#define PERIOD_NS   VINE_NS_PER_SECOND
#define LINES_MAX   5U /* of a core in a period */
#define PLACE_BYTES 160

/* Of each core. Timers stay behind when a core ends: so not in memory of its thread. */
static struct {
    struct vine_timer timer; /* of the period that goes on */
    bool is_open;
    uint32_t lines;
    uint64_t left_out;
} cores[VINE_CORES_MAX];

static void end_period(struct vine_timer *timer)
{
    const uint32_t core = vine_core();
    const uint64_t left_out = cores[core].left_out;

    (void)timer;
    cores[core].is_open = false;
    cores[core].lines = 0;
    cores[core].left_out = 0;
    if (left_out > 0)
        vine_log("service", VINE_LOG_ERROR, "%" PRIu64 " more crash%s in the last second", left_out,
                 left_out == 1 ? "" : "es");
}

/* Whether there may be one more line now. */
static bool may_tell(void)
{
    const uint32_t core = vine_core();

    if (!cores[core].is_open) {
        cores[core].is_open = true;
        vine_timer_init(&cores[core].timer, VINE_CLOCK_COARSE, end_period);
        vine_timer_arm_after(&cores[core].timer, PERIOD_NS);
    }
    if (cores[core].lines < LINES_MAX) {
        cores[core].lines++;
        return true;
    }
    cores[core].left_out++;
    return false;
}

/* "http: coroutine http, line 93". */
static void describe(const char *service, const struct vine__process_end *end,
                     char ret_text[PLACE_BYTES])
{
    (void)snprintf(ret_text, PLACE_BYTES, "%s: coroutine %s, line %u", service,
                   end->type != NULL ? end->type->name : "?",
                   end->point != NULL ? end->point->line : 0);
}

void vine__service_tell_crash(const struct vine__process_kind *kind,
                              const struct vine__process_end *end)
{
    char place[PLACE_BYTES];

    if (!may_tell())
        return;
    describe(kind->name, end, place);
    if (!end->is_fault)
        vine_log("service", VINE_LOG_ERROR, "%s: nobody took its error: %s%s%s", place,
                 vine_error_text(end->error), end->heap[0] != '\0' ? ": " : "", end->heap);
    else if (end->fault.is_stack_overflow)
        vine_log("service", VINE_LOG_ERROR, "%s: its stack overflows at address %#" PRIxPTR, place,
                 end->fault.address);
    else
        vine_log("service", VINE_LOG_ERROR,
                 "%s: %s at address %#" PRIxPTR ", code at %#" PRIxPTR "%s", place,
                 vine__guard_signal_name(end->fault.signal), end->fault.address, end->fault.pc,
                 end->fault.signal == SIGXCPU ? ": it runs for too long without waiting" : "");
}

void vine__service_kind_init(struct vine__service_kind *kind, const struct vine_service *service)
{
    *kind = (struct vine__service_kind){
        .base = {.name = service->name,
                 .farewell = service->farewell,
                 .crashed = vine__service_tell_crash},
        .service = service,
    };
}

/* In a signal's handler, and the process ends behind it: what is formatted here neither allocates
 * nor takes a lock in any libc that we know. */
static void say_last_words(const struct vine__guard_fault *fault, bool is_inside)
{
    struct vine__process_end end = {.is_fault = true};
    const struct vine__process_kind *const kind = is_inside ? vine__process_running(&end) : NULL;
    char place[PLACE_BYTES] = "outside of any service's code";
    char line[VINE_SUPERVISED_WORDS_BYTES];

    if (kind != NULL)
        describe(kind->name, &end, place);
    (void)snprintf(line, sizeof(line), "%s: %s at address %#" PRIxPTR ", code at %#" PRIxPTR, place,
                   vine__guard_signal_name(fault->signal), fault->address, fault->pc);
    vine_supervised_last_words(line);
}

void vine__service_tell_ends(void)
{
    vine__guard_at_end(say_last_words);
}
