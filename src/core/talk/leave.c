/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An appliance leaves its listener and its pipes to another process, which has asked for them.
 *
 * Each pipe goes by itself, when nothing of it is under way: no more is taken from its rings, what
 * was taken runs to its end, and its completions are written. Its socket is sent to the successor
 * first, and then its board says so to the application, which greets whoever has the socket now. In
 * between nobody reads the pipe, so that no task is begun twice; if one of the two processes is
 * lost there, so is the pipe, and that is told. Whoever has been greeted finds empty rings.
 * Sessions live here: a pipe that has some is served on until they end, or PATIENCE_NS are over.
 *
 * Until all has gone the listener is kept. So if the successor is lost first, this appliance goes
 * on with it and with the pipes that it still has.
 */
#include <errno.h>
#include <limits.h>
#include <unistd.h>

#include <vine/error.h>

#include "arch/clock/clock.h"
#include "arch/peer/identity.h"
#include "arch/wake/epoll.h"
#include "arch/wake/futex.h"
#include "arch/wake/membarrier.h"
#include "core/talk/appliance_internal.h"
#include "core/talk/message.h"
#include "utils/container_of.h"

#define PATIENCE_NS (5 * VINE_NS_PER_SECOND) /* with sessions */

#define PIPE_OF(node) VINE_CONTAINER_OF(node, struct vine__served, link)

/* ---- asked ----------------------------------------------------------------------------------- */

/* Why not, with its sentence; or 0. */
static int why_not(const struct vine_appliance *appliance, int fd, struct vine__why *why)
{
    struct vine__peer_credentials asker;
    struct vine__identity self;
    const int error = vine__peer_credentials(fd, &asker);

    if (error)
        return error;
    vine__identity_of_self(&self);
    if (!appliance->options.leaves || asker.uid != self.uid) {
        vine__why_say(why, "it leaves its pipes to nobody of user %u", asker.uid);
        return -VINE_EFAILED;
    }
    if (appliance->named != NULL || appliance->places != NULL) {
        vine__why_say(why, "what listens elsewhere than at a socket cannot be left");
        return -VINE_EFAILED;
    }
    if (appliance->is_draining || vine__load_relaxed_u32(&appliance->common->leaving) != 0) {
        vine__why_say(why, "it goes already");
        return -VINE_EDRAINING;
    }
    return 0;
}

static void wake_all(struct vine__common *common)
{
    for (uint32_t i = 0; i < vine__parts_count(common); i++) {
        struct vine_appliance *part = vine__part_at(common, i);

        if (part != NULL)
            vine__appliance_wake(part);
    }
}

int vine__leave_begin(struct vine_appliance *appliance, int fd, struct vine__why *why)
{
    struct vine__common *common = appliance->common;
    int error = why_not(appliance, fd, why);

    if (error)
        return error;
    pthread_mutex_lock(&common->leave_lock);
    error = common->leave_fd >= 0
                ? -VINE_EDRAINING
                : vine__epoll_add(appliance->epoll_fd, fd, &appliance->leave_context);
    if (!error) {
        common->leave_fd = fd;
        common->leave_ticks = vine__clock_ticks();
        /* F1 pairs with F2. */
        vine__store_release_u32(&common->leaving, 1);
    }
    pthread_mutex_unlock(&common->leave_lock);
    if (error)
        return error;
    vine__appliance_log(appliance, VINE_LOG_INFO, "leaving all pipes to another process");
    wake_all(common);
    return 0;
}

/* The successor is gone, before all was left to it: we stay. leave_lock is held. */
static void stay(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;

    if (common->leave_fd < 0)
        return;
    close(common->leave_fd);
    common->leave_fd = -1;
    vine__store_release_u32(&common->leaving, 0); /* F1 pairs with F2 */
    vine__appliance_log(appliance, VINE_LOG_WARNING,
                        "who was to be left all pipes is gone: those that are here stay");
}

void vine__leave_hear(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;
    union vine__talk_any message;
    struct vine__why why = {""};
    int fd = -1;
    bool stays = false;

    pthread_mutex_lock(&common->leave_lock);
    if (common->leave_fd >= 0 &&
        vine__talk_receive(common->leave_fd, &message, &fd, 0, &why) != -EAGAIN) {
        stay(appliance); /* it has nothing to say */
        stays = true;
    }
    pthread_mutex_unlock(&common->leave_lock);
    if (fd >= 0)
        close(fd);
    if (stays)
        wake_all(common);
}

/* Returns 0; -EAGAIN  it does not fit now; or why it cannot be. */
static int send(struct vine_appliance *appliance, uint16_t type, uint32_t flags, int fd)
{
    struct vine__common *common = appliance->common;
    const struct vine_talk_left message = {
        .head = VINE__TALK_HEAD(type, message),
        .flags = flags,
        .device = type == VINE_TALK_LISTENER ? appliance->listener.device : 0,
        .inode = type == VINE_TALK_LISTENER ? appliance->listener.inode : 0,
    };
    int error = -VINE_EPEERLOST;

    pthread_mutex_lock(&common->leave_lock);
    if (common->leave_fd >= 0)
        error = vine__talk_send(common->leave_fd, &message, fd, 0);
    if (error != 0 && error != -EAGAIN)
        stay(appliance);
    pthread_mutex_unlock(&common->leave_lock);
    return error;
}

/* ---- each part ------------------------------------------------------------------------------- */

/* Connections that were made before the listener went have found our process there, and say hello
 * to whoever has it: the kernel tells them who answers. Returns whether it has gone. */
static bool leave_listener(struct vine_appliance *appliance)
{
    if (appliance->is_listener_left || appliance->listener.fd < 0)
        return true;
    if (send(appliance, VINE_TALK_LISTENER, 0, appliance->listener.fd) != 0 ||
        send(appliance, VINE_TALK_LOCK, 0, appliance->listener.lock_fd) != 0)
        return false;
    if (!appliance->is_deaf)
        vine__epoll_remove(appliance->epoll_fd, appliance->listener.fd);
    appliance->is_deaf = false;
    appliance->is_listener_left = true;
    return true;
}

/* Wake whoever sleeps on its channels, for want of completions. */
static void wake_sleepers(struct vine__served *pipe)
{
    vine__fence_full();
    if (pipe->agreement.stream)
        (void)!vine__membarrier_all();
    for (uint32_t i = 0; i < pipe->channel_count; i++) {
        struct vine__served_channel *channel = pipe->channels[i];
        const struct vine_slot *next = vine__spsc_slot_at(&channel->completions, 0);

        if (vine__load_relaxed_u32(channel->peer_sleeping) != 0)
            (void)!vine__futex_wake((const uint32_t *)(const void *)&next->sequence, INT_MAX);
    }
    vine__link_wake(&pipe->link_to);
}

/* Returns whether it has gone. */
static bool leave_pipe(struct vine__served *pipe)
{
    const bool is_open = pipe->state == VINE__SERVED_OPEN;
    const bool is_greeted = is_open || pipe->is_awaited;

    if (send(pipe->appliance, VINE_TALK_PIPE, is_greeted ? VINE_TALK_PIPE_GREETED : 0,
             pipe->link_to.socket_fd) != 0)
        return false;
    if (is_open) {
        /* B5 pairs with B6: all that was begun is completed. */
        vine__store_release_u32(&pipe->half.layout->board.closed.value, VINE_TALK_LEFT);
        wake_sleepers(pipe);
    }
    vine__served_leave(pipe);
    return true;
}

/* Whether nothing of the pipe is under way any more. */
static bool is_quiet(struct vine__served *pipe, bool is_late)
{
    if (pipe->session_count > 0 && !is_late)
        return false;
    pipe->is_frozen = true;
    if (pipe->session_count > 0)
        vine__sessions_free(pipe);
    return pipe->jobs_taken == 0 && pipe->sessions_kept == 0;
}

static bool leave_pipes(struct vine_appliance *appliance)
{
    const uint64_t waited_ns =
        vine__clock_ticks_to_ns(vine__elapsed(appliance->common->leave_ticks, vine__clock_ticks()));
    bool is_busy = false;

    for (struct vine__list *node = appliance->pipes.next; node != &appliance->pipes;) {
        struct vine__served *pipe = PIPE_OF(node);

        node = node->next;
        if (pipe->state != VINE__SERVED_OPEN || !is_quiet(pipe, waited_ns > PATIENCE_NS))
            continue;
        if (pipe->agreement.renews)
            is_busy |= leave_pipe(pipe);
        else
            vine__loop_end_pipe(pipe, -VINE_EDRAINING, "the appliance has shut down");
    }
    return is_busy;
}

/* Those that have said nothing yet, and those that were left to us and have not come. */
static bool leave_strangers(struct vine__list *strangers)
{
    struct vine__list *first;
    bool is_busy = false;

    while ((first = vine__list_first(strangers)) != NULL && leave_pipe(PIPE_OF(first)))
        is_busy = true;
    return is_busy;
}

static void thaw(struct vine_appliance *appliance)
{
    VINE_LIST_FOR_EACH(node, &appliance->pipes)
    {
        PIPE_OF(node)->is_frozen = false;
        vine__loop_activate(PIPE_OF(node));
    }
    if (appliance->is_listener_left) {
        /* Who connects is to be told of us, not of the one that had it for a while. */
        (void)!vine__peer_listen_again(appliance->listener.fd);
        appliance->is_deaf = true; /* until the next look around */
    }
    appliance->is_listener_left = false;
    appliance->is_leaving = false;
}

/* Connections on their way to a part are read first: one that arrives is a pipe before it is no
 * more on its way. */
static bool is_all_left(const struct vine_appliance *appliance)
{
    return appliance->is_listener_left &&
           vine__load_acquire_u32(&appliance->common->placed_count) == 0 && /* F4 pairs with F3 */
           vine__load_acquire_u32(&appliance->common->pipe_count) == 0;
}

bool vine__leave_turn(struct vine_appliance *appliance)
{
    bool is_busy = false;

    /* F2 pairs with F1. */
    if (vine__load_acquire_u32(&appliance->common->leaving) == 0) {
        if (appliance->is_leaving)
            thaw(appliance);
        return false;
    }
    appliance->is_leaving = true;
    if (appliance->has_left || !leave_listener(appliance))
        return false;
    is_busy |= leave_strangers(&appliance->strangers);
    is_busy |= leave_strangers(&appliance->awaited);
    is_busy |= leave_pipes(appliance);
    if (is_all_left(appliance) && send(appliance, VINE_TALK_THAT_WAS_ALL, 0, -1) == 0) {
        appliance->has_left = true;
        vine__appliance_log(appliance, VINE_LOG_INFO, "all pipes are another process's");
        vine_appliance_stop(appliance);
    }
    return is_busy;
}
