/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/remote/way.c - a core's pipe to a remote.
 *
 * To open it, and to ask for a procedure that the appliance did not tell of then, takes a worker
 * thread: an errand, of which there is one at a time. All else is this core's: while tasks are in
 * flight it looks at the pipe in each turn; before it sleeps it arms the pipe, whose descriptor is
 * then among what it waits for.
 *
 * A pipe that is lost is closed when nobody uses it any more. Who waits then asks anew, and so
 * opens another one.
 */
#include "core/remote/remote_internal.h"

#include <errno.h>
#include <poll.h>
#include <string.h>

#include "arch/guard/closed.h"
#include "utils/atomic.h"

#define KNOWN_MAX          64U
#define CONNECT_TIMEOUT_NS (3 * VINE_NS_PER_SECOND)
#define CALL_TIMEOUT_NS    (5 * VINE_NS_PER_SECOND)

/* Threads of this core that may have a channel of their own: itself, and workers of its poller.
 * Callbacks of a channel that it shares with one of them would run there. */
#define CHANNELS_LEAST 6U

struct vine__way {
    struct vine__list link; /* of the core's */
    uint32_t remote;
    struct vine_pipe *pipe; /* NULL: it is not open yet */
    int fd;
    uint32_t tasks_max, tasks_reserved;
    bool is_narrow; /* it has few channels: nothing is asked on other threads */
    bool is_broken; /* it is over, which those who use it do not know yet */
    bool is_over;
    bool is_polled;
    bool is_armed;      /* `ready` is the poller's */
    bool is_errand_out; /* `errand` is */
    int error;          /* why it is over */
    uint64_t seen_ns;   /* when it was last known to be well */
    struct vine__list waiting, using;
    struct vine__polled polled;
    struct vine__operation ready;
    struct vine__operation errand;
    struct vine_work go_on;
    struct vine_work errand_over;
    /* Of the errand: */
    const char *address;
    char wanted[VINE_NAME_MAX + 1]; /* "": to open */
    struct vine_pipe *opened;       /* also where what followed went wrong; or NULL */
    struct vine_procedure *found;
    int errand_error;
    /* The last one that was looked for comes first. */
    uint32_t known_count;
    struct vine_procedure *known[KNOWN_MAX];
};

/* A core's ways. */
static struct core {
    _Alignas(VINE_CACHE_LINE) struct vine_stopper stopper;
    struct vine__list ways;
    struct vine__way *at[VINE_REMOTES_MAX + 1]; /* that are not over, by their remote */
    bool is_started, is_stopping;
} cores[VINE_CORES_MAX];

static struct core *core_here(void)
{
    return &cores[vine_core()];
}

/* ---- the end --------------------------------------------------------------------------------- */

static void look_at_stop(struct core *core)
{
    if (!core->is_stopping || !vine__list_is_empty(&core->ways))
        return;
    core->is_started = false;
    vine_stopper_done(&core->stopper);
}

static void end_if_over(struct vine__way *way)
{
    struct core *const core = core_here();

    if (!way->is_over || way->is_errand_out || way->is_armed || way->go_on.is_posted ||
        way->errand_over.is_posted || !vine__list_is_empty(&way->using))
        return;
    VINE_ASSERT(vine__list_is_empty(&way->waiting));
    vine__list_remove(&way->link);
    vine_pipe_close(way->pipe);
    vine__closed_free(way);
    look_at_stop(core);
}

static void stop_polling(struct vine__way *way)
{
    if (way->is_polled)
        vine__polled_end(&way->polled);
    way->is_polled = false;
}

bool vine__way_reserve(struct vine__way_user *user, uint32_t tasks)
{
    struct vine__way *const way = user->way;

    if (tasks > way->tasks_max / 2 - way->tasks_reserved)
        return false;
    way->tasks_reserved += tasks;
    user->tasks = tasks;
    return true;
}

static void forget(struct vine__way_user *user)
{
    user->way->tasks_reserved -= user->tasks;
    user->tasks = 0;
    vine__list_remove(&user->link);
    user->is_waiting = false;
    user->is_using = false;
    user->way = NULL;
}

/* Those who wait have begun nothing: another pipe will do, unless it is the second that is lost. */
static void lose(struct vine__way *way, int error, bool may_ask_anew)
{
    struct core *const core = core_here();
    struct vine__list *node;

    if (way->is_over)
        return;
    way->is_over = true;
    way->error = error;
    if (core->at[way->remote] == way)
        core->at[way->remote] = NULL;
    stop_polling(way);
    if (way->is_armed)
        vine__poller_cancel(vine__reactor_poller(), &way->ready);
    for (node = way->using.next; node != &way->using;) {
        struct vine__way_user *const user = VINE_LIST_OBJECT(node, struct vine__way_user, link);

        node = node->next;
        user->ops->lose(user, error);
    }
    while ((node = vine__list_first(&way->waiting)) != NULL) {
        struct vine__way_user *const user = VINE_LIST_OBJECT(node, struct vine__way_user, link);

        forget(user);
        if (may_ask_anew && !user->was_asked_anew) {
            user->was_asked_anew = true;
            vine__way_ask(user);
        } else {
            user->ops->fail(user, error);
        }
    }
}

/* ---- polling --------------------------------------------------------------------------------- */

static struct vine__way *way_of(struct vine__polled *polled)
{
    return VINE_CONTAINER_OF(polled, struct vine__way, polled);
}

/* What has ended is told by callbacks, which post work. Returns whether there was anything. */
static bool see(struct vine__way *way, int ended)
{
    way->is_broken |= ended < 0;
    if (ended != 0 && (way->is_broken || !vine__list_is_empty(&way->waiting)))
        vine_work_post(&way->go_on);
    return ended != 0;
}

static bool has_tasks(const struct vine__way *way)
{
    struct vine_pipe_stats stats;

    if (!vine__list_is_empty(&way->using))
        return true;
    vine_pipe_get_stats(way->pipe, &stats); /* some may have been left to their end */
    return stats.tasks_in_flight > 0;
}

static bool poll_way(struct vine__polled *polled, uint64_t now_ticks)
{
    struct vine__way *const way = way_of(polled);
    const bool is_busy = see(way, vine_pipe_poll(way->pipe));

    (void)now_ticks;
    if (way->is_broken || !has_tasks(way)) {
        way->seen_ns = vine_clock_now(VINE_CLOCK_COARSE);
        stop_polling(way);
    }
    return is_busy;
}

static bool look_at_way(struct vine__polled *polled, uint64_t now_ticks)
{
    struct vine__way *const way = way_of(polled);

    (void)now_ticks;
    return !way->is_broken && see(way, vine_pipe_poll(way->pipe));
}

static void be_ready(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct vine__way *const way = VINE_CONTAINER_OF(operation, struct vine__way, ready);

    (void)result, (void)flags; /* whatever it is, polling finds it */
    way->is_armed = false;
    if (way->is_over)
        vine_work_post(&way->go_on);
}

static bool lie_down(struct vine__polled *polled, uint64_t *ret_limit_ns)
{
    struct vine__way *const way = way_of(polled);
    uint64_t limit_ns = 0;

    (void)see(way, vine_pipe_arm(way->pipe, &limit_ns));
    if (way->is_broken || limit_ns == 0)
        return false;
    if (!way->is_armed) {
        way->is_armed = true;
        vine__reactor_begin(&way->ready);
    }
    *ret_limit_ns = limit_ns;
    return true;
}

static void get_up(struct vine__polled *polled)
{
    vine_pipe_disarm(way_of(polled)->pipe);
}

static void start_polling(struct vine__way *way)
{
    if (!way->is_polled)
        vine__polled_begin(&way->polled);
    way->is_polled = true;
}

/* ---- errands --------------------------------------------------------------------------------- */

/* On another thread, and so is what follows: of the way nothing is touched but what is the
 * errand's. */
static int open_there(struct vine__way *way)
{
    const struct vine_pipe_options options = {.size_bytes = sizeof(options),
                                              .connect_timeout_ns = CONNECT_TIMEOUT_NS,
                                              .call_timeout_ns = CALL_TIMEOUT_NS};
    int error = vine_pipe_open(way->address, &options, &way->opened);

    if (error == 0)
        error = vine_pipe_descriptor(way->opened, &way->fd);
    if (error == 0)
        error = vine_procedure_list(way->opened, way->known, KNOWN_MAX);
    if (error < 0)
        return error;
    way->known_count = (uint32_t)error < KNOWN_MAX ? (uint32_t)error : KNOWN_MAX;
    return 0;
}

static int32_t run_errand(void *context)
{
    struct vine__way *const way = context;

    return way->wanted[0] == '\0' ? open_there(way)
                                  : vine_procedure_get(way->pipe, way->wanted, &way->found);
}

static void errand_ended(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct vine__way *const way = VINE_CONTAINER_OF(operation, struct vine__way, errand);

    (void)flags;
    way->errand_error = result;
    vine_work_post(&way->errand_over);
}

static void send_errand(struct vine__way *way)
{
    way->is_errand_out = true;
    way->errand = (struct vine__operation){
        .fn = errand_ended, .kind = VINE__POLL_CALL, .call = run_errand, .context = way};
    vine__reactor_begin(&way->errand);
}

/* ---- who waits ------------------------------------------------------------------------------- */

static void put_first(struct vine__way *way, struct vine_procedure *procedure, uint32_t at)
{
    memmove(&way->known[1], &way->known[0], at * sizeof(way->known[0]));
    way->known[0] = procedure;
}

static struct vine_procedure *find(struct vine__way *way, const char *name)
{
    for (uint32_t i = 0; i < way->known_count; i++) {
        struct vine_procedure *const procedure = way->known[i];

        if (strcmp(vine_procedure_describe(procedure)->name, name) != 0)
            continue;
        put_first(way, procedure, i);
        return procedure;
    }
    return NULL;
}

/* Returns 0, or why it is not asked for. */
static int ask_for(struct vine__way *way, const char *name)
{
    if (strlen(name) > VINE_NAME_MAX || name[0] == '\0' || way->is_narrow)
        return -VINE_EPROCEDURE;
    if (!way->is_errand_out) {
        memcpy(way->wanted, name, strlen(name) + 1);
        send_errand(way);
    }
    return 0;
}

/* Returns whether it waits for room, and so do all behind it. */
static bool go(struct vine__way *way, struct vine__way_user *user)
{
    struct vine_procedure *const procedure = find(way, user->procedure);
    int error;

    if (procedure == NULL) {
        error = ask_for(way, user->procedure);
        if (error == 0)
            return false;
    } else {
        error = user->ops->go(user, way->pipe, procedure);
        if (error == -EAGAIN && has_tasks(way))
            return !user->ops->lets_others_pass;
        if (error == -EAGAIN)
            error = -VINE_EQUOTA; /* nothing will ever make room */
    }
    if (error != 0) {
        forget(user);
        user->ops->fail(user, error);
        return false;
    }
    vine__list_remove(&user->link);
    user->is_waiting = false;
    user->is_using = true;
    vine__list_push_back(&way->using, &user->link);
    start_polling(way);
    return false;
}

static void go_all(struct vine__way *way)
{
    struct vine__list *node = way->waiting.next;

    while (way->pipe != NULL && !way->is_over && !way->is_broken && node != &way->waiting) {
        struct vine__way_user *const user = VINE_LIST_OBJECT(node, struct vine__way_user, link);

        node = node->next;
        if (go(way, user))
            break;
    }
}

static void go_on(struct vine_work *work)
{
    struct vine__way *const way = VINE_CONTAINER_OF(work, struct vine__way, go_on);

    if (way->is_broken) {
        const int error = vine_pipe_status(way->pipe);

        lose(way, error != 0 ? error : -VINE_EPEERLOST, true);
    }
    go_all(way);
    end_if_over(way);
}

/* The appliance has no such procedure, or is gone. */
static void fail_all(struct vine__way *way, const char *name, int error)
{
    for (struct vine__list *node = way->waiting.next; node != &way->waiting;) {
        struct vine__way_user *const user = VINE_LIST_OBJECT(node, struct vine__way_user, link);

        node = node->next;
        if (strcmp(user->procedure, name) != 0)
            continue;
        forget(user);
        user->ops->fail(user, error);
    }
}

static void open_here(struct vine__way *way)
{
    struct vine_pipe_limits limits;

    vine_pipe_get_limits(way->pipe, &limits);
    way->is_narrow = limits.channels_max < CHANNELS_LEAST;
    way->tasks_max = limits.tasks_max;
    way->ready = (struct vine__operation){
        .fn = be_ready, .kind = VINE__POLL_READY, .fd = way->fd, .flags = POLLIN};
    way->seen_ns = vine_clock_now(VINE_CLOCK_COARSE);
}

static void errand_over(struct vine_work *work)
{
    struct vine__way *const way = VINE_CONTAINER_OF(work, struct vine__way, errand_over);
    const int error = way->errand_error;

    way->is_errand_out = false;
    way->pipe = way->opened;
    if (way->wanted[0] == '\0' && error == 0) {
        open_here(way);
    } else if (way->wanted[0] == '\0') {
        lose(way, error, false);
    } else if (error == 0) {
        if (way->known_count < KNOWN_MAX)
            way->known_count++;
        put_first(way, way->found, way->known_count - 1);
    } else if (vine_pipe_status(way->pipe) == 0) {
        fail_all(way, way->wanted, error);
    } else {
        lose(way, error, true);
    }
    go_all(way);
    end_if_over(way);
}

/* ---- the beginning --------------------------------------------------------------------------- */

static void stop(struct vine_stopper *stopper)
{
    struct core *const core = VINE_CONTAINER_OF(stopper, struct core, stopper);
    struct vine__list *node = core->ways.next;

    core->is_stopping = true;
    while (node != &core->ways) {
        struct vine__way *const way = VINE_LIST_OBJECT(node, struct vine__way, link);

        node = node->next;
        lose(way, -VINE_ECLOSED, false);
        vine_work_post(&way->go_on);
    }
    look_at_stop(core);
}

/* Returns 0, or -VINE_ECLOSED: it stops. */
static int start(struct core *core)
{
    if (core->is_started)
        return core->is_stopping ? -VINE_ECLOSED : 0;
    core->is_stopping = false;
    vine__list_init(&core->ways);
    if (!vine__at_stop_last(&core->stopper, stop))
        return -VINE_ECLOSED;
    core->is_started = true;
    return 0;
}

static int create(struct core *core, uint32_t remote)
{
    bool is_known;
    const char *const address = vine__remote_address(remote, &is_known);
    struct vine__way *const way = is_known ? vine__closed_alloc(sizeof(*way)) : NULL;

    if (way == NULL)
        return is_known ? -ENOMEM : -EINVAL;
    way->remote = remote;
    way->address = address;
    way->polled = (struct vine__polled){
        .poll = poll_way, .look = look_at_way, .lie_down = lie_down, .get_up = get_up};
    vine__list_init(&way->waiting);
    vine__list_init(&way->using);
    vine_work_init(&way->go_on, go_on);
    vine_work_init(&way->errand_over, errand_over);
    vine__list_push_back(&core->ways, &way->link);
    core->at[remote] = way;
    send_errand(way);
    return 0;
}

/* One that was idle for a while may have been lost meanwhile. */
static void look_whether_well(struct vine__way *way)
{
    const uint64_t now_ns = vine_clock_now(VINE_CLOCK_COARSE);

    if (way->pipe == NULL || way->is_errand_out || way->is_polled || now_ns == way->seen_ns)
        return;
    way->seen_ns = now_ns;

    const int error = vine_pipe_status(way->pipe);

    if (error != 0) {
        lose(way, error, true);
        vine_work_post(&way->go_on);
    }
}

void vine__way_ask(struct vine__way_user *user)
{
    struct core *const core = core_here();
    int error = start(core);

    if (error == 0 && (user->remote == 0 || user->remote > VINE_REMOTES_MAX))
        error = -EINVAL;
    if (error == 0 && core->at[user->remote] != NULL)
        look_whether_well(core->at[user->remote]);
    if (error == 0 && core->at[user->remote] == NULL)
        error = create(core, user->remote);
    if (error != 0) {
        user->ops->fail(user, error);
        return;
    }

    struct vine__way *const way = core->at[user->remote];

    user->way = way;
    user->is_waiting = true;
    vine__list_push_back(&way->waiting, &user->link);
    go_all(way);
}

void vine__way_leave(struct vine__way_user *user)
{
    struct vine__way *const way = user->way;

    if (way == NULL)
        return;
    forget(user);
    if (way->is_over || !vine__list_is_empty(&way->waiting))
        vine_work_post(&way->go_on);
}
