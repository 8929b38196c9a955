/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Waiting for tasks: who waits drains for all, or sleeps until the drainer has a turn for it.
 *
 * The drainer spins for a time that adapts to how long its waits take, then sleeps on the sequence
 * number of the next completion:
 *
 *   application: write `sleeping`; barrier; read slot     `stream`: membarrier, `sleepy`: a fence
 *   appliance:   write slot; [fence]; read `sleeping`
 *
 * A waiter that is not the drainer sleeps on `turn`, a word of this process:
 *
 *   waiter:      count itself in `waiters`; fence; read the task's life and `drain`
 *   drainer:     end the task, or let go of `drain`; fence; read `waiters`
 *
 * and so does a loop that waits for the pipe's descriptor: see descriptor.c.
 *
 * Every sleep ends after BACKSTOP_NS to see whether the appliance still lives, and sooner while a
 * message waits for room in a ring: the end of what is waited for may depend on it.
 */
#include <errno.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/futex.h"
#include "arch/wake/membarrier.h"
#include "core/ring/spin.h"
#include "core/talk/pipe_internal.h"

#define BACKSTOP_NS 100000000ULL
#define SEVERAL_NS  1000000ULL /* where completions may come from several channels */
#define EAGER_POLLS 64         /* of the ring, before each one is followed by a pause */

/* A wait: for a task, or for room in the channel. */
struct wait {
    const struct vine_task *task;
    uint64_t start_ticks;
    uint64_t deadline_ticks; /* UINT64_MAX: none */
    uint64_t spin_until_ticks;
    struct vine__spin spin;
};

static uint64_t later(uint64_t ticks, uint64_t more)
{
    return ticks + more < ticks ? UINT64_MAX : ticks + more;
}

static bool is_over(const struct vine__channel *channel, const struct wait *wait)
{
    if (wait->task != NULL) /* L2 pairs with L1 */
        return (vine__load_acquire_u32(&wait->task->life) & VINE__TASK_ENDED) != 0;
    return vine__channel_in_flight(channel) < channel->tasks_max;
}

static void begin(struct wait *wait, const struct vine__channel *channel, uint64_t timeout_ns)
{
    wait->start_ticks = vine__clock_ticks();
    wait->deadline_ticks = timeout_ns == VINE_FOREVER
                               ? UINT64_MAX
                               : later(wait->start_ticks, vine__clock_ns_to_ticks(timeout_ns));
    wait->spin_until_ticks = later(wait->start_ticks, vine__load_relaxed_u64(&channel->spin_ticks));
    if (wait->spin_until_ticks > wait->deadline_ticks)
        wait->spin_until_ticks = wait->deadline_ticks;
    if (vine__this_thread.spinner.yield_ticks == 0)
        vine__spinner_init(&vine__this_thread.spinner);
    if (!vine__spin_begin(&vine__this_thread.spinner, &wait->spin, wait->start_ticks))
        wait->spin_until_ticks = wait->start_ticks;
}

/* A look has found nothing. Returns whether to look again, or else to sleep. */
static bool spin_on(struct wait *wait, uint64_t now_ticks)
{
    if (now_ticks >= wait->spin_until_ticks)
        return false;
    if (vine__spin_step(&vine__this_thread.spinner, &wait->spin, now_ticks))
        return true;
    wait->spin_until_ticks = wait->start_ticks;
    return false;
}

/* A wait that was shorter than the longest spin was worth spinning for, and the next one may take
 * twice as long; each longer one halves what the next ones spin. */
static void adapt(struct vine__channel *channel, uint64_t took_ticks)
{
    const uint64_t most = channel->pipe->spin_ticks_max;
    uint64_t spin = vine__load_relaxed_u64(&channel->spin_ticks);

    if (took_ticks > most)
        spin = spin / 2 < most / 16 ? most / 16 : spin / 2;
    else if (2 * took_ticks > spin)
        spin = 2 * took_ticks < most ? 2 * took_ticks : most;
    else
        return;
    vine__store_relaxed_u64(&channel->spin_ticks, spin);
}

static void wake_waiters(struct vine__channel *channel)
{
    if (VINE__LIKELY(vine__load_relaxed_u32(&channel->waiters) == 0))
        return;
    (void)vine__fetch_add_acq_rel_u32(&channel->turn, 1); /* T1 pairs with T2 */
    (void)vine__futex_wake_private(&channel->turn, INT32_MAX);
}

static void tell_who_waits(struct vine__channel *channel)
{
    /* Between the ends of tasks, or of draining, and the look at who waits for them. */
    vine__fence_full();
    vine__pipe_tell_loop(channel->pipe);
    wake_waiters(channel);
}

void vine__channel_stop_draining(struct vine__channel *channel)
{
    VINE_ASSERT(vine__load_relaxed_u32(&channel->drain) == 1);
    vine__store_release_u32(&channel->drain, 0); /* K1 pairs with K2 */
    tell_who_waits(channel);
}

void vine__channel_stop_looking(struct vine__channel *channel)
{
    VINE_ASSERT(vine__load_relaxed_u32(&channel->drain) == 1);
    vine__store_release_u32(&channel->drain, 0); /* K1 pairs with K2 */
    vine__fence_full();
    wake_waiters(channel);
}

static uint64_t at_most(uint64_t remaining_ticks, uint64_t limit_ns)
{
    if (remaining_ticks == UINT64_MAX)
        return limit_ns;

    const uint64_t remaining_ns = vine__clock_ticks_to_ns(remaining_ticks);

    return remaining_ns < limit_ns ? remaining_ns : limit_ns;
}

/* About to sleep: for how long at most. */
static uint64_t before_sleep(struct vine_pipe *pipe)
{
    vine__pipe_flush(pipe);
    return vine__load_relaxed_u32(&pipe->kept_count) != 0 ? VINE__KEPT_NS : BACKSTOP_NS;
}

/* The drainer sleeps until a completion may have come. */
static void sleep_on_ring(struct vine__channel *channel, const struct wait *wait,
                          uint64_t timeout_ns)
{
    struct vine_pipe *pipe = channel->pipe;
    const struct vine__link_operations *operations = pipe->link.operations;
    const uint64_t waited_ns = vine__clock_ticks_to_ns(vine__clock_ticks() - wait->start_ticks);
    const uint32_t rings = vine__link_rings(&pipe->link);
    struct vine_spsc_consumer *ring = &channel->completions;
    const uint32_t *word = &pipe->mirror.layout->channels[channel->index].state;
    uint32_t old = 0;

    if (channel->has_completions) {
        vine__spsc_consumer_publish(ring);
        channel->sleeps = (channel->sleeps + 2) | 1;
        vine__store_relaxed_u32(&channel->ours->sleeping.value, channel->sleeps);
        if (!channel->is_stream || vine__membarrier_all() != 0)
            vine__fence_full();
        word = vine__spsc_next_word(ring);
        old = vine__spsc_old_word(ring);
    }
    if (!channel->has_completions || (vine__spsc_ready(ring) == 0 && vine__pipe_check(pipe) == 0 &&
                                      !vine__pipe_is_closed(pipe))) {
        if (operations->rest != NULL)
            operations->rest(&pipe->link, rings, waited_ns, timeout_ns);
        else
            (void)!vine__futex_wait_or_look(word, old, timeout_ns);
    }
    if (channel->has_completions)
        vine__store_relaxed_u32(&channel->ours->sleeping.value, 0);
}

/* The pipe is over: what is pending ends. Of one that is renewed it may go on. */
static void end_all(struct vine__channel *channel)
{
    if (vine__pipe_check(channel->pipe) != VINE__RENEWED_SOON)
        vine__channel_end_all(channel);
}

/* The caller drains. Returns when the wait is over, or its time, or the pipe is. */
static void drain_until(struct vine__channel *channel, struct wait *wait)
{
    struct vine_pipe *pipe = channel->pipe;
    bool is_new = true; /* the drainer before us may have ended our task */

    for (uint32_t polls = 0;; polls++) {
        const int taken = vine__channel_drain(channel);

        if ((is_new || taken != 0) && is_over(channel, wait))
            return;
        is_new = false;
        if (VINE__UNLIKELY(taken < 0 || vine__pipe_check(pipe) != 0)) {
            end_all(channel);
            return;
        }
        if (taken > 0) {
            vine__spin_found(&vine__this_thread.spinner, &wait->spin);
            tell_who_waits(channel);
            /* An appliance that writes completions without end lengthens no wait. */
            if (wait->deadline_ticks == UINT64_MAX || vine__clock_ticks() < wait->deadline_ticks)
                continue;
            return;
        }
        if (polls < EAGER_POLLS)
            continue;
        if (VINE__UNLIKELY(vine__pipe_is_closed(pipe)) && vine__pipe_look(pipe) != 0)
            continue;

        const uint64_t now_ticks = vine__clock_ticks();

        if (spin_on(wait, now_ticks))
            continue;
        if (now_ticks >= wait->deadline_ticks)
            return;
        sleep_on_ring(channel, wait,
                      at_most(wait->deadline_ticks == UINT64_MAX ? UINT64_MAX
                                                                 : wait->deadline_ticks - now_ticks,
                              before_sleep(pipe)));
        (void)vine__pipe_look_now_and_then(pipe, vine__clock_ticks());
    }
}

/* Another thread drains: it ends our task, or stops. */
static void wait_for_turn(struct vine__channel *channel, struct wait *wait)
{
    uint64_t now_ticks = vine__clock_ticks();

    while (spin_on(wait, now_ticks)) {
        if (is_over(channel, wait) || vine__load_relaxed_u32(&channel->drain) == 0)
            return;
        now_ticks = vine__clock_ticks();
    }
    if (now_ticks >= wait->deadline_ticks)
        return;

    const uint64_t limit_ns = before_sleep(channel->pipe);
    const uint32_t turn = vine__load_acquire_u32(&channel->turn); /* T2 pairs with T1 */

    (void)vine__fetch_add_acq_rel_u32(&channel->waiters, 1);
    vine__fence_full();
    if (!is_over(channel, wait) && vine__load_relaxed_u32(&channel->drain) != 0)
        (void)!vine__futex_wait_private(&channel->turn, turn,
                                        at_most(wait->deadline_ticks == UINT64_MAX
                                                    ? UINT64_MAX
                                                    : wait->deadline_ticks - now_ticks,
                                                limit_ns));
    (void)vine__fetch_sub_acq_rel_u32(&channel->waiters, 1);
}

int vine__channel_wait(struct vine__channel *channel, const struct vine_task *task,
                       uint64_t timeout_ns)
{
    struct wait wait = {.task = task};

    if (is_over(channel, &wait))
        return 0;
    if (vine__this_thread.called != NULL)
        return -EDEADLK;
    begin(&wait, channel, timeout_ns);
    for (;;) {
        if (vine__channel_try_drain(channel)) {
            drain_until(channel, &wait);
            vine__channel_stop_draining(channel);
        } else {
            wait_for_turn(channel, &wait);
        }

        const bool over = is_over(channel, &wait);

        if (over || vine__pipe_check(channel->pipe) != 0) {
            const uint64_t took_ticks = vine__clock_ticks() - wait.start_ticks;

            adapt(channel, took_ticks);
            vine__spin_found(&vine__this_thread.spinner, &wait.spin);
            if (over || task == NULL)
                return 0;
        }

        const uint64_t now_ticks = vine__clock_ticks();

        if (now_ticks >= wait.deadline_ticks)
            return -ETIMEDOUT;
        if (VINE__UNLIKELY(vine__pipe_check(channel->pipe) == VINE__RENEWED_SOON))
            (void)!vine__pipe_await(channel->pipe, at_most(wait.deadline_ticks == UINT64_MAX
                                                               ? UINT64_MAX
                                                               : wait.deadline_ticks - now_ticks,
                                                           BACKSTOP_NS));
    }
}

uint32_t vine__channel_poll(struct vine__channel *channel)
{
    struct vine_pipe *pipe = channel->pipe;

    vine__pipe_flush(pipe);
    if (!vine__channel_try_drain(channel))
        return 0;

    const uint64_t before = channel->ended;
    int status = vine__channel_drain(channel);

    if (status >= 0)
        status = vine__pipe_look_now_and_then(pipe, vine__clock_ticks());
    if (VINE__UNLIKELY(status < 0))
        end_all(channel);

    const uint64_t ended = channel->ended - before;

    vine__channel_stop_draining(channel);
    return (uint32_t)ended;
}

/* ---- whichever of several tasks ends first --------------------------------------------------- */

/* The first task that is over; -EAGAIN  none yet; -EINVAL  there are none. Also: the one channel of
 * all of them, or NULL. */
static int find_ended(struct vine_task *const *tasks, size_t count, size_t *ret_index,
                      struct vine__channel **ret_only)
{
    struct vine__channel *only = NULL;
    bool is_several = false;
    int error = -EINVAL;

    for (size_t i = 0; i < count; i++) {
        if (tasks[i] == NULL)
            continue;
        error = -EAGAIN;
        if (vine__task_is_over(tasks[i])) {
            *ret_index = i;
            return tasks[i]->status;
        }
        is_several |= only != NULL && only != tasks[i]->channel;
        only = tasks[i]->channel;
    }
    *ret_only = is_several ? NULL : only;
    return error;
}

static int poll_all(struct vine_task *const *tasks, size_t count)
{
    const struct vine__channel *polled = NULL;

    for (size_t i = 0; i < count; i++) {
        if (tasks[i] == NULL || tasks[i]->channel == polled)
            continue;
        if (vine__forked(tasks[i]->channel->pipe->generation))
            return -VINE_EFORK;
        polled = tasks[i]->channel;
        (void)vine__channel_poll(tasks[i]->channel);
        if (VINE__UNLIKELY(vine__pipe_check(polled->pipe) == VINE__RENEWED_SOON))
            (void)!vine__pipe_renew(tasks[i]->channel->pipe);
    }
    return 0;
}

/* Nothing came while we spun: sleep. Without a channel to sleep on, or with another thread draining
 * it, for a short time. */
static void sleep_a_while(struct vine_task *const *tasks, size_t count, const struct wait *wait,
                          uint64_t now_ticks)
{
    const uint64_t remaining_ticks =
        wait->deadline_ticks == UINT64_MAX ? UINT64_MAX : wait->deadline_ticks - now_ticks;
    struct vine__channel *only = NULL;
    struct vine__channel *channel = NULL;
    size_t index = 0;

    for (size_t i = 0; i < count && channel == NULL; i++)
        if (tasks[i] != NULL)
            channel = tasks[i]->channel;
    if (channel == NULL)
        return;
    if (vine__channel_try_drain(channel)) {
        /* The drainer before us may have ended one of them. */
        if (find_ended(tasks, count, &index, &only) == -EAGAIN)
            sleep_on_ring(
                channel, wait,
                at_most(remaining_ticks, only ? before_sleep(channel->pipe) : SEVERAL_NS));
        vine__channel_stop_draining(channel);
        return;
    }

    const uint32_t turn = vine__load_acquire_u32(&channel->turn); /* T2 pairs with T1 */

    (void)vine__fetch_add_acq_rel_u32(&channel->waiters, 1);
    vine__fence_full();
    if (find_ended(tasks, count, &index, &only) == -EAGAIN &&
        vine__load_relaxed_u32(&channel->drain) != 0)
        (void)!vine__futex_wait_private(&channel->turn, turn, at_most(remaining_ticks, SEVERAL_NS));
    (void)vine__fetch_sub_acq_rel_u32(&channel->waiters, 1);
}

int vine_task_wait_any(struct vine_task *const *tasks, size_t count, uint64_t timeout_ns,
                       size_t *ret_index)
{
    struct vine__channel *only = NULL;
    struct wait wait = {.task = NULL};
    int status = find_ended(tasks, count, ret_index, &only);
    bool has_begun = false;

    /* -EAGAIN is no way for a task to end: errno values do not cross. */
    while (status == -EAGAIN) {
        if (vine__this_thread.called != NULL)
            return -EDEADLK;

        const int error = poll_all(tasks, count);

        if (error)
            return error;
        status = find_ended(tasks, count, ret_index, &only);
        if (status != -EAGAIN)
            break;
        if (!has_begun) {
            for (size_t i = 0; only == NULL && i < count; i++)
                only = tasks[i] != NULL ? tasks[i]->channel : NULL;
            begin(&wait, only, timeout_ns);
            has_begun = true;
            continue;
        }

        const uint64_t now_ticks = vine__clock_ticks();

        if (now_ticks >= wait.deadline_ticks)
            return -ETIMEDOUT;
        if (!spin_on(&wait, now_ticks))
            sleep_a_while(tasks, count, &wait, now_ticks);
    }
    if (has_begun)
        vine__spin_found(&vine__this_thread.spinner, &wait.spin);
    return status;
}
