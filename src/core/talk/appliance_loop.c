/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The serving loop: polls the rings of active pipes, runs short tasks, completes those that workers
 * ended, and sleeps when nothing moves.
 *
 * A pipe is active while its rings are polled. One that stayed idle is put to sleep: its epoch word
 * becomes odd, which asks the application to wake us, and the rings are looked at once more behind
 * a barrier, so that no submission falls between. Cost follows the number of active pipes.
 *
 *   application: write slot; [fence]; read epoch        the fence is the application's in `sleepy`
 *   loop:        write epoch; barrier; read slot        mode, and part of membarrier in `stream`
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "arch/wake/eventfd.h"
#include "arch/wake/futex.h"
#include "arch/wake/membarrier.h"
#include "core/ring/spin.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/message.h"
#include "utils/assert.h"
#include "utils/container_of.h"

#define EVENTS_AT_ONCE    64
#define EVENTS_EVERY_NS   20000                    /* a busy loop looks at its descriptors */
#define ACTIVE_NS         2000000                  /* an idle pipe is polled for so long */
#define HANDSHAKES_MAX    256                      /* connections that have not said hello */
#define HANDSHAKE_NS      (2 * VINE_NS_PER_SECOND) /* to say hello */
#define BACKSTOP_NS       VINE_NS_PER_SECOND       /* no sleep is longer */
#define BACKSTOP_NAMED_NS 100000000                /* where nobody tells of a death */

static uint64_t backstop(const struct vine_appliance *appliance)
{
    return appliance->named != NULL ? BACKSTOP_NAMED_NS : BACKSTOP_NS;
}

void vine__loop_activate(struct vine__served *pipe)
{
    if (pipe->is_active || pipe->state != VINE__SERVED_OPEN)
        return;
    pipe->is_active = true;
    pipe->busy_ticks = vine__clock_ticks();
    vine__list_push_back(&pipe->appliance->active, &pipe->active);
    vine__store_relaxed_u32(&pipe->half.layout->board.sleep_epoch.value, ++pipe->sleep_epoch);
}

/* Whether anything waits in a pipe's rings. */
static bool has_work(struct vine__served *pipe)
{
    if (vine__load_acquire_u32(&pipe->mirror.layout->board.channels.value) != pipe->channel_count)
        return true;
    for (uint32_t i = 0; i < pipe->channel_count; i++) {
        const int ready = vine__spsc_ready(&pipe->channels[i]->submissions);

        /* What cannot be taken, because its sender owes us room, is no work; nor what is behind a
         * submission that waits. */
        if (pipe->channels[i]->is_held)
            continue;
        if (ready < 0 || (ready > 0 && vine__served_has_room(pipe, pipe->channels[i]) != 0))
            return true;
    }
    return false;
}

/* Put to sleep the active pipes that were idle since `idle_since`. Returns whether all slept. */
static bool deactivate(struct vine_appliance *appliance, uint64_t idle_since)
{
    struct vine__list sleepers;
    bool is_stream = false;

    vine__list_init(&sleepers);
    for (struct vine__list *node = appliance->active.next; node != &appliance->active;) {
        struct vine__served *pipe = VINE_CONTAINER_OF(node, struct vine__served, active);

        node = node->next;
        if ((int64_t)(idle_since - pipe->busy_ticks) < 0)
            continue;
        vine__list_remove(&pipe->active);
        vine__list_push_back(&sleepers, &pipe->active);
        pipe->is_active = false;
        is_stream |= pipe->agreement.stream;
        for (uint32_t i = 0; i < pipe->channel_count; i++)
            vine__spsc_consumer_publish(&pipe->channels[i]->submissions);
        vine__store_relaxed_u32(&pipe->half.layout->board.sleep_epoch.value, ++pipe->sleep_epoch);
    }
    if (vine__list_is_empty(&sleepers))
        return vine__list_is_empty(&appliance->active);
    /* The barrier that the application's push pairs with. */
    vine__fence_full();
    if (is_stream)
        (void)!vine__membarrier_all();
    while (!vine__list_is_empty(&sleepers)) {
        struct vine__served *pipe =
            VINE_CONTAINER_OF(vine__list_first(&sleepers), struct vine__served, active);

        vine__list_remove(&pipe->active);
        if (has_work(pipe))
            vine__loop_activate(pipe);
    }
    return vine__list_is_empty(&appliance->active);
}

static void end_pipe(struct vine__served *pipe, int error, const char *why)
{
    if (pipe->state == VINE__SERVED_HANDSHAKE) {
        pipe->appliance->handshakes--;
        /* A link that got as far as operations closes what it has by itself. */
        if (pipe->link_to.operations == NULL && pipe->link_to.socket_fd >= 0) {
            close(pipe->link_to.socket_fd);
            pipe->link_to.socket_fd = -1;
        }
    }
    vine__served_end(pipe, error == -VINE_ECLOSED ? 0 : error, why);
}

/* A connection that we cannot take (no descriptors, no memory) stays in the queue and would wake us
 * without end: do not listen until we look around. */
static void turn_deaf(struct vine_appliance *appliance, int error)
{
    vine__appliance_log(appliance, VINE_LOG_WARNING, "cannot accept pipes for a while: %s",
                        vine_error_text(error));
    vine__epoll_remove(appliance->epoll_fd, appliance->listener.fd);
    appliance->is_deaf = true;
}

/* Those who connect and say nothing make room for those who do. */
static void drop_oldest_handshake(struct vine_appliance *appliance)
{
    for (struct vine__list *node = appliance->pipes.next; node != &appliance->pipes;
         node = node->next) {
        struct vine__served *pipe = VINE_CONTAINER_OF(node, struct vine__served, link);

        if (pipe->state == VINE__SERVED_HANDSHAKE) {
            end_pipe(pipe, -ETIMEDOUT, "too many connections that say nothing");
            return;
        }
    }
}

static void accept_pipes(struct vine_appliance *appliance)
{
    for (int i = 0; i < EVENTS_AT_ONCE; i++) {
        int fd = -1;
        const int error = vine__peer_accept(appliance->listener.fd, 0, &fd);

        if (error) {
            if (error != -EAGAIN)
                turn_deaf(appliance, error);
            return;
        }

        const bool is_full = appliance->pipe_count >= appliance->options.pipes_max;

        if (appliance->is_draining || is_full) {
            vine__talk_send_reason(fd, VINE_TALK_REFUSE, is_full ? -VINE_EQUOTA : -VINE_EDRAINING,
                                   is_full ? "it serves as many pipes as it may"
                                           : "it is shutting down");
            vine__count(&appliance->pipes_refused, 1);
            vine__appliance_tell(appliance, VINE_APPLIANCE_PIPE_REFUSED, NULL,
                                 is_full ? -VINE_EQUOTA : -VINE_EDRAINING,
                                 is_full ? "as many pipes as there may be" : "draining");
            close(fd);
            continue;
        }

        struct vine__served *pipe = vine__served_create(appliance);

        if (pipe == NULL || vine__epoll_add(appliance->epoll_fd, fd, pipe) != 0) {
            close(fd);
            if (pipe != NULL)
                vine__served_end(pipe, -ENOMEM, "no memory for another pipe");
            continue;
        }
        pipe->link_to.socket_fd = fd;
        pipe->deadline_ns = vine__clock_now_ns() + HANDSHAKE_NS;
        if (++appliance->handshakes > HANDSHAKES_MAX)
            drop_oldest_handshake(appliance);
    }
}

/* The first message of a connection. Negative: refused. */
static int shake_hands(struct vine__served *pipe)
{
    struct vine_appliance *appliance = pipe->appliance;
    const struct vine__grant grant = {
        .name = appliance->name,
        .channels_max = appliance->options.channels_max,
        .tasks_max = appliance->options.tasks_max,
        .memory_max_bytes = appliance->options.memory_max_bytes,
        .generation = appliance->generation,
        .why = pipe->why,
        .why_size = sizeof pipe->why,
    };
    union vine__talk_any message;
    const int socket_fd = pipe->link_to.socket_fd;
    int fd = -1;
    int error = vine__talk_receive(socket_fd, &message, &fd, 0, pipe->why, sizeof pipe->why);

    if (error == -EAGAIN)
        return 0;
    if (!error && message.head.type != VINE_TALK_HELLO) {
        (void)snprintf(pipe->why, sizeof pipe->why, "message %u instead of a hello",
                       message.head.type);
        error = -VINE_EPROTOCOL;
    }
    if (error) {
        if (fd >= 0)
            close(fd);
        vine__talk_send_reason(socket_fd, VINE_TALK_REFUSE, error, pipe->why);
        close(socket_fd);
        pipe->link_to.socket_fd = -1;
        return error;
    }
    error = vine__link_welcome(&pipe->link_to, socket_fd, &message.hello, fd, &grant, &pipe->half,
                               &pipe->mirror, &pipe->agreement);
    close(fd);
    if (!error)
        error = vine__served_open(pipe);
    if (error)
        return error;
    appliance->handshakes--;
    if (pipe->link_to.pidfd >= 0)
        error = vine__epoll_add(appliance->epoll_fd, pipe->link_to.pidfd, pipe);
    vine__loop_activate(pipe);
    return error;
}

/* A pipe's socket or pidfd has something to say. */
static void hear(struct vine__served *pipe)
{
    int error = 0;

    pipe->why[0] = 0;
    if (pipe->state == VINE__SERVED_HANDSHAKE) {
        error = shake_hands(pipe);
    } else if (pipe->state == VINE__SERVED_OPEN) {
        error = pipe->link_to.operations->receive(&pipe->link_to, pipe->why, sizeof pipe->why);
        if (!error && pipe->link_to.operations->peer_lost(&pipe->link_to)) {
            error = -VINE_EPEERLOST;
            (void)snprintf(pipe->why, sizeof pipe->why, "its process has ended");
        }
        if (!error)
            vine__loop_activate(pipe);
    }
    if (error)
        end_pipe(pipe, error, pipe->why);
}

static void hear_events(struct vine_appliance *appliance, uint64_t timeout_ns)
{
    struct vine__epoll_event events[EVENTS_AT_ONCE];
    uint64_t wakes;
    const int count = vine__epoll_wait(appliance->epoll_fd, events, EVENTS_AT_ONCE, timeout_ns);

    for (int i = 0; i < count; i++) {
        if (events[i].context == &appliance->event_fd)
            (void)!vine__eventfd_drain(appliance->event_fd, &wakes);
        else if (events[i].context == &appliance->listener)
            accept_pipes(appliance);
        else
            hear(events[i].context);
    }
}

/* What no event tells: handshakes that take too long, deaths where there is no pidfd, rings of
 * pipes that sleep. Every BACKSTOP_NS. */
static void look_around(struct vine_appliance *appliance, uint64_t now_ns)
{
    uint64_t memory_bytes = 0;

    if (appliance->is_deaf && appliance->listener.fd >= 0)
        appliance->is_deaf =
            vine__epoll_add(appliance->epoll_fd, appliance->listener.fd, &appliance->listener) != 0;
    for (struct vine__list *node = appliance->pipes.next; node != &appliance->pipes;) {
        struct vine__served *pipe = VINE_CONTAINER_OF(node, struct vine__served, link);

        node = node->next;
        if (pipe->state == VINE__SERVED_HANDSHAKE && now_ns > pipe->deadline_ns) {
            vine__talk_send_reason(pipe->link_to.socket_fd, VINE_TALK_REFUSE, -VINE_EPROTOCOL,
                                   "no hello came in time");
            end_pipe(pipe, -ETIMEDOUT, "no hello came in time");
        } else if (pipe->state == VINE__SERVED_OPEN) {
            memory_bytes += pipe->half.size_bytes + pipe->mirror.size_bytes;
            if (pipe->link_to.pidfd < 0 && pipe->link_to.operations->peer_lost(&pipe->link_to))
                end_pipe(pipe, -VINE_EPEERLOST, "its process has ended");
            else if (!pipe->is_active && has_work(pipe))
                vine__loop_activate(pipe);
        }
    }
    vine__store_relaxed_u64(&appliance->memory_bytes, memory_bytes);
}

static bool poll_active(struct vine_appliance *appliance, uint64_t now_ticks)
{
    bool was_busy = false;

    for (struct vine__list *node = appliance->active.next; node != &appliance->active;) {
        struct vine__served *pipe = VINE_CONTAINER_OF(node, struct vine__served, active);

        node = node->next;

        const int taken = vine__served_poll(pipe, now_ticks);

        if (taken < 0) {
            end_pipe(pipe, taken, pipe->why);
        } else if (taken > 0) {
            pipe->busy_ticks = now_ticks;
            was_busy = true;
        }
    }
    return was_busy;
}

static void fall_asleep(struct vine_appliance *appliance)
{
    const uint32_t word = vine__load_acquire_u32(&appliance->event_word);
    const uint32_t named_word = vine__served_named_word(appliance);

    vine__store_relaxed_u32(&appliance->is_asleep, 1);
    vine__fence_full();
    if (vine__load_acquire_u32(&appliance->done_count) == 0 &&
        vine__load_acquire_u32(&appliance->event_word) == word &&
        deactivate(appliance, vine__clock_ticks())) {
        if (appliance->named != NULL)
            vine__served_wait_named(appliance, word, named_word, backstop(appliance));
        else
            hear_events(appliance, backstop(appliance));
    }
    vine__store_relaxed_u32(&appliance->is_asleep, 0);
}

static void begin_to_drain(struct vine_appliance *appliance)
{
    appliance->is_draining = true;
    if (appliance->listener.fd >= 0)
        vine__epoll_remove(appliance->epoll_fd, appliance->listener.fd);
    vine__peer_listener_close(&appliance->listener);
    vine__appliance_log(appliance, VINE_LOG_INFO, "draining: %llu tasks to end",
                        (unsigned long long)appliance->tasks_taken);
    vine__appliance_tell(appliance, VINE_APPLIANCE_DRAINING, NULL, 0, NULL);
}

static void cancel_all(struct vine_appliance *appliance)
{
    for (struct vine__list *node = appliance->pipes.next; node != &appliance->pipes;
         node = node->next)
        vine__jobs_cancel(VINE_CONTAINER_OF(node, struct vine__served, link));
}

/* All that was taken has ended: tell the applications, and let the workers go. */
static void end_all(struct vine_appliance *appliance)
{
    for (struct vine__list *node = appliance->pipes.next; node != &appliance->pipes;) {
        struct vine__served *pipe = VINE_CONTAINER_OF(node, struct vine__served, link);

        node = node->next;
        end_pipe(pipe, -VINE_EDRAINING, "the appliance has shut down");
    }
    vine__served_reap(appliance);
    pthread_mutex_lock(&appliance->jobs_lock);
    appliance->workers_end = true;
    pthread_cond_broadcast(&appliance->jobs_ready);
    pthread_mutex_unlock(&appliance->jobs_lock);
}

int vine_appliance_serve(struct vine_appliance *appliance)
{
    const uint64_t events_ticks = vine__clock_ns_to_ticks(EVENTS_EVERY_NS);
    const uint64_t active_ticks = vine__clock_ns_to_ticks(ACTIVE_NS);
    const uint64_t backstop_ticks = vine__clock_ns_to_ticks(backstop(appliance));
    uint64_t busy_ticks = vine__clock_ticks();
    uint64_t heard_ticks = 0;
    uint64_t looked_ticks = 0;
    struct vine_spinner spinner;
    struct vine__spin spin = {0};
    bool is_idle = false;
    bool may_spin = false;

    if (appliance->listener.fd < 0 && appliance->named == NULL)
        return -EINVAL;
    vine__spinner_init(&spinner);
    for (;;) {
        const uint64_t now_ticks = vine__clock_ticks();
        const uint32_t stops = vine__load_acquire_u32(&appliance->stops);
        bool is_busy = poll_active(appliance, now_ticks);

        is_busy |= vine__jobs_complete(appliance);
        if (vine__load_relaxed_u32(&appliance->worker_count) == 0 && appliance->tasks_taken > 0)
            is_busy |= vine__job_run_one(appliance, &appliance->scratch);
        if (VINE__UNLIKELY(now_ticks - heard_ticks > events_ticks)) {
            heard_ticks = now_ticks;
            hear_events(appliance, 0);
            if (appliance->named != NULL)
                vine__served_answer_named(appliance);
            if (now_ticks - looked_ticks > backstop_ticks) {
                looked_ticks = now_ticks;
                look_around(appliance, vine__clock_now_ns());
            }
            (void)deactivate(appliance, now_ticks - active_ticks);
        }
        vine__served_reap(appliance);
        if (VINE__UNLIKELY(stops > 0)) {
            if (!appliance->is_draining)
                begin_to_drain(appliance);
            if (stops > 1)
                cancel_all(appliance);
            /* Not that nothing comes any more: a flood does not keep us. */
            if (appliance->tasks_taken == 0)
                break;
        }
        if (is_busy) {
            if (is_idle)
                vine__spin_found(&spinner, &spin);
            is_idle = false;
            busy_ticks = now_ticks;
            continue;
        }
        if (!is_idle)
            may_spin = vine__spin_begin(&spinner, &spin, now_ticks);
        is_idle = true;
        if (may_spin && now_ticks - busy_ticks < appliance->spin_ticks) {
            may_spin = vine__spin_step(&spinner, &spin, now_ticks);
            continue;
        }
        fall_asleep(appliance);
        is_idle = false;
    }
    end_all(appliance);
    return 0;
}
