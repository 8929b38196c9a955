/* SPDX-License-Identifier: Apache-2.0 */
#include "core/launch/crew.h"

#include <vine/error.h>
#include <vine/reactor.h>
#include <vine/runtime.h>

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "arch/guard/guard.h"
#include "arch/peer/random.h"
#include "arch/poll/poll.h"
#include "arch/thread/thread.h"
#include "arch/wake/futex.h"
#include "core/arena/arena.h"
#include "core/file/file.h"
#include "core/launch/own_metrics.h"
#include "core/launch/signals.h"
#include "core/log/log.h"
#include "core/metrics/metrics.h"
#include "core/network/network.h"
#include "core/reactor/reactor.h"
#include "core/watch/watch.h"
#include "utils/assert.h"
#include "utils/atomic.h"
#include "utils/bits.h"

/* A barrier counts on all; so no thread goes to one before all have been started. */
enum started {
    STARTED_NOT_ALL,
    STARTED_ALL,
    STARTED_NEVER,
};

struct member {
    struct vine__thread thread;
    struct crew *crew;
    const struct vine__plan_core *seat;
    struct vine__arena *arena;
    struct vine__reactor *reactor;
    struct vine__poller *poller;
    struct vine__own_metrics *metrics;
    uint32_t core;
    uint32_t number; /* of its thread, by the kernel */
    bool is_started;
    int error;
    char why[VINE__CREW_WHY_BYTES];
    char poll_why[VINE__POLL_WHY_BYTES];
};

struct crew {
    const struct vine__crew_options *options;
    struct vine__mesh *mesh;
    struct member *members;
    uint32_t count;
    pthread_barrier_t barrier;
    uint32_t has_failed; /* atomic: S1 */
    uint32_t started;    /* atomic: enum started */
    struct vine_work main_work;
    struct vine__thread_places places; /* of the main thread, before it is core 0's */
    struct vine__watch *watch;
    uint32_t shuffle_seed; /* 0: work runs in order */
};

/* Of this process: app_main is a plain function, and begins as work of core 0. */
static struct crew *crew_of_process;

VINE_PRINTF(3, 4) static void fail(struct member *member, int error, const char *format, ...)
{
    va_list arguments;

    member->error = error;
    va_start(arguments, format);
    (void)vsnprintf(member->why, sizeof(member->why), format, arguments);
    va_end(arguments);
    vine__store_release_u32(&member->crew->has_failed, 1); /* S1 pairs with S2 */
}

/* All are here. Returns whether nobody has failed before. */
static bool meet(struct crew *crew)
{
    (void)pthread_barrier_wait(&crew->barrier);
    /* S2 pairs with S1. */
    return vine__load_acquire_u32(&crew->has_failed) == 0;
}

/* ---- one core -------------------------------------------------------------------------------- */

#define UNBOUND "core %u: its thread cannot be bound to processor %u: %s"

static void take_seat(struct member *member)
{
    const struct vine__plan_core *const seat = member->seat;
    /* That of core 0 has been since before it told where it is. */
    int error = member->crew->options->plan->is_pinned && member->core != 0
                    ? vine__thread_pin(seat->cpu)
                    : 0;

    if (error != 0) {
        fail(member, error, UNBOUND, member->core, seat->cpu, vine_error_text(error));
        return;
    }
    error = vine__arena_attach(member->arena);
    if (error != 0)
        fail(member, error, "core %u: its memory cannot be used: %s", member->core,
             vine_error_text(error));
}

static void start_metrics(struct member *member)
{
    struct vine__reactor *const before = vine__reactor_enter(member->reactor);
    int error = vine__own_metrics_start(&member->metrics, member->arena);

    if (error == 0)
        error = vine__file_metrics_start();
    if (error != 0)
        fail(member, error, "core %u: no metrics: %s", member->core, vine_error_text(error));
    (void)vine__reactor_enter(before);
}

/* What files need; a core without an I/O queue uses its neighbour's. */
static void start_files(struct member *member)
{
    const bool has_queue = member->seat->io_core == member->core;
    const struct vine__file_options options = {
        .requests_max = has_queue ? member->crew->options->plan->io_requests_max : 0,
    };
    struct vine__reactor *const before = vine__reactor_enter(member->reactor);
    const int error = vine__file_start(&options);

    if (error != 0)
        fail(member, error, "core %u: no I/O queue: %s", member->core, vine_error_text(error));
    else if (!has_queue)
        vine__io_queue_assign(member->seat->io_core);
    (void)vine__reactor_enter(before);
}

static void construct(struct member *member)
{
    static const uint8_t backends[] = {
        [VINE__LAUNCH_BACKEND_AUTO] = VINE__POLL_BACKEND_ANY,
        [VINE__LAUNCH_BACKEND_URING] = VINE__POLL_BACKEND_URING,
        [VINE__LAUNCH_BACKEND_EPOLL] = VINE__POLL_BACKEND_EPOLL,
    };
    const struct vine__poller_options options = {
        .backend = backends[member->crew->options->options->reactor_backend.number],
        .ret_why = member->poll_why,
    };
    int error = vine__poller_create(&member->poller, &options);

    if (error != 0) {
        fail(member, error, "core %u: operations cannot be handed to the kernel: %s", member->core,
             member->poll_why[0] != '\0' ? member->poll_why : vine_error_text(error));
        return;
    }
    error =
        vine__reactor_create(&member->reactor, member->crew->mesh, member->core, member->poller);
    if (error != 0)
        fail(member, error, "core %u: no reactor: %s", member->core, vine_error_text(error));
    else
        start_files(member);
    if (member->error == 0)
        start_metrics(member);
}

static void run_main(struct vine_work *work)
{
    const struct vine__crew_options *const options = crew_of_process->options;

    (void)work;
    if (crew_of_process->shuffle_seed != 0)
        vine_log("launch", VINE_LOG_DEBUG, "work is shuffled: --shuffle-seed %u",
                 crew_of_process->shuffle_seed);
    const int code = options->app_main(options->options->argc, options->options->argv);

    if (code != VINE_MAIN_GOES_ON)
        vine_stop(code);
}

/* All reactors have been made, and none runs. */
static void start_watch(struct member *member)
{
    struct crew *const crew = member->crew;
    struct vine__watched cores[VINE_CORES_MAX];
    const struct vine__watch_options options = {
        .mesh = crew->mesh,
        .cores = cores,
        .core_count = crew->count,
        .places = &crew->places,
        .blocked_ns = crew->options->options->blocked_notify.number,
        .signal = SIGUSR1,
        .is_taken = vine__launch_signals_take_user,
    };

    for (uint32_t core = 0; core < crew->count; core++)
        cores[core] = (struct vine__watched){
            .reactor = crew->members[core].reactor,
            .thread = core == 0 ? vine__thread_self() : crew->members[core].thread.id,
            .number = crew->members[core].number,
            .arena = crew->members[core].arena,
        };
    const int error = vine__watch_start(&crew->watch, &options);

    if (error != 0)
        fail(member, error, "nobody can watch the cores: %s", vine_error_text(error));
}

static void begin_main(struct member *member)
{
    (void)vine__reactor_enter(member->reactor);
    const int error = vine__launch_signals_open();

    if (error != 0) {
        fail(member, error, "signals cannot be had as events: %s", vine_error_text(error));
        return;
    }
    vine__mesh_open_to_aliens(member->crew->mesh);
    start_watch(member);
    vine_work_init(&member->crew->main_work, run_main);
    vine_work_post(&member->crew->main_work);
}

static void leave(struct member *member)
{
    struct vine__reactor *const before = vine__reactor_enter(member->reactor);

    vine__reactor_destroy(member->reactor);
    vine__metrics_end(member->core);
    vine__file_end(member->core);
    vine__own_metrics_free(member->metrics);
    (void)vine__reactor_enter(before == member->reactor ? NULL : before);
    if (vine__arena_current() == member->arena)
        vine__arena_detach();
    vine__closed_leave();
}

/* Who tells is core 0, and of what all have done. */
static void tell_queues(const struct crew *crew)
{
    const struct vine__lines *const lines = crew->options->lines;
    const struct member *const first = &crew->members[0];
    uint32_t own_count = 0;

    vine__explain_step(lines, VINE__STEP_CONSTRUCTED, "all %u", crew->count);
    vine__explain_step(lines, VINE__STEP_QUEUES_STARTED, "by %s%s%s",
                       vine__poller_name(first->poller), first->poll_why[0] != '\0' ? ": " : "",
                       first->poll_why);
    for (uint32_t core = 0; core < crew->count; core++) {
        const uint32_t io_core = crew->members[core].seat->io_core;

        own_count += io_core == core;
        if (io_core != core)
            vine__explain_more(lines, "core %u submits file operations through core %u", core,
                               io_core);
    }
    vine__explain_more(lines, "I/O queues are assigned: %u core%s their own", own_count,
                       own_count == 1 ? " has" : "s have");
}

static void live(void *context)
{
    struct member *const member = context;
    struct crew *const crew = member->crew;
    const struct vine__lines *const lines = crew->options->lines;
    const bool is_first = member->core == 0;
    bool is_well;

    member->number = vine__thread_number();
    take_seat(member);
    is_well = meet(crew);
    if (is_well && is_first) {
        vine__explain_step(lines, VINE__STEP_REGISTERED, "all %u", crew->count);
        vine__explain_step(lines, VINE__STEP_MESSAGE_QUEUES,
                           "%u, one for each ordered pair, and %u for calls to oneself",
                           crew->count * (crew->count - 1), crew->count);
    }
    if (is_well)
        construct(member);
    is_well = meet(crew);
    if (is_well && is_first) {
        tell_queues(crew);
        begin_main(member);
    }
    is_well = meet(crew);
    if (is_well && is_first) {
        vine__explain_step(lines, VINE__STEP_INITED, "all %u", crew->count);
        vine__explain_step(lines, VINE__STEP_NETWORK,
                           "%s; it starts on a core with what is first opened there",
                           vine__network_stack_text());
        vine__explain_step(lines, VINE__STEP_CLOCK, "%s", vine__step_text(VINE__STEP_CLOCK));
        vine__explain_step(lines, VINE__STEP_RUNNING, "on %u core%s", crew->count,
                           crew->count == 1 ? "" : "s");
        if (crew->shuffle_seed != 0)
            vine__explain_more(lines, "%-10s --shuffle-seed %u", "shuffled", crew->shuffle_seed);
    }
    if (is_well)
        vine__reactor_run(member->reactor);
    if (is_first) {
        vine__mesh_open_to_aliens(NULL);
        vine__launch_signals_close();
        vine__watch_stop(crew->watch);
    }
    (void)meet(crew);
    leave(member);
    if (is_first)
        vine__launch_signals_fini();
}

static void live_as_thread(void *context)
{
    struct member *const member = context;
    uint32_t *const started = &member->crew->started;
    uint32_t word;

    /* S4 pairs with S3. */
    while ((word = vine__load_acquire_u32(started)) == STARTED_NOT_ALL)
        (void)!vine__futex_wait_private(started, STARTED_NOT_ALL, VINE_FOREVER);
    if (word == STARTED_ALL)
        vine__guard_call_apart(live, member);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static void tell_line(void *context, const char *line)
{
    (void)context;
    vine__log_more("memory", VINE_LOG_ERROR, "%s", line);
}

/* Within an allocation on the core, for which there is no room. Who goes on asking is told of ever
 * more seldom. */
static void tell_exhausted(void *context, struct vine__arena *arena, size_t size)
{
    const struct member *const member = context;
    const bool is_end = member->crew->options->options->abort_on_bad_alloc.number != 0;
    struct vine__arena_stats stats;

    vine__arena_get_stats(arena, &stats);
    if (!is_end && (stats.failures & (stats.failures - 1)) != 0)
        return;
    vine_log("memory", VINE_LOG_ERROR,
             "no room for %zu bytes: %llu of %llu bytes are used, and this is failure %llu%s", size,
             (unsigned long long)stats.used_bytes, (unsigned long long)stats.reserved_bytes,
             (unsigned long long)stats.failures,
             is_end ? "; the program ends (--abort-on-bad-alloc)" : "");
    if (is_end)
        vine__arena_dump(arena, tell_line, NULL);
}

static int create_arena(struct member *member, char *ret_why)
{
    const struct vine__crew_options *const wish = member->crew->options;
    const struct vine__plan *const plan = wish->plan;
    const uint64_t size_bytes =
        vine__round_down_u64(member->seat->memory_bytes, VINE__ARENA_STEP_BYTES);
    const struct vine__plan_place place = vine__plan_place(wish->topology, member->seat);
    struct vine__arena_options options = {
        .size_bytes = size_bytes,
        .node = place.node,
        .piece_count = place.piece_count,
        .huge_page_folder = plan->is_huge ? wish->options->hugepages.text : NULL,
        .lock = plan->is_locked,
        .exclusive = true,
        .abort_on_exhaustion = wish->options->abort_on_bad_alloc.number != 0,
        .exhausted = tell_exhausted,
        .exhausted_context = member,
    };
    const char *what = NULL;

    memcpy(options.pieces, place.pieces, sizeof(options.pieces));

    const int error = vine__arena_create(&options, &member->arena, &what);

    if (error != 0)
        (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, "core %u: no memory of %llu MiB: %s%s%s",
                       member->core, (unsigned long long)(size_bytes >> 20), vine_error_text(error),
                       what != NULL ? ": " : "", what != NULL ? what : "");
    return error;
}

static int init(struct crew *crew, char *ret_why)
{
    const struct vine__launch_options *const options = crew->options->options;
    const struct vine__mesh_options mesh_options = {
        .core_count = crew->count,
        .is_polled = options->poll_mode.number != 0,
        .idle_poll_ns = crew->options->plan->idle_poll_ns,
        .task_quota_ns = options->task_quota.number,
        .backlog_max = (uint32_t)options->max_task_backlog.number,
        .shuffle_seed = crew->shuffle_seed,
        .stop_limit_ns = options->stop_limit_ns,
    };
    int error = vine__mesh_create(&crew->mesh, &mesh_options);

    if (error == 0) {
        crew->members = vine__closed_alloc(crew->count * sizeof(*crew->members));
        error = crew->members != NULL ? 0 : -ENOMEM;
    }
    if (error != 0)
        (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, "%u core%s: %s", crew->count,
                       crew->count == 1 ? "" : "s", vine_error_text(error));
    for (uint32_t core = 0; core < crew->count && error == 0; core++) {
        struct member *const member = &crew->members[core];

        member->crew = crew;
        member->core = core;
        member->seat = &crew->options->plan->cores[core];
        error = create_arena(member, ret_why);
    }
    return error;
}

/* All threads or none. */
static int start_threads(struct crew *crew, char *ret_why)
{
    int error = 0;

    for (uint32_t core = 1; core < crew->count && error == 0; core++) {
        struct member *const member = &crew->members[core];
        char name[24];

        (void)snprintf(name, sizeof(name), "reactor-%u", core);
        error = vine__thread_start(&member->thread, name, live_as_thread, member);
        member->is_started = error == 0;
        if (error != 0)
            (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, "core %u: no thread: %s", core,
                           vine_error_text(error));
    }
    (void)pthread_barrier_init(&crew->barrier, NULL, crew->count);
    /* S3 pairs with S4: the barrier. */
    vine__store_release_u32(&crew->started, error == 0 ? STARTED_ALL : STARTED_NEVER);
    (void)vine__futex_wake_private(&crew->started, INT32_MAX);
    return error;
}

static int first_error(const struct crew *crew, char *ret_why)
{
    for (uint32_t core = 0; core < crew->count; core++) {
        if (crew->members[core].error != 0) {
            (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, "%s", crew->members[core].why);
            return crew->members[core].error;
        }
    }
    return 0;
}

static void destroy(struct crew *crew)
{
    for (uint32_t core = 0; crew->members != NULL && core < crew->count; core++)
        vine__arena_destroy(crew->members[core].arena);
    vine__closed_free(crew->members);
    vine__mesh_destroy(crew->mesh);
}

/* Before it makes the arenas: pages of locked ones are there at once, and where nobody says from
 * which node, from that of the processor on which it runs. */
static int pin_main_thread(const struct vine__crew_options *options, char *ret_why)
{
    const uint32_t cpu = options->plan->cores[0].cpu;
    const int error = options->plan->is_pinned ? vine__thread_pin(cpu) : 0;

    if (error != 0)
        (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, UNBOUND, 0U, cpu, vine_error_text(error));
    return error;
}

static int choose_malloc(const struct vine__launch_value *wish, char *ret_why)
{
    const int error = vine__arena_use_for_malloc(wish->number == VINE__LAUNCH_MALLOC_CORE);

    /* Nobody has asked for what cannot be had: another malloc is as good. */
    if (error == 0 || (error == -EOPNOTSUPP && !vine__is_asked(wish)))
        return 0;
    (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, "--malloc %s: %s", wish->text,
                   error == -EOPNOTSUPP ? "malloc is another library's, as a sanitizer's; right "
                                          "would be --malloc process"
                                        : vine_error_text(error));
    return error;
}

/* In debug builds nobody may rely on an order that nobody has promised. */
static uint32_t choose_seed(const struct vine__launch_value *wish)
{
    uint32_t seed = 0;

    if (vine__is_asked(wish))
        return (uint32_t)wish->number;
    if (!VINE_BUILD_IS_DEBUG || vine__random_bytes(&seed, sizeof(seed)) != 0)
        return 0;
    return seed != 0 ? seed : 1;
}

/* What is of the whole process, before any core is there. */
static int choose(const struct vine__crew_options *options, char *ret_why)
{
    const char *const stack = options->options->network_stack.text;
    int error = vine__network_choose_stack(stack);

    if (error != 0)
        (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, "--network-stack %s: there is no such one",
                       stack);
    return error != 0 ? error : choose_malloc(&options->options->malloc, ret_why);
}

int vine__crew_run(const struct vine__crew_options *options, int *ret_code, bool *ret_is_cut_short,
                   char ret_why[VINE__CREW_WHY_BYTES])
{
    struct crew crew = {
        .options = options,
        .count = options->plan->core_count,
        .shuffle_seed = choose_seed(&options->options->shuffle_seed),
    };
    int error = choose(options, ret_why);

    if (error != 0)
        return error;
    /* Before anything of the runtime's is made, and any thread. */
    vine__guard_prepare();
    error = vine__thread_get_places(&crew.places);

    if (error != 0)
        (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, "where this thread may run: %s",
                       vine_error_text(error));
    else
        vine__thread_note_places(&crew.places);
    if (error == 0)
        error = pin_main_thread(options, ret_why);
    if (error == 0)
        error = init(&crew, ret_why);

    if (error != 0) {
        destroy(&crew);
        return error;
    }
    crew_of_process = &crew;
    vine__explain_step(options->lines, VINE__STEP_MAIN_THREAD, "thread %u, on processor %u",
                       vine__thread_number(), vine__thread_processor());
    vine__signals_block();
    vine__explain_step(options->lines, VINE__STEP_SIGNALS_BLOCKED,
                       "all but those of faults, job control and profilers");
    vine__explain_step(options->lines, VINE__STEP_THREADS, "%u beside this one", crew.count - 1);
    error = start_threads(&crew, ret_why);
    if (error == 0)
        live(&crew.members[0]);
    for (uint32_t core = 1; core < crew.count; core++)
        if (crew.members[core].is_started)
            vine__thread_join(&crew.members[core].thread);
    vine__watch_destroy(crew.watch);
    (void)pthread_barrier_destroy(&crew.barrier);
    if (error == 0)
        error = first_error(&crew, ret_why);
    if (error == 0) {
        *ret_code = vine__mesh_exit_code(crew.mesh);
        *ret_is_cut_short = vine__mesh_was_cut_short(crew.mesh);
    }
    crew_of_process = NULL;
    destroy(&crew);
    return error;
}
