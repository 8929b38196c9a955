/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A pipe as one descriptor among others, for programs with a loop of their own.
 *
 * The descriptor is an epoll set, which can be polled itself. In it are the pipe's socket, over
 * which the appliance wakes us, the pidfd of the appliance, and an eventfd by which other threads
 * of this process do. Who arms makes the sleep epoch on our board odd, as an appliance that sleeps
 * does on its own, and looks at all rings behind a barrier:
 *
 *   loop:        write epoch; barrier; read slots          `stream`: membarrier, `sleepy`: a fence
 *   appliance:   write slot; [fence]; read epoch; if it is odd and was not answered, send a wake
 *
 * One of the two sees the other: so what is published after the look is rung for, on channels, too,
 * that are opened meanwhile. While the epoch is even nobody is woken, and no system call is made.
 *
 * Three things that another thread does could take a wake from the loop, so it tells the loop of
 * each of them, by way of `is_armed`: it ends tasks; it lets go of a channel that the loop could
 * not look at; it reads the wake from the socket.
 *
 *   loop:        write is_armed; fence; try to take `drain`, read slots
 *   another:     end tasks, let go of `drain`, or have read a wake; fence; read is_armed
 *
 * A wake that the other one has read before its fence, and found nobody armed, was sent for slots
 * that the loop sees behind its own. tests/model/descriptor.pml has all of this.
 */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "arch/wake/eventfd.h"
#include "arch/wake/membarrier.h"
#include "core/talk/pipe_internal.h"
#include "utils/bits.h"

#define ROUNDS_MAX 4 /* of taking what has ended: callbacks may issue as fast as tasks end */

/* Where the appliance rings, to notice one that does not, though it says so. */
#define BACKSTOP_NS      100000000
#define BACKSTOP_MOST_NS VINE_NS_PER_SECOND

/* Where it does not, while tasks are in flight. Who waits longer looks less often: a wait becomes
 * longer by an eighth at most. */
#define LOOK_LEAST_NS 50000
#define LOOK_MOST_NS  2000000

#define RENEW_NS 10000000 /* until the appliance is looked for again */

void vine__descriptor_init(struct vine__descriptor *descriptor)
{
    *descriptor = (struct vine__descriptor){.epoll_fd = -1, .event_fd = -1};
    (void)pthread_mutex_init(&descriptor->lock, NULL);
}

void vine__descriptor_close(struct vine__descriptor *descriptor, bool in_child)
{
    if (descriptor->epoll_fd >= 0)
        close(descriptor->epoll_fd);
    if (descriptor->event_fd >= 0)
        close(descriptor->event_fd);
    descriptor->epoll_fd = -1;
    descriptor->event_fd = -1;
    if (!in_child)
        (void)pthread_mutex_destroy(&descriptor->lock);
}

static uint64_t count_ended(const struct vine_pipe *pipe, uint64_t *ret_in_flight)
{
    const uint32_t count = vine__load_acquire_u32(&pipe->channel_count); /* N2 pairs with N1 */
    uint64_t ended = 0;
    uint64_t in_flight = 0;

    for (uint32_t i = 0; i < count; i++) {
        ended += vine__load_relaxed_u64(&pipe->channels[i]->ended);
        in_flight += vine__channel_in_flight(pipe->channels[i]);
    }
    *ret_in_flight = in_flight;
    return ended;
}

static int watch(const struct vine_pipe *pipe, int epoll_fd, int event_fd)
{
    int error = vine__epoll_add(epoll_fd, event_fd, NULL);

    if (!error && pipe->link.socket_fd >= 0)
        error = vine__epoll_add(epoll_fd, pipe->link.socket_fd, NULL);
    if (!error && pipe->link.pidfd >= 0)
        error = vine__epoll_add(epoll_fd, pipe->link.pidfd, NULL);
    return error;
}

static int make(struct vine_pipe *pipe)
{
    struct vine__descriptor *descriptor = &pipe->descriptor;
    uint64_t in_flight;
    int epoll_fd = -1;
    int event_fd = -1;
    int error = vine__epoll_create(&epoll_fd);

    if (!error)
        error = vine__eventfd_create(&event_fd);
    if (!error)
        error = watch(pipe, epoll_fd, event_fd);
    if (error) {
        if (epoll_fd >= 0)
            close(epoll_fd);
        if (event_fd >= 0)
            close(event_fd);
        return error;
    }
    descriptor->epoll_fd = epoll_fd;
    descriptor->event_fd = event_fd;
    descriptor->ended = count_ended(pipe, &in_flight);
    descriptor->quiet_ticks = vine__clock_ticks();
    return 0;
}

int vine_pipe_descriptor(struct vine_pipe *pipe, int *ret_fd)
{
    int error = vine__pipe_ready(pipe);

    if (error)
        return error;
    pthread_mutex_lock(&pipe->descriptor.lock);
    if (pipe->descriptor.epoll_fd < 0)
        error = make(pipe);
    if (!error)
        *ret_fd = pipe->descriptor.epoll_fd;
    pthread_mutex_unlock(&pipe->descriptor.lock);
    return error;
}

int vine__descriptor_renew(struct vine_pipe *pipe, bool is_same_socket)
{
    struct vine__descriptor *descriptor = &pipe->descriptor;
    int error = 0;

    /* Closing the former ones has taken them out. */
    if (descriptor->epoll_fd >= 0 && !is_same_socket && pipe->link.socket_fd >= 0)
        error = vine__epoll_add(descriptor->epoll_fd, pipe->link.socket_fd, NULL);
    if (!error && descriptor->epoll_fd >= 0 && pipe->link.pidfd >= 0)
        error = vine__epoll_add(descriptor->epoll_fd, pipe->link.pidfd, NULL);
    return error;
}

void vine__pipe_tell_loop_slow(struct vine_pipe *pipe)
{
    /* Pairs with nothing: of several threads one signals. */
    if (vine__exchange_acq_rel_u32(&pipe->is_armed, 0) == 1)
        (void)!vine__eventfd_signal(pipe->descriptor.event_fd);
}

/* ---- arming; behind the descriptor's lock ---------------------------------------------------- */

static void say_awake(struct vine_pipe *pipe)
{
    struct vine__descriptor *descriptor = &pipe->descriptor;

    vine__store_relaxed_u32(&pipe->is_armed, 0);
    if ((descriptor->epoch & 1) != 0)
        vine__store_relaxed_u32(&pipe->half.layout->board.sleep_epoch.value, ++descriptor->epoch);
}

static void say_asleep(struct vine_pipe *pipe)
{
    struct vine__descriptor *descriptor = &pipe->descriptor;

    vine__store_relaxed_u32(&pipe->is_armed, 1);
    if (pipe->agreement.rings) {
        if ((descriptor->epoch & 1) == 0)
            descriptor->epoch++;
        vine__store_relaxed_u32(&pipe->half.layout->board.sleep_epoch.value, descriptor->epoch);
        if (pipe->is_stream)
            (void)!vine__membarrier_all();
    }
    /* Other threads of ours have a fence, whatever the appliance has. */
    vine__fence_full();
}

/* Whether a channel has completions. One that somebody else drains has none for us: whoever that is
 * tells us when it ends tasks, and when it lets go. */
static bool has_completions(struct vine__channel *channel)
{
    bool is_ready;

    if (!vine__channel_try_drain(channel))
        return false;
    is_ready = vine__channel_meet(channel) > 0 && vine__spsc_ready(&channel->completions) != 0;
    vine__channel_stop_looking(channel);
    return is_ready;
}

static bool is_anything_there(struct vine_pipe *pipe)
{
    /* Behind the fence: a channel that is not there yet has published nothing. N2 pairs with N1. */
    const uint32_t count = vine__load_acquire_u32(&pipe->channel_count);

    if (vine__pipe_check(pipe) != 0)
        return true;
    for (uint32_t i = 0; i < count; i++)
        if (has_completions(pipe->channels[i]))
            return true;
    return false;
}

/* Whether the loop was armed, and has nothing to look at still, nor to send again. */
static bool goes_on_sleeping(struct vine_pipe *pipe)
{
    struct vine__epoll_event event;

    return vine__load_relaxed_u32(&pipe->is_armed) != 0 &&
           vine__load_relaxed_u32(&pipe->kept_count) == 0 &&
           vine__epoll_wait(pipe->descriptor.epoll_fd, &event, 1, 0) == 0 &&
           vine__pipe_look_now_and_then(pipe, vine__clock_ticks()) == 0 && !is_anything_there(pipe);
}

static bool try_to_sleep(struct vine_pipe *pipe)
{
    say_asleep(pipe);
    if (!is_anything_there(pipe))
        return true;
    say_awake(pipe);
    return false;
}

/* How long to wait at most, and how many tasks have ended since the last time. */
static int account(struct vine_pipe *pipe, bool is_asleep, uint64_t *ret_timeout_ns)
{
    struct vine__descriptor *descriptor = &pipe->descriptor;
    const uint64_t now_ticks = vine__clock_ticks();
    uint64_t in_flight;
    const uint64_t ended = count_ended(pipe, &in_flight);
    const uint64_t count = ended - descriptor->ended;
    uint64_t timeout_ns;

    descriptor->ended = ended;
    if (count > 0 || now_ticks < descriptor->quiet_ticks)
        descriptor->quiet_ticks = now_ticks;

    const uint64_t quiet_ns = vine__clock_ticks_to_ns(now_ticks - descriptor->quiet_ticks);

    if (pipe->agreement.rings)
        timeout_ns = vine__min_u64(vine__max_u64(quiet_ns / 8, BACKSTOP_NS), BACKSTOP_MOST_NS);
    else if (in_flight > 0)
        timeout_ns = vine__min_u64(vine__max_u64(quiet_ns / 8, LOOK_LEAST_NS), LOOK_MOST_NS);
    else
        timeout_ns = BACKSTOP_NS;
    if (vine__load_relaxed_u32(&pipe->kept_count) != 0 && vine__pipe_check(pipe) == 0)
        timeout_ns = vine__min_u64(timeout_ns, VINE__KEPT_NS);
    *ret_timeout_ns = is_asleep ? timeout_ns : 0;
    return count < INT_MAX ? (int)count : INT_MAX;
}

/* Take what has come, of wakes and of completions. Not behind the lock: callbacks run. */
static int take_all(struct vine_pipe *pipe)
{
    uint64_t signals;

    /* Why the pipe is over, polling says. It may signal the eventfd, so that comes next. */
    (void)!vine__pipe_look(pipe);
    (void)!vine__eventfd_drain(pipe->descriptor.event_fd, &signals);

    const int ended = vine_pipe_poll(pipe);

    return ended < 0 ? ended : 0;
}

int vine_pipe_arm(struct vine_pipe *pipe, uint64_t *ret_timeout_ns)
{
    struct vine__descriptor *descriptor = &pipe->descriptor;
    bool is_asleep = false;
    int result = 0;

    if (vine__forked(pipe->generation))
        return -VINE_EFORK;
    if (vine__this_thread.called != NULL)
        return -EDEADLK;
    pthread_mutex_lock(&descriptor->lock);
    if (descriptor->epoll_fd < 0)
        result = -EINVAL;
    else
        is_asleep = goes_on_sleeping(pipe);
    for (int i = 0; i < ROUNDS_MAX && !is_asleep && result == 0; i++) {
        say_awake(pipe);
        pthread_mutex_unlock(&descriptor->lock);
        result = take_all(pipe);
        pthread_mutex_lock(&descriptor->lock);
        if (vine__pipe_check(pipe) == VINE__RENEWED_SOON)
            break;
        if (result == 0)
            is_asleep = try_to_sleep(pipe);
    }
    if (result == 0 && vine__pipe_check(pipe) == VINE__RENEWED_SOON) {
        result = account(pipe, true, ret_timeout_ns);
        *ret_timeout_ns = vine__min_u64(*ret_timeout_ns, RENEW_NS);
    } else if (result == 0)
        result = account(pipe, is_asleep, ret_timeout_ns);
    else if (descriptor->epoll_fd >= 0)
        (void)!vine__eventfd_signal(descriptor->event_fd); /* over: readable from here on */
    pthread_mutex_unlock(&descriptor->lock);
    return result;
}

void vine_pipe_disarm(struct vine_pipe *pipe)
{
    if (vine__forked(pipe->generation))
        return;
    pthread_mutex_lock(&pipe->descriptor.lock);
    say_awake(pipe);
    pthread_mutex_unlock(&pipe->descriptor.lock);
}
