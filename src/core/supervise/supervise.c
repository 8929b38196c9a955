/* SPDX-License-Identifier: Apache-2.0 */
/* The supervisor: it waits for signals, for what its processes say, and for their ends. */
#include "core/supervise/supervise_internal.h"

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>
#include <vine/log.h>

#include "arch/clock/clock.h"
#include "arch/thread/thread.h"
#include "arch/wake/epoll.h"

#define EVENTS_MAX 64

#define START_DEFAULT_NS (60 * VINE_NS_PER_SECOND)
#define DRAIN_DEFAULT_NS (15 * VINE_NS_PER_SECOND)

/* ---- what becomes of processes --------------------------------------------------------------- */

static void look_at_life(struct supervisor *supervisor, struct process *process, uint64_t now_ns)
{
    int status;

    if (process->has_ended || !vine__spawned_reap(&process->spawned, &status))
        return;
    if (vine__member_hear(supervisor, process)) /* its last words are there by now */
        vine__places_see_ready(supervisor, process, now_ns);
    vine__epoll_remove(supervisor->epoll_fd, process->spawned.pidfd);
    process->has_ended = true;
    vine__places_see_end(supervisor, process, status, now_ns);
}

static void look_at_deadline(struct process *process, uint64_t now_ns)
{
    if (process->has_ended || now_ns < process->deadline_ns)
        return;
    if (process->is_leaving)
        vine__member_log(VINE_LOG_WARNING, process, "takes too long to end, and is killed");
    else
        vine__member_log(VINE_LOG_ERROR, process, "takes too long to be ready, and is killed");
    vine__member_kill(process);
}

/* ---- the loop -------------------------------------------------------------------------------- */

static void take_signal(struct supervisor *supervisor, int number, uint64_t now_ns)
{
    switch (number) {
    case SIGTERM:
        vine__places_stop(supervisor, "SIGTERM", now_ns);
        break;
    case SIGINT:
        vine__places_stop(supervisor, "SIGINT", now_ns);
        break;
    case SIGHUP:
        if (supervisor->had_terminal && !vine__terminal_is_there())
            vine__places_stop(supervisor, "the terminal has gone", now_ns);
        else
            vine__places_exchange(supervisor, now_ns);
        break;
    default:
        VINE_LIST_FOR_EACH(node, &supervisor->processes)
        {
            const struct process *const process = VINE_LIST_OBJECT(node, struct process, link);

            /* Before it is ready it may not know what that is. */
            if (process->is_ready && !process->has_ended)
                vine__spawned_signal(&process->spawned, number);
        }
    }
}

static void take_event(struct supervisor *supervisor, const struct watched *watched,
                       uint64_t now_ns)
{
    int number;

    switch ((enum watched_kind)watched->kind) {
    case WATCHED_SIGNALS:
        while (vine__signals_read(supervisor->signals_fd, &number) == 0)
            take_signal(supervisor, number, now_ns);
        break;
    case WATCHED_STATUS:
        if (!watched->process->has_ended && vine__member_hear(supervisor, watched->process))
            vine__places_see_ready(supervisor, watched->process, now_ns);
        break;
    case WATCHED_LIFE:
        look_at_life(supervisor, watched->process, now_ns);
        break;
    }
}

static uint64_t earlier(uint64_t one_ns, uint64_t other_ns)
{
    return one_ns < other_ns ? one_ns : other_ns;
}

/* How long nothing has to be done by itself. */
static uint64_t patience(struct supervisor *supervisor, uint64_t now_ns)
{
    uint64_t next_ns = VINE_FOREVER;

    VINE_LIST_FOR_EACH(node, &supervisor->processes)
    {
        next_ns = earlier(next_ns, VINE_LIST_OBJECT(node, struct process, link)->deadline_ns);
    }
    for (uint32_t i = 0; i < supervisor->place_count && !supervisor->is_stopping; i++)
        if (supervisor->places[i].current == NULL)
            next_ns = earlier(next_ns, supervisor->places[i].start_ns);
    if (supervisor->manager.watchdog_ns != 0 && vine__places_count_ready(supervisor) > 0)
        next_ns = earlier(next_ns, supervisor->manager.next_ns);
    if (next_ns == VINE_FOREVER)
        return VINE_FOREVER;
    return next_ns > now_ns ? next_ns - now_ns : 0;
}

/* Nobody looks at them any more: what an event points to is there until its turn is over. */
static void free_ended(struct supervisor *supervisor)
{
    struct vine__list *next;

    for (struct vine__list *node = supervisor->processes.next; node != &supervisor->processes;
         node = next) {
        struct process *const process = VINE_LIST_OBJECT(node, struct process, link);

        next = node->next;
        if (process->has_ended)
            vine__member_free(supervisor, process);
    }
}

static int live(struct supervisor *supervisor)
{
    struct vine__epoll_event events[EVENTS_MAX];

    while (!supervisor->is_stopping || supervisor->process_count > 0) {
        vine__places_fill(supervisor, vine__clock_now_ns());
        const int count = vine__epoll_wait(supervisor->epoll_fd, events, EVENTS_MAX,
                                           patience(supervisor, vine__clock_now_ns()));
        const uint64_t now_ns = vine__clock_now_ns();

        if (count < 0) {
            vine_log(SUPERVISE_LOG, VINE_LOG_ERROR, "cannot wait: %s", vine_error_text(count));
            return EXIT_FAILED;
        }
        for (int i = 0; i < count; i++)
            take_event(supervisor, events[i].context, now_ns);
        VINE_LIST_FOR_EACH(node, &supervisor->processes)
        {
            look_at_deadline(VINE_LIST_OBJECT(node, struct process, link), now_ns);
        }
        if (vine__places_count_ready(supervisor) > 0)
            vine__manager_feed(&supervisor->manager, now_ns);
        free_ended(supervisor);
    }
    return supervisor->code;
}

/* ---- beginning and end ----------------------------------------------------------------------- */

static int open_events(struct supervisor *supervisor)
{
    static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGUSR1};
    int error = vine__epoll_create(&supervisor->epoll_fd);

    supervisor->signals = (struct watched){.kind = WATCHED_SIGNALS};
    vine__signals_block();
    if (error == 0)
        error = vine__signals_open(numbers, sizeof(numbers) / sizeof(numbers[0]),
                                   &supervisor->signals_fd);
    if (error == 0)
        error = vine__epoll_add(supervisor->epoll_fd, supervisor->signals_fd, &supervisor->signals);
    if (error == 0)
        error = vine__program_path(supervisor->path, sizeof(supervisor->path));
    if (error == 0) {
        supervisor->places = calloc(supervisor->place_count, sizeof(supervisor->places[0]));
        error = supervisor->places == NULL ? -ENOMEM : 0;
    }
    if (error != 0)
        vine_log(SUPERVISE_LOG, VINE_LOG_ERROR, "cannot begin: %s", vine_error_text(error));
    return error;
}

static void end(struct supervisor *supervisor)
{
    VINE_LIST_FOR_EACH(node, &supervisor->processes)
    {
        vine__spawned_kill(&VINE_LIST_OBJECT(node, struct process, link)->spawned);
    }
    while (!vine__list_is_empty(&supervisor->processes))
        free(VINE_LIST_OBJECT(vine__list_pop_front(&supervisor->processes), struct process, link));
    vine__listeners_close(&supervisor->listeners);
    vine__manager_fini(&supervisor->manager);
    free(supervisor->places);
    if (supervisor->signals_fd >= 0)
        (void)close(supervisor->signals_fd);
    if (supervisor->epoll_fd >= 0)
        (void)close(supervisor->epoll_fd);
}

static int read_options(const struct vine_supervise_options *options,
                        struct vine_supervise_options *ret_wish)
{
    struct vine_supervise_options wish = {0};

    if (options->size_bytes < sizeof(size_t) || options->size_bytes > sizeof(wish))
        return -EINVAL;
    memcpy(&wish, options, options->size_bytes);
    if (wish.process_count > VINE_SUPERVISE_PROCESSES_MAX)
        return -EINVAL;
    if (wish.process_count == 0)
        wish.process_count = 1;
    if (wish.start_ns == 0)
        wish.start_ns = START_DEFAULT_NS;
    if (wish.drain_ns == 0)
        wish.drain_ns = DRAIN_DEFAULT_NS;
    *ret_wish = wish;
    return 0;
}

int vine_supervise(int argc, char **argv, const struct vine_supervise_options *options)
{
    struct supervisor supervisor = {
        .argc = argc,
        .argv = argv,
        .signals_fd = -1,
        .epoll_fd = -1,
        .had_terminal = vine__terminal_is_there() && !vine__hangup_is_ignored(),
    };
    int code;

    if (vine__supervised_init()) {
        vine__supervised_set_drain(options->drain_ns != 0 ? options->drain_ns : DRAIN_DEFAULT_NS);
        return VINE_SUPERVISE_GOES_ON;
    }
    if (read_options(options, &supervisor.options) != 0) {
        vine_log(SUPERVISE_LOG, VINE_LOG_ERROR, "there can be 1 to %d processes",
                 VINE_SUPERVISE_PROCESSES_MAX);
        return EXIT_USAGE;
    }
    supervisor.place_count = (uint32_t)supervisor.options.process_count;
    supervisor.rolling = supervisor.place_count;
    vine__list_init(&supervisor.processes);
    vine__manager_init(&supervisor.manager);
    code = open_events(&supervisor) == 0 ? 0 : EXIT_FAILED;
    for (uint32_t i = 0; code == 0 && i < supervisor.place_count; i++)
        supervisor.places[i].index = i;
    if (code == 0)
        code = vine__listeners_open(&supervisor.listeners, &supervisor.options);
    if (code == 0)
        code = live(&supervisor);
    end(&supervisor);
    return code;
}
