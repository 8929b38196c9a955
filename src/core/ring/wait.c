/* SPDX-License-Identifier: Apache-2.0 */
#include "core/ring/mpmc_layout.h"
#include "core/ring/spin.h"
#include "core/ring/wait_inline.h"
#include "core/ring/wait_internal.h"

#include "arch/clock/clock.h"
#include "arch/cpu/cpu.h"
#include "arch/wake/eventfd.h"
#include "arch/wake/futex.h"
#include "arch/wake/membarrier.h"
#include "utils/assert.h"
#include "utils/bits.h"

VINE_STATIC_ASSERT(sizeof(struct vine_sleep_line) == VINE_CACHE_LINE, "a line of its own");
VINE_STATIC_ASSERT(offsetof(struct vine_sleep_line, awaited) == 0, "layout");

#define SPIN_MIN_NS 1000    /* a budget that costs an idle side next to nothing */
#define SPIN_LOOKS  16      /* looks between two readings of the clock */
#define HELD_NS     2000000 /* a sleep behind a slot whose owner has stalled */

/* ---- setting up ------------------------------------------------------------------------------ */

enum vine_wait_mode vine_wait_mode_choose(enum vine_wait_mode wanted)
{
    if (wanted == VINE_WAIT_SLEEPY || vine__membarrier_register() != 0)
        return VINE_WAIT_SLEEPY;
    return VINE_WAIT_STREAM;
}

static int check_line(const struct vine_sleep_line *line, enum vine_wait_mode mode)
{
    if (!line || (uintptr_t)line % VINE_CACHE_LINE != 0)
        return -EINVAL;
    if (mode == VINE_WAIT_STREAM)
        return vine__membarrier_register();
    return mode == VINE_WAIT_AUTO || mode == VINE_WAIT_SLEEPY ? 0 : -EINVAL;
}

static void init_waiter(struct vine_waiter *waiter, struct vine_sleep_line *line,
                        const struct vine_wait_options *options)
{
    const uint64_t spin_ns = options->spin_ns ? options->spin_ns : VINE_WAIT_SPIN_NS;

    *waiter = (struct vine_waiter){
        .line = line,
        .alive = options->alive,
        .alive_context = options->alive_context,
        .backstop_ns = options->backstop_ns ? options->backstop_ns : VINE_WAIT_BACKSTOP_NS,
        .spin_max_ticks = spin_ns == 1 ? 0 : vine__clock_ns_to_ticks(spin_ns),
        .is_stream = options->mode == VINE_WAIT_STREAM,
    };
    waiter->spin_min_ticks =
        vine__min_u64(vine__clock_ns_to_ticks(SPIN_MIN_NS), waiter->spin_max_ticks);
    /* Hope for a busy ring; a few sleeps on an idle one bring it down to the minimum. */
    waiter->spin_ticks = waiter->spin_max_ticks;
    vine__spinner_init(&waiter->spinner);
}

int vine_waiter_init(struct vine_waiter *waiter, struct vine_sleep_line *line,
                     const struct vine_wait_options *options)
{
    const struct vine_wait_options defaults = {.size_bytes = sizeof(defaults)};

    if (!options)
        options = &defaults;
    if (options->size_bytes != sizeof(defaults))
        return -EINVAL;

    const int error = check_line(line, options->mode);

    if (error)
        return error;
    init_waiter(waiter, line, options);
    return 0;
}

int vine_mpmc_waiter_init(struct vine_waiter *waiter, const struct vine_wait_options *options)
{
    const struct vine_wait_options defaults = {.size_bytes = sizeof(defaults)};

    if (!options)
        options = &defaults;
    if (options->size_bytes != sizeof(defaults) || options->mode == VINE_WAIT_STREAM)
        return -EINVAL;
    init_waiter(waiter, NULL, options);
    return 0;
}

int vine_waker_init(struct vine_waker *waker, const struct vine_sleep_line *line,
                    enum vine_wait_mode mode)
{
    const int error = check_line(line, mode);

    if (error)
        return error;
    *waker = (struct vine_waker){
        .line = line,
        .eventfd = -1,
        .is_stream = mode == VINE_WAIT_STREAM,
    };
    return 0;
}

void vine_waker_use_eventfd(struct vine_waker *waker, int fd)
{
    waker->eventfd = fd;
}

void vine_waker_use_call(struct vine_waker *waker, vine_wake_fn call, void *context)
{
    waker->call = call;
    waker->call_context = context;
}

/* ---- waking ---------------------------------------------------------------------------------- */

void vine__waker_wake(struct vine_waker *waker, const uint32_t *word)
{
    waker->wakes++;
    if (waker->call)
        waker->call(waker->call_context);
    else if (waker->eventfd >= 0)
        (void)!vine__eventfd_signal(waker->eventfd);
    else
        (void)vine__futex_wake(word, 1);
}

void vine_wake_consumer(struct vine_waker *waker, struct vine_spsc_producer *producer)
{
    vine__wake_consumer(waker, producer);
}

void vine_wake_producer(struct vine_waker *waker, struct vine_spsc_consumer *consumer)
{
    vine__wake_producer(waker, consumer);
}

/* ---- waiting --------------------------------------------------------------------------------- */

/* S1 and the fence. After it, `look` sees everything that was published by somebody who did not
 * see our line. */
void vine__wait_raise(struct vine_waiter *waiter, struct vine__wait_target *target)
{
    if (target->sleepers) {
        (void)vine__fetch_add_acq_rel_u32(&target->sleepers->count, 1);
        /* Before the look: an epoch that is raised after it is seen by the futex. Pairs with the
         * release of who raises it, in mpmc_wait.c. */
        target->expected = vine__load_acquire_u32(&target->sleepers->epoch);
    } else {
        vine__store_relaxed_u64(&waiter->line->awaited, target->awaited);
    }
    if (waiter->is_stream) {
        /* It was there when we registered, so that it cannot be missing now; if a filter was put
         * up meanwhile, the backstop is what remains. */
        (void)!vine__membarrier_all();
    }
    vine__fence_full();
}

void vine__wait_lower(struct vine_waiter *waiter, struct vine__wait_target *target)
{
    if (target->sleepers)
        (void)vine__fetch_sub_acq_rel_u32(&target->sleepers->count, 1);
    else
        vine__store_relaxed_u64(&waiter->line->awaited, 0);
}

/* Look for as long as it seems to pay. Returns what the last look said. */
static int spin(struct vine_waiter *waiter, uint64_t start, uint64_t timeout_ns,
                struct vine__wait_target *target)
{
    struct vine__spin spin;
    uint64_t budget = waiter->spin_ticks;
    uint64_t now = start;

    if (timeout_ns != VINE_FOREVER)
        budget = vine__min_u64(budget, vine__clock_ns_to_ticks(timeout_ns));
    if (budget == 0 || !vine__spin_begin(&waiter->spinner, &spin, start))
        return 0;
    do {
        for (int n = 0; n < SPIN_LOOKS; n++) {
            const int seen = target->look(target->end);

            if (seen != 0) {
                vine__spin_found(&waiter->spinner, &spin);
                return seen;
            }
            vine__cpu_relax();
        }
        now = vine__clock_ticks();
    } while (now - start < budget && vine__spin_step(&waiter->spinner, &spin, now));
    return target->look(target->end);
}

/* The rule: had we spun for as long as this wait took, would that have been within bounds? */
static void learn(struct vine_waiter *waiter, uint64_t waited_ticks)
{
    if (waited_ticks < waiter->spin_max_ticks)
        waiter->spin_ticks = vine__min_u64(2 * waiter->spin_ticks, waiter->spin_max_ticks);
    else
        waiter->spin_ticks = vine__max_u64(waiter->spin_ticks / 2, waiter->spin_min_ticks);
}

/* Sleep once, for at most `sleep_ns`. Returns what a look says afterwards; *ret_timed_out tells
 * whether nobody woke us. */
static int sleep_once(struct vine_waiter *waiter, uint64_t sleep_ns,
                      struct vine__wait_target *target, bool *ret_timed_out)
{
    int seen;
    int error = 0;

    vine__wait_raise(waiter, target);
    seen = target->look(target->end); /* S2 */
    if (seen == 0) {
        waiter->sleeps++;
        error = vine__futex_wait(target->word, target->expected, sleep_ns);
    }
    vine__wait_lower(waiter, target);
    if (seen == 0)
        seen = target->look(target->end);
    *ret_timed_out = seen == 0 && error == -ETIMEDOUT;
    if (seen == 0 && error != 0 && error != -ETIMEDOUT && error != -EINTR)
        return error;
    return seen;
}

static int sleep_until_seen(struct vine_waiter *waiter, uint64_t timeout_ns,
                            struct vine__wait_target *target)
{
    const uint64_t start_ns = vine__clock_now_ns();

    for (;;) {
        const uint64_t elapsed_ns = vine__clock_now_ns() - start_ns;
        bool timed_out;

        if (elapsed_ns >= timeout_ns)
            return -ETIMEDOUT;

        const uint64_t left_ns = timeout_ns - elapsed_ns;
        const bool is_held = target->is_held && target->is_held(target->end);
        const uint64_t sleep_ns = is_held ? HELD_NS : waiter->backstop_ns;
        const int seen = sleep_once(waiter, vine__min_u64(left_ns, sleep_ns), target, &timed_out);

        if (seen != 0)
            return seen;
        if (!timed_out)
            continue;
        if (is_held)
            return 1; /* the caller's next try counts against the holder's patience */
        waiter->backstops++;
        if (waiter->alive) {
            const int error = waiter->alive(waiter->alive_context);

            if (error)
                return error;
        }
    }
}

int vine__wait_for(struct vine_waiter *waiter, uint64_t timeout_ns,
                   struct vine__wait_target *target)
{
    int seen = target->look(target->end);

    if (seen == 0 && timeout_ns == 0)
        return -ETIMEDOUT;
    if (seen == 0) {
        const uint64_t start = vine__clock_ticks();

        waiter->waits++;
        seen = spin(waiter, start, timeout_ns, target);
        if (seen == 0) {
            seen = sleep_until_seen(waiter, timeout_ns, target);
            learn(waiter, vine__clock_ticks() - start);
        }
    }
    return seen > 0 ? 0 : seen;
}

static int look_for_message(void *end)
{
    return vine__spsc_ready((const struct vine_spsc_consumer *)end);
}

static int look_for_space(void *end)
{
    return vine__spsc_reserve((struct vine_spsc_producer *)end, 1);
}

static struct vine__wait_target message_target(struct vine_spsc_consumer *consumer)
{
    /* Nobody waits for us while we wait for them. */
    vine__spsc_consumer_publish(consumer);
    return (struct vine__wait_target){
        .end = consumer,
        .look = look_for_message,
        .awaited = consumer->position + 1,
        .word = vine__spsc_next_word(consumer),
        .expected = vine__spsc_old_word(consumer),
    };
}

/* Called when the ring is known to be full, so that consumed_seen is what is to change. */
static struct vine__wait_target space_target(struct vine_spsc_producer *producer)
{
    return (struct vine__wait_target){
        .end = producer,
        .look = look_for_space,
        .awaited = producer->consumed_seen + 1,
        .word = (const uint32_t *)(const void *)producer->consumed,
        .expected = (uint32_t)producer->consumed_seen,
    };
}

int vine_wait_message(struct vine_waiter *waiter, struct vine_spsc_consumer *consumer,
                      uint64_t timeout_ns)
{
    struct vine__wait_target target = message_target(consumer);

    return vine__wait_for(waiter, timeout_ns, &target);
}

int vine_wait_space(struct vine_waiter *waiter, struct vine_spsc_producer *producer,
                    uint64_t timeout_ns)
{
    const int room = vine__spsc_reserve(producer, 1);

    if (room != 0)
        return room > 0 ? 0 : room;

    struct vine__wait_target target = space_target(producer);

    return vine__wait_for(waiter, timeout_ns, &target);
}

static int arm(struct vine_waiter *waiter, struct vine__wait_target *target)
{
    int seen = target->look(target->end);

    if (seen == 0) {
        vine__wait_raise(waiter, target);
        seen = target->look(target->end);
        if (seen == 0)
            return 0;
        vine__wait_lower(waiter, target);
    }
    return seen > 0 ? -EALREADY : seen;
}

int vine_wait_arm_message(struct vine_waiter *waiter, struct vine_spsc_consumer *consumer)
{
    struct vine__wait_target target = message_target(consumer);

    return arm(waiter, &target);
}

int vine_wait_arm_space(struct vine_waiter *waiter, struct vine_spsc_producer *producer)
{
    const int room = vine__spsc_reserve(producer, 1);

    if (room != 0)
        return room > 0 ? -EALREADY : room;

    struct vine__wait_target target = space_target(producer);

    return arm(waiter, &target);
}

void vine_wait_disarm(struct vine_waiter *waiter)
{
    vine__store_relaxed_u64(&waiter->line->awaited, 0);
}

void vine_waiter_statistics(const struct vine_waiter *waiter,
                            struct vine_wait_statistics *ret_statistics)
{
    *ret_statistics = (struct vine_wait_statistics){
        .waits = waiter->waits,
        .sleeps = waiter->sleeps,
        .backstops = waiter->backstops,
        .crowded = waiter->spinner.crowded,
        .spin_ns = vine__clock_ticks_to_ns(waiter->spin_ticks),
    };
}
