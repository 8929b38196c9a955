/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an appliance's descriptors tell: connections, handshakes, messages, deaths; and what no
 * descriptor tells.
 *
 * Whatever arrives in floods is taken a few at a time, and charged to the pipe that it concerns:
 * a call here takes EVENTS_AT_ONCE events, an event of a pipe stands for one handshake or for the
 * few messages that a link reads at once. Events are told anew until they are dealt with, and those
 * told last time come last, so that none is passed over.
 */
#include <errno.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/wake/epoll.h"
#include "arch/wake/eventfd.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/leave.h"
#include "core/talk/message.h"
#include "utils/container_of.h"

#define EVENTS_AT_ONCE 8
#define LOOKED_AT_ONCE 64                       /* pipes */
#define STRANGERS_MAX  256                      /* connections that have not said hello */
#define HANDSHAKE_NS   (2 * VINE_NS_PER_SECOND) /* to say hello */

#define PIPE_OF(node) VINE_CONTAINER_OF(node, struct vine__served, link)

void vine__loop_end_pipe(struct vine__served *pipe, int error, const char *why)
{
    /* A link that got as far as operations closes what it has by itself. */
    if (pipe->state == VINE__SERVED_HANDSHAKE && pipe->link_to.operations == NULL &&
        pipe->link_to.socket_fd >= 0) {
        close(pipe->link_to.socket_fd);
        pipe->link_to.socket_fd = -1;
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

/* Before anything was said. */
static void refuse(struct vine_appliance *appliance, int fd, int error, const char *reason)
{
    vine__talk_send_reason(fd, VINE_TALK_REFUSE, error, reason);
    vine__count(&appliance->pipes_refused, 1);
    vine__appliance_tell(appliance, VINE_APPLIANCE_PIPE_REFUSED, NULL, error, reason);
    close(fd);
}

/* Why a connection is not taken now, with its sentence; 0: it is. Connections that others have and
 * those that are on their way to a part may exceed the bound a little. */
static int why_not(const struct vine_appliance *appliance, const char **ret_reason)
{
    const struct vine__common *common = appliance->common;
    const uint32_t count =
        vine__load_relaxed_u32(&common->pipe_count) + vine__load_relaxed_u32(&common->buried_count);
    const int suspended = -(int)vine__load_relaxed_u32(&common->suspended);

    if (count >= appliance->options.pipes_max) {
        *ret_reason = "it serves as many pipes as it may";
        return -VINE_EQUOTA;
    }
    *ret_reason = appliance->is_draining ? "it is shutting down" : "it takes no pipes at present";
    return appliance->is_draining ? -VINE_EDRAINING : suspended;
}

static void adopt(struct vine_appliance *appliance, int fd, bool is_awaited)
{
    const char *reason;
    const int error = why_not(appliance, &reason);

    if (error) {
        refuse(appliance, fd, error, reason);
        return;
    }

    struct vine__served *pipe = vine__served_create(appliance);

    if (pipe == NULL || vine__epoll_add(appliance->epoll_fd, fd, pipe) != 0) {
        close(fd);
        if (pipe != NULL)
            vine__served_end(pipe, -ENOMEM, "no memory for another pipe");
        return;
    }
    pipe->link_to.socket_fd = fd;
    if (is_awaited) {
        vine__served_await(pipe);
        return;
    }
    pipe->deadline_ns = vine__clock_now_ns() + HANDSHAKE_NS;
    /* Those who connect and say nothing make room for those who do. */
    if (appliance->stranger_count > STRANGERS_MAX)
        vine__loop_end_pipe(PIPE_OF(vine__list_first(&appliance->strangers)), -ETIMEDOUT,
                            "too many connections that say nothing");
}

void vine__serving_adopt(struct vine_appliance *appliance, int fd, bool is_awaited)
{
    adopt(appliance, fd, is_awaited);
    /* F3 pairs with F4: after it is a pipe. */
    (void)vine__fetch_sub_acq_rel_u32(&appliance->common->placed_count, 1);
}

void vine__events_place(struct vine_appliance *appliance, int fd, bool is_awaited)
{
    (void)vine__fetch_add_acq_rel_u32(&appliance->common->placed_count, 1);
    if (appliance->place != NULL)
        appliance->place(appliance->place_context, fd, is_awaited);
    else
        vine__serving_adopt(appliance, fd, is_awaited);
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
        vine__events_place(appliance, fd, false);
    }
}

/* What an application sent to the one before us says nothing to us. */
static bool is_stale(const struct vine__served *pipe, const union vine__talk_any *message)
{
    return pipe->is_awaited &&
           (message->head.type == VINE_TALK_WAKE || message->head.type == VINE_TALK_EXTENT);
}

/* The first message of a connection. Negative: refused, or closed by its application. */
static int shake_hands(struct vine__served *pipe)
{
    struct vine_appliance *appliance = pipe->appliance;
    const struct vine__grant grant = {
        .name = appliance->name,
        .channels_max = appliance->options.channels_max,
        .tasks_max = appliance->options.tasks_max,
        .memory_max_bytes = appliance->options.memory_max_bytes - vine__beside_halves(appliance),
        .generation = appliance->common->generation,
        .why = &pipe->why,
    };
    union vine__talk_any message;
    const int socket_fd = pipe->link_to.socket_fd;
    int fd = -1;

    VINE_ASSERT(socket_fd >= 0);

    int error = vine__talk_receive(socket_fd, &message, &fd, 0, &pipe->why);

    if (error == -EAGAIN)
        return 0;
    if (!error && is_stale(pipe, &message)) {
        if (fd >= 0)
            close(fd);
        return 0;
    }
    if (!error && message.head.type == VINE_TALK_BYE && pipe->is_awaited) {
        /* It closed its pipe before it found that this was left. */
        vine__why_say(&pipe->why, "the other side closed the pipe: %s", message.reason.text);
        error = vine__error_from_wire(message.reason.error, -VINE_ECLOSED);
    } else if (!error && message.head.type == VINE_TALK_TAKE_OVER && !pipe->is_awaited) {
        vine__epoll_remove(appliance->epoll_fd, socket_fd);
        error = vine__leave_begin(appliance, socket_fd, &pipe->why);
        if (!error) {
            pipe->link_to.socket_fd = -1;
            vine__served_leave(pipe);
            return 0;
        }
    } else if (!error && message.head.type != VINE_TALK_HELLO) {
        vine__why_say(&pipe->why, "message %u instead of a hello", message.head.type);
        error = -VINE_EPROTOCOL;
    }
    if (error) {
        if (fd >= 0)
            close(fd);
        vine__talk_send_reason(socket_fd, VINE_TALK_REFUSE, error, pipe->why.text);
        close(socket_fd);
        pipe->link_to.socket_fd = -1;
        return error;
    }
    error = vine__link_welcome(&pipe->link_to, &message.hello, fd, &grant, &pipe->agreement);
    close(fd);
    if (!error)
        error = vine__served_open(pipe);
    if (error)
        return error;
    if (pipe->link_to.pidfd >= 0)
        error = vine__epoll_add(appliance->epoll_fd, pipe->link_to.pidfd, pipe);
    vine__loop_activate(pipe);
    return error;
}

/* A pipe's socket or pidfd has something to say. */
static void hear(struct vine__served *pipe)
{
    const uint64_t start_ticks = vine__clock_ticks();
    int error = 0;

    pipe->why.text[0] = 0;
    if (pipe->state == VINE__SERVED_HANDSHAKE) {
        error = shake_hands(pipe);
    } else if (pipe->state == VINE__SERVED_OPEN &&
               pipe->heard_debt_ticks + pipe->debt_ticks <= pipe->appliance->turn_ticks) {
        error = pipe->link_to.operations->receive(&pipe->link_to, &pipe->why);
        if (error >= 0 && pipe->link_to.operations->peer_lost(&pipe->link_to)) {
            error = -VINE_EPEERLOST;
            vine__why_say(&pipe->why, "its process has ended");
        }
    }
    pipe->heard_debt_ticks += vine__elapsed(start_ticks, vine__clock_ticks());
    /* One that owes time is heard when it has paid, which the polling of active pipes sees to. */
    if (error < 0) {
        vine__loop_end_pipe(pipe, error, pipe->why.text);
    } else if (pipe->state == VINE__SERVED_OPEN) {
        vine__loop_activate(pipe);
        vine__served_see_growth(pipe);
    }
}

bool vine__events_hear(struct vine_appliance *appliance, uint64_t timeout_ns)
{
    struct vine__epoll_event events[EVENTS_AT_ONCE];
    uint64_t wakes;
    const int count = vine__epoll_wait(appliance->epoll_fd, events, EVENTS_AT_ONCE, timeout_ns);

    for (int i = 0; i < count; i++) {
        if (events[i].context == &appliance->event_fd)
            (void)!vine__eventfd_drain(appliance->event_fd, &wakes);
        else if (events[i].context == &appliance->listener)
            accept_pipes(appliance);
        else if (appliance->places != NULL && events[i].context == appliance->places)
            vine__served_look_links(appliance);
        else if (events[i].context == &appliance->leave_context)
            vine__leave_hear(appliance);
        else if (events[i].context == &appliance->taking_fd)
            vine__taking_hear(appliance);
        else
            hear(events[i].context);
    }
    return count == EVENTS_AT_ONCE;
}

static void look_at(struct vine__served *pipe)
{
    VINE_ASSERT(pipe->link_to.operations != NULL);
    pipe->seen_bytes = vine__quota_held(&pipe->quota);
    pipe->appliance->memory_seen += pipe->seen_bytes;
    vine__served_look_at_all(pipe);
    if (pipe->link_to.pidfd < 0 && pipe->link_to.operations->peer_lost(&pipe->link_to))
        vine__loop_end_pipe(pipe, -VINE_EPEERLOST, "its process has ended");
    else if (!pipe->is_active && vine__loop_has_work(pipe))
        vine__loop_activate(pipe);
}

bool vine__events_look_around(struct vine_appliance *appliance)
{
    const uint64_t now_ns = vine__clock_now_ns();
    struct vine__list *first;

    if (!appliance->is_looking) {
        appliance->is_looking = true;
        appliance->look++;
        appliance->memory_seen = 0;
        vine__jobs_remind(appliance);
    }
    if (appliance->is_deaf && appliance->listener.fd >= 0 && !appliance->is_listener_left)
        appliance->is_deaf =
            vine__epoll_add(appliance->epoll_fd, appliance->listener.fd, &appliance->listener) != 0;
    while ((first = vine__list_first(&appliance->strangers)) != NULL &&
           now_ns > PIPE_OF(first)->deadline_ns) {
        vine__talk_send_reason(PIPE_OF(first)->link_to.socket_fd, VINE_TALK_REFUSE, -VINE_EPROTOCOL,
                               "no hello came in time");
        vine__loop_end_pipe(PIPE_OF(first), -ETIMEDOUT, "no hello came in time");
    }
    /* Those that were looked at come last, and so do those that come meanwhile. */
    for (uint32_t i = 0; i < LOOKED_AT_ONCE; i++) {
        first = vine__list_first(&appliance->pipes);
        if (first == NULL || PIPE_OF(first)->look == appliance->look) {
            vine__store_relaxed_u64(&appliance->memory_bytes, appliance->memory_seen);
            appliance->is_looking = false;
            return false;
        }
        vine__list_remove(first);
        vine__list_push_back(&appliance->pipes, first);
        PIPE_OF(first)->look = appliance->look;
        if (PIPE_OF(first)->state == VINE__SERVED_OPEN)
            look_at(PIPE_OF(first));
    }
    return true;
}
