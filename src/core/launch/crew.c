/* SPDX-License-Identifier: Apache-2.0 */
#include "core/launch/crew.h"

#include <vine/error.h>
#include <vine/reactor.h>
#include <vine/runtime.h>

#include <errno.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "arch/poll/poll.h"
#include "arch/thread/thread.h"
#include "arch/wake/futex.h"
#include "core/arena/arena.h"
#include "core/launch/signals.h"
#include "core/reactor/reactor.h"
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
    const struct vine__crew_seat *seat;
    struct vine__arena *arena;
    struct vine__reactor *reactor;
    struct vine__poller *poller;
    uint32_t core;
    uint32_t number; /* the kernel's, of its thread */
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

VINE_PRINTF(3, 4)
static void tell(const struct crew *crew, const char *name, const char *format, ...)
{
    char text[VINE__CREW_WHY_BYTES];
    va_list arguments;

    if (crew->options->step == NULL)
        return;
    va_start(arguments, format);
    (void)vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    crew->options->step(crew->options->context, name, text);
}

/* All are here. Returns whether nobody has failed before. */
static bool meet(struct crew *crew)
{
    (void)pthread_barrier_wait(&crew->barrier);
    /* S2 pairs with S1. */
    return vine__load_acquire_u32(&crew->has_failed) == 0;
}

/* ---- one core -------------------------------------------------------------------------------- */

static void take_seat(struct member *member)
{
    const struct vine__crew_seat *const seat = member->seat;
    int error = seat->is_pinned ? vine__thread_pin(seat->processor) : 0;

    member->number = vine__thread_number();
    if (error != 0) {
        fail(member, error, "core %u: its thread cannot be bound to processor %u: %s", member->core,
             seat->processor, vine_error_text(error));
        return;
    }
    error = vine__arena_attach(member->arena);
    if (error != 0)
        fail(member, error, "core %u: its memory cannot be used: %s", member->core,
             vine_error_text(error));
}

static void construct(struct member *member)
{
    const struct vine__poller_options options = {.backend = member->crew->options->backend,
                                                 .ret_why = member->poll_why};
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
}

static void run_main(struct vine_work *work)
{
    const struct vine__crew_options *const options = crew_of_process->options;

    (void)work;
    const int code = options->app_main(options->argc, options->argv);

    if (code != VINE_MAIN_GOES_ON)
        vine_stop(code);
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
    vine_work_init(&member->crew->main_work, run_main);
    vine_work_post(&member->crew->main_work);
}

static void leave(struct member *member)
{
    struct vine__reactor *const before = vine__reactor_enter(member->reactor);

    vine__reactor_destroy(member->reactor);
    (void)vine__reactor_enter(before == member->reactor ? NULL : before);
    if (vine__arena_current() == member->arena)
        vine__arena_detach();
}

static void tell_constructed(const struct crew *crew)
{
    const struct member *const member = &crew->members[0];

    if (member->error != 0)
        return;
    if (member->poll_why[0] != '\0')
        tell(crew, "poller", "%s: %s", vine__poller_name(member->poller), member->poll_why);
    else
        tell(crew, "poller", "%s", vine__poller_name(member->poller));
}

static void live(struct member *member)
{
    struct crew *const crew = member->crew;
    const bool is_first = member->core == 0;

    take_seat(member);
    if (is_first)
        tell(crew, "barrier", "reactors registered");
    if (meet(crew))
        construct(member);
    if (is_first)
        tell_constructed(crew);
    if (meet(crew)) {
        if (is_first) {
            tell(crew, "barrier", "message queues constructed: %u", crew->count * crew->count);
            begin_main(member);
        }
    }
    if (meet(crew)) {
        if (is_first)
            tell(crew, "loop", "running on %u cores", crew->count);
        vine__reactor_run(member->reactor);
    }
    if (is_first) {
        vine__mesh_open_to_aliens(NULL);
        vine__launch_signals_close();
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
        live(member);
}

/* ---- all of them ----------------------------------------------------------------------------- */

static int create_arena(struct member *member, char *ret_why)
{
    const struct vine__crew_options *const wish = member->crew->options;
    const uint64_t size_bytes =
        vine__round_down_u64(member->seat->memory_bytes, VINE__ARENA_STEP_BYTES);
    const struct vine__arena_options options = {
        .size_bytes = size_bytes,
        .node = member->seat->node,
        .huge_page_folder = wish->huge_page_folder,
        .huge_pages = wish->huge_page_folder != NULL,
        .lock = wish->is_locked,
        .exclusive = true,
        .abort_on_exhaustion = wish->aborts_on_exhaustion,
    };
    const char *what = NULL;
    const int error = vine__arena_create(&options, &member->arena, &what);

    if (error != 0)
        (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, "core %u: no memory of %llu MiB: %s%s%s",
                       member->core, (unsigned long long)(size_bytes >> 20), vine_error_text(error),
                       what != NULL ? ": " : "", what != NULL ? what : "");
    return error;
}

static int init(struct crew *crew, char *ret_why)
{
    const struct vine__crew_options *const options = crew->options;
    const struct vine__mesh_options mesh_options = {
        .core_count = crew->count,
        .is_polled = options->is_polled,
        .is_shared = options->is_shared,
        .idle_poll_ns = options->idle_poll_ns,
        .task_quota_ns = options->task_quota_ns,
        .backlog_max = options->backlog_max,
    };
    int error = vine__mesh_create(&crew->mesh, &mesh_options);

    crew->members = calloc(crew->count, sizeof(*crew->members));
    if (error != 0 || crew->members == NULL) {
        (void)snprintf(ret_why, VINE__CREW_WHY_BYTES, "%u cores: %s", crew->count,
                       vine_error_text(error != 0 ? error : -ENOMEM));
        return error != 0 ? error : -ENOMEM;
    }
    for (uint32_t core = 0; core < crew->count && error == 0; core++) {
        struct member *const member = &crew->members[core];

        member->crew = crew;
        member->core = core;
        member->seat = &options->seats[core];
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
    free(crew->members);
    vine__mesh_destroy(crew->mesh);
}

int vine__crew_run(const struct vine__crew_options *options, int *ret_code, bool *ret_is_cut_short,
                   char ret_why[VINE__CREW_WHY_BYTES])
{
    struct crew crew = {.options = options, .count = options->seat_count};
    int error = init(&crew, ret_why);

    if (error != 0) {
        destroy(&crew);
        return error;
    }
    crew_of_process = &crew;
    tell(&crew, "threads", "%u beside this one", crew.count - 1);
    error = start_threads(&crew, ret_why);
    if (error == 0)
        live(&crew.members[0]);
    for (uint32_t core = 1; core < crew.count; core++)
        if (crew.members[core].is_started)
            vine__thread_join(&crew.members[core].thread);
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
