/* SPDX-License-Identifier: Apache-2.0 */
#include "core/watch/watch_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "arch/wake/eventfd.h"
#include "utils/atomic.h"
#include "utils/bits.h"

#define LOOKS_A_STALL    4 /* while a core may be blocked: how late it is told is a part of that */
#define PERIOD_LEAST_NS  1000000ULL
#define PERIOD_MOST_NS   1000000000ULL
#define IDLE_NS          100000000ULL /* all cores have slept that long: then the watcher sleeps */
#define ASLEEP_MOST_NS   1000000000ULL
#define LATE_NS          200000000ULL
#define STARVED_EVERY_NS 1000000000ULL
#define REPORTS_AT_MOST  5
#define REPORTS_EVERY_NS (60 * VINE_NS_PER_SECOND)

static void take_signals(struct vine__watch *watch)
{
    bool is_asked = false;
    int number;

    while (vine__signals_read(watch->signal_fd, &number) == 0)
        is_asked = true;
    if (is_asked && (watch->options.is_taken == NULL || !watch->options.is_taken()))
        vine__watch_tell_state(watch);
}

/* Whether it took us so long for another reason than the want of a processor: all of us were
 * stopped, by a debugger or a shell. */
static bool were_stopped(struct vine__watch *watch, uint64_t late_ns, uint64_t now_ns)
{
    uint64_t starved_ns = watch->starved_ns;

    if (late_ns <= LATE_NS && now_ns - watch->starved_at_ns < STARVED_EVERY_NS)
        return false;
    watch->starved_ns = vine__thread_waited_ns(watch->number);
    watch->starved_at_ns = now_ns;
    starved_ns = vine__min_u64(watch->starved_ns - starved_ns, late_ns);
    return late_ns - starved_ns > LATE_NS;
}

/* Returns whether all were stopped meanwhile. */
static bool wait_for(struct vine__watch *watch, uint64_t timeout_ns)
{
    const uint64_t before_ns = vine__clock_now_ns();
    struct vine__epoll_event events[2];
    const int count = vine__epoll_wait(watch->epoll_fd, events, 2, timeout_ns);
    const uint64_t now_ns = vine__clock_now_ns();
    const uint64_t took_ns = now_ns - before_ns;
    const bool is_anew =
        were_stopped(watch, took_ns > timeout_ns ? took_ns - timeout_ns : 0, now_ns);
    uint64_t rung;

    for (int i = 0; i < count; i++) {
        if (events[i].context == &watch->signal_fd)
            take_signals(watch);
        else
            watch->has_rung = vine__eventfd_drain(watch->bell.fd, &rung) == 0;
    }
    return is_anew;
}

/* Nobody has been awake for a while. Returns whether that is still so, and we may sleep until the
 * bell rings; for a while only, since a core rings after its first work, which may block. */
static bool may_sleep(struct vine__watch *watch, uint64_t now_ns)
{
    vine__store_relaxed_u32(&watch->bell.is_asleep, 1);
    vine__fence_full(); /* W2 pairs with W1 */
    return !vine__watch_look_round(watch, now_ns);
}

static void watch_cores(struct vine__watch *watch)
{
    const uint64_t period_ns = vine__min_u64(
        vine__max_u64(watch->options.blocked_ns / LOOKS_A_STALL, PERIOD_LEAST_NS), PERIOD_MOST_NS);
    const uint64_t asleep_most_ns = vine__max_u64(ASLEEP_MOST_NS, 2 * period_ns);
    uint64_t asleep_ns = period_ns; /* how long the watcher sleeps, ever longer */
    uint64_t awake_ns = vine__clock_now_ns();

    vine__watch_begin_anew(watch, awake_ns);
    /* E2 pairs with E1. */
    while (vine__load_acquire_u32(&watch->has_ended) == 0) {
        const uint64_t now_ns = vine__clock_now_ns();
        bool is_anew = false;

        watch->has_rung = false;
        if (vine__watch_look_round(watch, now_ns)) {
            awake_ns = now_ns;
            asleep_ns = period_ns;
        }
        if (now_ns - awake_ns >= IDLE_NS && may_sleep(watch, now_ns)) {
            asleep_ns = vine__min_u64(2 * asleep_ns, asleep_most_ns);
            (void)wait_for(watch, asleep_ns);
            is_anew = true; /* they have slept until just now, which is no time blocked */
        } else {
            is_anew = wait_for(watch, period_ns); /* stopped, the cores have not run either */
        }
        if (watch->has_rung) {
            awake_ns = vine__clock_now_ns();
            asleep_ns = period_ns;
        }
        vine__store_relaxed_u32(&watch->bell.is_asleep, 0);
        if (is_anew)
            vine__watch_begin_anew(watch, vine__clock_now_ns());
    }
    vine__watch_end_reports(watch);
}

static void run(void *context)
{
    struct vine__watch *const watch = context;

    watch->number = vine__thread_number();
    if (watch->options.places != NULL)
        vine__thread_use_places(watch->options.places);
    if (watch->options.blocked_ns > 0) {
        watch_cores(watch);
        return;
    }
    while (vine__load_acquire_u32(&watch->has_ended) == 0) /* E2 pairs with E1 */
        (void)wait_for(watch, VINE_FOREVER);
}

/* ---- set-up ---------------------------------------------------------------------------------- */

static int open_all(struct vine__watch *watch)
{
    int error = vine__symbolizer_create(&watch->symbolizer);

    if (error == 0)
        error = vine__eventfd_create(&watch->bell.fd);
    if (error == 0)
        error = vine__epoll_create(&watch->epoll_fd);
    if (error == 0)
        error = vine__epoll_add(watch->epoll_fd, watch->bell.fd, &watch->bell);
    if (error == 0 && watch->options.signal != 0) {
        error = vine__signals_open(&watch->options.signal, 1, &watch->signal_fd);
        if (error == 0)
            error = vine__epoll_add(watch->epoll_fd, watch->signal_fd, &watch->signal_fd);
    }
    if (error == 0)
        error = vine__looks_open(watch);
    if (error == 0)
        error = vine__thread_start(&watch->thread, "watch", run, watch);
    watch->is_started = error == 0;
    return error;
}

int vine__watch_start(struct vine__watch **ret_watch, const struct vine__watch_options *options)
{
    struct vine__watch *const watch = calloc(1, sizeof(*watch));
    int error;

    if (watch == NULL)
        return -ENOMEM;
    watch->options = *options;
    watch->bell.fd = watch->signal_fd = watch->epoll_fd = -1;
    if (watch->options.reports_at_most == 0) {
        watch->options.reports_at_most = REPORTS_AT_MOST;
        watch->options.reports_every_ns = REPORTS_EVERY_NS;
    }
    watch->cores = calloc(options->core_count, sizeof(*watch->cores));
    error = watch->cores != NULL ? 0 : -ENOMEM;
    if (error == 0) {
        for (uint32_t core = 0; core < options->core_count; core++) {
            watch->cores[core].what = options->cores[core];
            watch->cores[core].core = core;
            watch->cores[core].period_ns = vine__clock_now_ns();
        }
        error = open_all(watch);
    }
    if (error != 0) {
        vine__watch_destroy(watch);
        return error;
    }
    if (watch->options.blocked_ns > 0)
        vine__mesh_set_bell(watch->options.mesh, &watch->bell);
    *ret_watch = watch;
    return 0;
}

void vine__watch_stop(struct vine__watch *watch)
{
    if (watch == NULL || !watch->is_started)
        return;
    vine__store_release_u32(&watch->has_ended, 1); /* E1 pairs with E2 */
    (void)!vine__eventfd_signal(watch->bell.fd);
    vine__thread_join(&watch->thread);
    vine__looks_close();
    watch->is_started = false;
}

void vine__watch_destroy(struct vine__watch *watch)
{
    if (watch == NULL)
        return;
    vine__watch_stop(watch);
    vine__symbolizer_destroy(watch->symbolizer);
    if (watch->bell.fd >= 0)
        (void)close(watch->bell.fd);
    if (watch->signal_fd >= 0)
        (void)close(watch->signal_fd);
    if (watch->epoll_fd >= 0)
        (void)close(watch->epoll_fd);
    free(watch->cores);
    free(watch);
}
