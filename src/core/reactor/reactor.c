/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The turn of the loop, in the order that vine/reactor.h promises, and the sleep between turns.
 */
#include "core/reactor/reactor_internal.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "arch/clock/clock.h"
#include "arch/guard/closed.h"
#include "arch/wake/eventfd.h"
#include "core/arena/arena.h"
#include "utils/atomic.h"
#include "utils/bits.h"

#define POLLED_AT_ONCE 256
#define QUOTA_NS       500000
#define BACKLOG_MAX    1000
#define STOP_LIMIT_NS  (10 * VINE_NS_PER_SECOND)
#define CLOCK_EVERY_NS 50000    /* the coarse clock is never older when a turn begins */
#define HEARD_MAX      16384    /* ends of operations that go before timers, where it was away */
#define LATE_NS        10000000 /* how much later than it would a loop may come back */
#define LONG_SLEEP_NS  1000000  /* after which a turn costs several times as much */

_Thread_local struct vine__reactor *vine__self __attribute__((tls_model("initial-exec")));

/* What those may ask, too, who cannot read a reactor's memory: coroutines. */
static _Thread_local struct {
    uint32_t core;
    uint32_t core_count;
} place;

uint32_t vine_core(void)
{
    VINE_ASSERT(vine__self != NULL);
    return place.core;
}

uint32_t vine_core_count(void)
{
    VINE_ASSERT(vine__self != NULL);
    return place.core_count;
}

bool vine_on_reactor(void)
{
    return vine__self != NULL;
}

struct vine__reactor *vine__reactor_self(void)
{
    return vine__self;
}

struct vine__poller *vine__reactor_poller(void)
{
    return vine__reactor_here()->poller;
}

struct vine__reactor *vine__reactor_enter(struct vine__reactor *reactor)
{
    struct vine__reactor *const before = vine__self;

    vine__self = reactor;
    if (reactor != NULL) {
        place.core = reactor->core;
        place.core_count = reactor->mesh->options.core_count;
    }
    return before;
}

/* ---- a turn ---------------------------------------------------------------------------------- */

uint64_t vine__reactor_clock_ns(const struct vine__reactor *reactor)
{
    return reactor->clock_ns != NULL ? *reactor->clock_ns : vine__clock_now_ns();
}

/* Reading the clock takes as long as the rest of an idle turn: it is read if timers go by it.
 * Returns whether the loop has been away, be it that a function blocked it or that the process was
 * stopped. */
static bool see_the_time(struct vine__reactor *reactor, uint64_t now_ticks)
{
    bool was_away;

    if (now_ticks - reactor->clock_ticks < reactor->clock_every_ticks &&
        !vine__timers_are_exact(reactor) && reactor->clock_ns == NULL)
        return false;
    reactor->now_ns = vine__reactor_clock_ns(reactor);
    reactor->clock_ticks = now_ticks;
    was_away =
        reactor->now_ns > reactor->back_by_ns && reactor->now_ns - reactor->back_by_ns > LATE_NS;
    reactor->back_by_ns = reactor->now_ns;
    return was_away;
}

/* Others had their turn since the reactor was made; that is no time away. */
static void begin_time(struct vine__reactor *reactor, uint64_t now_ticks)
{
    reactor->now_ns = vine__reactor_clock_ns(reactor);
    reactor->clock_ticks = now_ticks;
    reactor->back_by_ns = reactor->now_ns;
}

/* Take ends of operations, some hundreds at most. Of a loop that was away, deadlines have passed
 * meanwhile of which what they waited for had come: all that the kernel has goes before its timers.
 * That takes many turns where it is thousands. All at once they would have memory of the kernel's,
 * and buffers of ours, in use that no cache holds, and the loop would be away with them again.
 * Returns how many there were. */
static uint32_t hear(struct vine__reactor *reactor)
{
    uint32_t ended = 0;
    uint32_t more;

    do {
        more = vine__poller_poll(reactor->poller, POLLED_AT_ONCE - ended);
        ended += more;
    } while (VINE__UNLIKELY(reactor->to_hear > 0) && more > 0 && ended < POLLED_AT_ONCE);
    if (VINE__UNLIKELY(reactor->to_hear > 0))
        reactor->to_hear = more > 0 && reactor->to_hear > ended ? reactor->to_hear - ended : 0;
    reactor->counts.completions += ended;
    return ended;
}

/* What time it is, and what follows from that. */
static void look_around(struct vine__reactor *reactor, uint64_t now_ticks)
{
    if (VINE__UNLIKELY(see_the_time(reactor, now_ticks)) && reactor->to_hear == 0)
        reactor->to_hear = HEARD_MAX;
}

/* Returns whether there was anything that had to go home. */
static bool send_out(struct vine__reactor *reactor)
{
    const bool is_busy = vine__foreign_send(reactor);

    if (!reactor->mesh->options.is_polled) /* else nobody sleeps */
        vine__calls_wake_others(reactor);
    return is_busy;
}

static bool turn(struct vine__reactor *reactor, uint64_t now_ticks)
{
    bool is_busy = false;

    look_around(reactor, now_ticks);
    const uint64_t backlog_max =
        reactor->mesh->options.backlog_max + (reactor->to_hear > 0 ? HEARD_MAX : 0);

    /* Relaxed: who watches only sees whether it grows. */
    vine__store_relaxed_u64(&reactor->counts.turns, reactor->counts.turns + 1);
    /* Who cannot keep up takes nothing new. */
    if (VINE__LIKELY(reactor->backlog <= backlog_max)) {
        is_busy = hear(reactor) > 0;
        is_busy |= vine__calls_take(reactor);
        is_busy |= vine__aliens_take(reactor);
        is_busy |= vine__foreign_take(reactor);
        if (VINE__UNLIKELY(reactor->polled != NULL))
            is_busy |= vine__polled_poll(reactor, now_ticks);
    } else {
        /* What its work begins goes out all the same. */
        (void)vine__poller_flush(reactor->poller);
        reactor->to_hear = 0; /* nor do timers wait for what it does not take */
    }
    /* Blocks of ours that other cores have freed are no reason to stay awake. */
    (void)vine__arena_take_home();
    if (VINE__LIKELY(reactor->to_hear == 0))
        is_busy |= vine__timers_take(reactor);
    is_busy |= vine__work_run(reactor);
    (void)vine__arena_flush_remote();
    is_busy |= send_out(reactor);
    return is_busy;
}

/* Between two turns of a core that has nothing to do: a few looks at what comes most often. What
 * they find runs at once, as it would in a turn, since nothing is before it. */
static bool peek(struct vine__reactor *reactor)
{
    if (VINE__LIKELY(reactor->polled == NULL) ? !vine__calls_look(reactor, VINE__CALLS_LOOKS)
                                              : !vine__polled_look(reactor))
        return false;
    (void)send_out(reactor);
    return true;
}

/* The same for what has ended a long sleep. A turn would first look at all else, and none of that
 * is in the caches any more. */
static void go_on(struct vine__reactor *reactor)
{
    look_around(reactor, vine__clock_ticks());
    (void)vine__work_run(reactor);
    (void)send_out(reactor);
}

bool vine__reactor_peek(struct vine__reactor *reactor)
{
    struct vine__reactor *const before = vine__reactor_enter(reactor);
    const bool is_busy = reactor->active == 0 && peek(reactor);

    (void)vine__reactor_enter(before);
    return is_busy;
}

/* ---- sleep ----------------------------------------------------------------------------------- */

static uint64_t sleep_limit_ns(struct vine__reactor *reactor)
{
    const uint64_t next_ns = vine__timers_next_ns(reactor);
    const uint64_t now_ns = vine__reactor_clock_ns(reactor);
    const uint64_t limit_ns = reactor->polled != NULL ? reactor->polled_limit_ns : VINE_FOREVER;

    reactor->back_by_ns = vine__max_u64(next_ns, now_ns);
    if (next_ns == VINE_FOREVER)
        return limit_ns;
    return vine__min_u64(next_ns > now_ns ? next_ns - now_ns : 0, limit_ns);
}

uint64_t vine__reactor_idle_until(struct vine__reactor *reactor)
{
    if (reactor->active != 0 || vine__calls_are_there(reactor) || vine__aliens_are_there(reactor) ||
        vine__foreign_are_there(reactor))
        return vine__reactor_clock_ns(reactor);
    return vine__timers_next_ns(reactor);
}

/* Whoever watches has to hear of it, if he sleeps because all reactors did: that is_awake is 1. */
static void tell_watcher(struct vine__reactor *reactor)
{
    struct vine__watcher_bell *const bell = reactor->mesh->bell;

    if (bell == NULL)
        return;
    vine__fence_full(); /* W1 pairs with W2 */
    /* The exchange pairs with nothing: it decides which of several makes the system call. */
    if (vine__load_relaxed_u32(&bell->is_asleep) != 0 &&
        vine__exchange_acq_rel_u32(&bell->is_asleep, 0) != 0)
        (void)!vine__eventfd_signal(bell->fd);
}

/* Tell the others, and look whether something came before they knew. Returns whether it may sleep;
 * get_up comes after in any case. */
static bool lie_down(struct vine__reactor *reactor)
{
    /* Exchanges alone change the word, and they have no pair: messages are what is ordered. */
    (void)vine__exchange_acq_rel_u32(&reactor->mesh->inboxes[reactor->core].is_asleep, 1);
    vine__fence_full(); /* R2 pairs with R1 */
    return !vine__calls_are_there(reactor) && !vine__aliens_are_there(reactor) &&
           !vine__foreign_are_there(reactor) && !vine__reactor_has_stopped(reactor) &&
           (reactor->polled == NULL || vine__polled_lie_down(reactor));
}

static void get_up(struct vine__reactor *reactor)
{
    /* As in lie_down: no pair. */
    (void)vine__exchange_acq_rel_u32(&reactor->mesh->inboxes[reactor->core].is_asleep, 0);
    if (VINE__UNLIKELY(reactor->has_polled_down))
        vine__polled_get_up(reactor);
}

static void sleep_in_poller(struct vine__reactor *reactor)
{
    reactor->counts.completions +=
        vine__poller_sleep(reactor->poller, POLLED_AT_ONCE, sleep_limit_ns(reactor));
    reactor->counts.sleeps++;
}

static void fall_asleep(struct vine__reactor *reactor)
{
    uint64_t slept_ticks = 0;

    if (lie_down(reactor)) {
        const uint64_t before_ticks = vine__clock_ticks();

        vine__store_relaxed_u32(&reactor->is_awake, 0);
        sleep_in_poller(reactor);
        vine__store_relaxed_u32(&reactor->is_awake, 1);
        slept_ticks = vine__clock_ticks() - before_ticks;
        reactor->slept_ticks += slept_ticks;
        reactor->clock_ticks = before_ticks - reactor->clock_every_ticks; /* time has passed */
    }
    /* What has ended a long sleep goes before all else. The watcher is told after it: the system
     * call alone takes longer than all else that we do until then, when nothing is in the caches.
     * Work that blocks now he sees when he looks the next time by himself. */
    if (reactor->active != 0 && slept_ticks > reactor->long_sleep_ticks)
        go_on(reactor);
    get_up(reactor);
    tell_watcher(reactor);
}

bool vine__reactor_step(struct vine__reactor *reactor)
{
    struct vine__reactor *const before = vine__reactor_enter(reactor);

    get_up(reactor); /* if it dozed */
    const bool is_busy = turn(reactor, vine__clock_ticks());

    (void)vine__reactor_enter(before);
    return is_busy;
}

void vine__reactor_doze(struct vine__reactor *reactor)
{
    struct vine__reactor *const before = vine__reactor_enter(reactor);

    if (lie_down(reactor))
        sleep_in_poller(reactor);
    (void)vine__reactor_enter(before);
}

/* Nothing was there. Look around for a while that depends on what became of it the last times. */
static void idle(struct vine__reactor *reactor, uint64_t now_ticks)
{
    reactor->counts.idle_turns++;
    if (reactor->mesh->options.is_polled)
        return;
    if (!reactor->is_idle) {
        reactor->is_idle = true;
        reactor->idle_since_ticks = now_ticks;
        reactor->may_spin = vine__spin_begin(&reactor->spinner, &reactor->spin, now_ticks);
    }
    if (reactor->may_spin && now_ticks - reactor->idle_since_ticks < reactor->idle_poll_ticks) {
        reactor->may_spin = vine__spin_step(&reactor->spinner, &reactor->spin, now_ticks);
        return;
    }
    fall_asleep(reactor);
    reactor->is_idle = false;
}

bool vine__reactor_has_stopped(const struct vine__reactor *reactor)
{
    /* R6 pairs with R5. */
    return vine__load_acquire_u32(&reactor->mesh->has_stopped) != 0;
}

void vine__reactor_run(struct vine__reactor *reactor)
{
    struct vine__reactor *const before = vine__reactor_enter(reactor);

    uint64_t now_ticks = vine__clock_ticks();

    reactor->started_ticks = now_ticks;
    begin_time(reactor, now_ticks);
    vine__store_relaxed_u32(&reactor->is_awake, 1);
    tell_watcher(reactor);
    while (!vine__reactor_has_stopped(reactor)) {
        const uint64_t works = reactor->counts.works;

        if (!turn(reactor, now_ticks) && !peek(reactor)) {
            idle(reactor, now_ticks);
        } else if (reactor->is_idle) {
            vine__spin_found(&reactor->spinner, &reactor->spin);
            reactor->is_idle = false;
        }
        /* Reading the ticks takes as long as taking a message: work has just read them. */
        now_ticks = reactor->counts.works != works && reactor->clock_ns == NULL
                        ? reactor->worked_ticks
                        : vine__clock_ticks();
    }
    vine__store_relaxed_u32(&reactor->is_awake, 0);
    (void)vine__reactor_enter(before);
}

/* ---- set-up ---------------------------------------------------------------------------------- */

int vine__mesh_create(struct vine__mesh **ret_mesh, const struct vine__mesh_options *options)
{
    const size_t count = options->core_count;
    struct vine__mesh *mesh;

    if (count == 0 || count > VINE_CORES_MAX)
        return -EINVAL;
    mesh = vine__closed_alloc(sizeof(*mesh));
    if (mesh == NULL)
        return -ENOMEM;
    mesh->options = *options;
    if (mesh->options.task_quota_ns == 0)
        mesh->options.task_quota_ns = QUOTA_NS;
    if (mesh->options.backlog_max == 0)
        mesh->options.backlog_max = BACKLOG_MAX;
    if (mesh->options.stop_limit_ns == 0)
        mesh->options.stop_limit_ns = STOP_LIMIT_NS;
    mesh->pairs = vine__closed_alloc_lines(count * count * sizeof(*mesh->pairs));
    mesh->inboxes = vine__closed_alloc_lines(count * sizeof(*mesh->inboxes));
    if (mesh->pairs == NULL || mesh->inboxes == NULL) {
        vine__mesh_destroy(mesh);
        return -ENOMEM;
    }
    vine__group_init_mesh(mesh);
    *ret_mesh = mesh;
    return 0;
}

void vine__mesh_destroy(struct vine__mesh *mesh)
{
    if (mesh == NULL)
        return;
    if (mesh->inboxes != NULL)
        vine__foreign_end_mesh(mesh);
    vine__closed_free(mesh->pairs);
    vine__closed_free(mesh->inboxes);
    vine__closed_free(mesh);
}

int vine__mesh_exit_code(const struct vine__mesh *mesh)
{
    return mesh->exit_code;
}

static uint32_t add_lines(const void **ret_addresses, const void *from, size_t size_bytes)
{
    uint32_t count = 0;

    for (size_t at = 0; at < size_bytes; at += VINE_CACHE_LINE)
        ret_addresses[count++] = (const unsigned char *)from + at;
    return count;
}

#define TURN_BYTES  (offsetof(struct vine__reactor, groups) + sizeof(struct vine__group))
#define REST_BYTES  320 /* of code: fall_asleep, which goes on */
#define RUN_BYTES   512 /* most of what work.c takes to run something */
#define POST_BYTES  192 /* and to post it */
#define FETCH_LINES ((TURN_BYTES + REST_BYTES + RUN_BYTES + POST_BYTES) / VINE_CACHE_LINE + 4)
VINE_STATIC_ASSERT(FETCH_LINES <= VINE__POLL_FETCHED_MAX, "all of it is fetched");

/* What lies between an operation that has ended a long sleep and the work that it posts. */
static void fetch_after_sleep(struct vine__reactor *reactor)
{
    const void *addresses[FETCH_LINES] = {(const void *)(uintptr_t)see_the_time,
                                          (const void *)(uintptr_t)vine__clock_now_ns};
    uint32_t count = 2;

    count += add_lines(addresses + count, (const void *)(uintptr_t)fall_asleep, REST_BYTES);
    count += add_lines(addresses + count, (const void *)(uintptr_t)vine__work_run, RUN_BYTES);
    count += add_lines(addresses + count, (const void *)(uintptr_t)vine__work_post_to, POST_BYTES);
    count += add_lines(addresses + count, reactor, TURN_BYTES);
    addresses[count++] = reactor->mesh;
    vine__poller_fetch_after_sleep(reactor->poller, addresses, count);
}

int vine__reactor_create(struct vine__reactor **ret_reactor, struct vine__mesh *mesh, uint32_t core,
                         struct vine__poller *poller)
{
    const struct vine__mesh_options *const options = &mesh->options;
    struct vine__reactor *const reactor = vine__closed_alloc(sizeof(*reactor));

    VINE_ASSERT(core < options->core_count && mesh->reactors[core] == NULL);
    if (reactor == NULL) {
        vine__poller_destroy(poller);
        return -ENOMEM;
    }
    reactor->magic = VINE__REACTOR_MAGIC;
    reactor->mesh = mesh;
    reactor->poller = poller;
    reactor->core = core;
    reactor->clock_ns = options->clock_ns;
    reactor->quota_ticks = options->clock_ns != NULL
                               ? options->task_quota_ns
                               : vine__clock_ns_to_ticks(options->task_quota_ns);
    reactor->idle_poll_ticks = vine__clock_ns_to_ticks(options->idle_poll_ns);
    reactor->clock_every_ticks = vine__clock_ns_to_ticks(CLOCK_EVERY_NS);
    reactor->long_sleep_ticks = vine__clock_ns_to_ticks(LONG_SLEEP_NS);
    reactor->random = options->shuffle_seed != 0 ? options->shuffle_seed + core : 0;
    reactor->group = 0;
    vine__spinner_init(&reactor->spinner);
    vine__timers_init(reactor);
    vine__work_init_groups(reactor);
    vine__foreign_init(reactor);
    const int error = vine__calls_init(reactor);

    if (error != 0) {
        vine__reactor_destroy(reactor);
        return error;
    }
    mesh->reactors[core] = reactor;
    fetch_after_sleep(reactor);
    *ret_reactor = reactor;
    return 0;
}

void vine__reactor_destroy(struct vine__reactor *reactor)
{
    if (reactor == NULL)
        return;
    VINE_ASSERT(reactor->magic == VINE__REACTOR_MAGIC);
    vine__aliens_refuse(reactor);
    /* What ends now still posts its work here, where nobody calls it any more. Destructors may
     * begin operations, as of a file that they close: the poller is there until they have. */
    struct vine__reactor *const before = vine__reactor_enter(reactor);

    vine__foreign_fini(reactor);
    vine__poller_destroy(reactor->poller);
    (void)vine__reactor_enter(before != reactor ? before : NULL);
    vine__calls_fini(reactor);
    reactor->mesh->reactors[reactor->core] = NULL;
    reactor->magic = 0;
    if (vine__self == reactor)
        vine__self = NULL;
    vine__closed_free(reactor);
}

void vine__reactor_get_counts(const struct vine__reactor *reactor,
                              struct vine__reactor_counts *ret_counts)
{
    const uint64_t now_ticks = vine__clock_ticks();

    *ret_counts = reactor->counts;
    ret_counts->slept_ns = vine__clock_ticks_to_ns(reactor->slept_ticks);
    ret_counts->awake_ns =
        vine__clock_ticks_to_ns(now_ticks - reactor->started_ticks - reactor->slept_ticks);
    ret_counts->backlog = reactor->backlog;
}
