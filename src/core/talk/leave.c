/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An appliance leaves its listener and its pipes to another process, which has asked for them.
 *
 * Each pipe goes by itself, when nothing of it is under way: no more is taken from its rings, what
 * was taken runs to its end, and its completions are written. Its socket is sent to the successor
 * first, and then its board says so to the application, which greets whoever has the socket now. In
 * between nobody reads the pipe, so that no task is begun twice; if one of the two processes is
 * lost there, so is the pipe, and that is told. Whoever has been greeted finds empty rings.
 *
 * Sessions live here: a pipe that has some is served on, with all its tasks, until they end. For
 * one that goes on for long others need not wait, and so further ones begin here as well, while any
 * is left of before; then, or when the time is nearly over (LAST_NS), they are sent back, and the
 * application keeps them until the pipe has gone. What has not ended when the time is over
 * (`leave_ns`) is told to end, and told as lost; who does not heed that for a while longer
 * (UNHEEDED_NS) takes the pipe with it.
 *
 * Until all has gone the listener is kept. So if the successor is lost first, this appliance goes
 * on with it and with the pipes that it still has. Those of which it has sent something back are
 * left once more, to itself: then their applications issue that anew.
 *
 * The successor may have one, too, and have left him the listener when it is lost. Two that listen
 * would never part again; so this appliance goes on only when whoever listened last has ended, or
 * has let go. Until then it serves what it has, and ends what would be left (LOST_NS later: who has
 * hung up may just be about to end).
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
#include "core/talk/leave.h"
#include "core/talk/message.h"
#include "utils/bits.h"
#include "utils/container_of.h"

#define LAST_NS     (5 * VINE_NS_PER_SECOND)
#define UNHEEDED_NS (5 * VINE_NS_PER_SECOND)
#define LOST_NS     VINE_NS_PER_SECOND
#define OWNER_NS    1000000 /* how often it is asked whose the listener is */

/* What `leaving` of all parts says while it is under way. */
enum { LEAVING_LISTENER = 1, LEAVING_PIPES, LEAVING_NOTHING, LEAVING_TO_NOBODY };

#define PIPE_OF(node) VINE_CONTAINER_OF(node, struct vine__served, link)

/* ---- asked ----------------------------------------------------------------------------------- */

/* Why not, with its sentence; or 0. */
static int why_not(const struct vine_appliance *appliance,
                   const struct vine__peer_credentials *asker, struct vine__why *why)
{
    struct vine__identity self;

    vine__identity_of_self(&self);
    if (!appliance->options.leaves || asker->uid != self.uid) {
        vine__why_say(why, "it leaves its pipes to nobody of user %u", asker->uid);
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
    struct vine__peer_credentials asker;
    int error = vine__peer_credentials(fd, &asker);

    if (!error)
        error = why_not(appliance, &asker, why);
    if (error)
        return error;
    pthread_mutex_lock(&common->leave_lock);
    error = common->leave_fd >= 0
                ? -VINE_EDRAINING
                : vine__epoll_add(appliance->epoll_fd, fd, &appliance->leave_context);
    if (!error) {
        common->leave_fd = fd;
        common->leave_former = asker.pid;
        vine__store_relaxed_u64(&common->leave_ticks, vine__clock_ticks());
        vine__store_relaxed_u32(&common->leave_number, common->leave_number + 1);
        /* F1 pairs with F2. */
        vine__store_release_u32(&common->leaving, LEAVING_LISTENER);
    }
    pthread_mutex_unlock(&common->leave_lock);
    if (error)
        return error;
    vine__appliance_log(appliance, VINE_LOG_INFO, "leaving all pipes to another process");
    wake_all(common);
    return 0;
}

/* The successor is gone: we stay, if not all was left to it before, and nobody else has the
 * listener. leave_lock is held. */
static void see_it_go(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;

    if (common->leave_fd < 0)
        return;
    close(common->leave_fd);
    common->leave_fd = -1;
    if (vine__load_relaxed_u32(&common->leaving) == LEAVING_NOTHING)
        return;
    vine__store_relaxed_u64(&common->lost_ticks, vine__clock_ticks());
    vine__store_release_u32(&common->leaving, LEAVING_TO_NOBODY); /* F1 pairs with F2 */
}

static uint64_t since_ns(const uint64_t *ticks)
{
    /* Relaxed: where that begins anew meanwhile, the next turn sees it. */
    return vine__clock_ticks_to_ns(
        vine__elapsed(vine__load_relaxed_u64(ticks), vine__clock_ticks()));
}

/* The part that has the listener: whether it is ours again. */
static void see_whose(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;

    if (appliance->listener.fd < 0 || since_ns(&appliance->owner_ticks) < OWNER_NS)
        return;
    appliance->owner_ticks = vine__clock_ticks();
    pthread_mutex_lock(&common->leave_lock);
    const bool is_ours = vine__peer_listener_is_free(&appliance->listener, common->leave_former);

    if (is_ours)
        vine__store_release_u32(&common->leaving, 0); /* F1 pairs with F2 */
    pthread_mutex_unlock(&common->leave_lock);
    if (!is_ours)
        return;
    vine__appliance_log(appliance, VINE_LOG_WARNING,
                        "who was to be left all pipes is gone: those that are here stay");
    wake_all(common);
}

void vine__leave_hear(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;
    union vine__talk_any message;
    struct vine__why why = {""};
    int fd = -1;
    bool is_gone = false;

    pthread_mutex_lock(&common->leave_lock);
    if (common->leave_fd >= 0 &&
        vine__talk_receive(common->leave_fd, &message, &fd, 0, &why) != -EAGAIN) {
        see_it_go(appliance); /* it has nothing to say */
        is_gone = true;
    }
    pthread_mutex_unlock(&common->leave_lock);
    if (fd >= 0)
        close(fd);
    if (is_gone)
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
    /* Another one may have asked since this part looked, and has no listener yet. */
    if (common->leave_fd >= 0 && (type == VINE_TALK_LISTENER || type == VINE_TALK_LOCK ||
                                  vine__load_relaxed_u32(&common->leaving) == LEAVING_PIPES))
        error = vine__talk_send(common->leave_fd, &message, fd, 0);
    else if (common->leave_fd >= 0)
        error = -EAGAIN;
    if (error != 0 && error != -EAGAIN)
        see_it_go(appliance);
    else if (error == 0 && (type == VINE_TALK_THAT_WAS_ALL || type == VINE_TALK_FORMER))
        vine__store_release_u32(&common->leaving, LEAVING_NOTHING); /* F1 pairs with F2 */
    pthread_mutex_unlock(&common->leave_lock);
    return error;
}

/* In the same message as whose place we take, if that one has some still: at each moment one of us
 * has that connection. */
static int say_all(struct vine_appliance *appliance)
{
    const int former_fd = appliance->taking_fd;
    const uint16_t type = former_fd >= 0 ? VINE_TALK_FORMER : VINE_TALK_THAT_WAS_ALL;
    const int error = send(appliance, type, 0, former_fd);

    if (error == 0 && former_fd >= 0)
        vine__taking_pass(appliance);
    return error;
}

bool vine__leave_end(struct vine_appliance *appliance)
{
    return !appliance->is_listener_left || appliance->taking_fd < 0 ||
           say_all(appliance) != -EAGAIN;
}

/* ---- each part ------------------------------------------------------------------------------- */

static bool is_to_nobody(const struct vine_appliance *appliance)
{
    /* F2 pairs with F1. */
    return vine__load_acquire_u32(&appliance->common->leaving) == LEAVING_TO_NOBODY;
}

/* Connections that were made before the listener went have found our process there, and say hello
 * to whoever has it: the kernel tells them who answers. Pipes come behind it, those of other parts,
 * too: who succeeds us waits for it first. Returns whether it has gone. */
static bool leave_listener(struct vine_appliance *appliance)
{
    struct vine__common *common = appliance->common;

    if (appliance->is_listener_left)
        return true;
    if (appliance->listener.fd < 0)
        return vine__load_acquire_u32(&common->leaving) == LEAVING_PIPES || /* F2 pairs with F1 */
               is_to_nobody(appliance);
    if (!appliance->is_listener_sent)
        appliance->is_listener_sent =
            send(appliance, VINE_TALK_LISTENER, 0, appliance->listener.fd) == 0;
    if (!appliance->is_listener_sent ||
        send(appliance, VINE_TALK_LOCK, 0, appliance->listener.lock_fd) != 0)
        return false;
    if (!appliance->is_deaf)
        vine__epoll_remove(appliance->epoll_fd, appliance->listener.fd);
    appliance->is_deaf = false;
    appliance->is_listener_left = true;
    pthread_mutex_lock(&common->leave_lock);
    if (common->leave_fd >= 0)
        vine__store_release_u32(&common->leaving, LEAVING_PIPES); /* F1 pairs with F2 */
    pthread_mutex_unlock(&common->leave_lock);
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

/* B5 pairs with B6: all that was begun is completed. */
static void say_left(struct vine__served *pipe)
{
    vine__store_release_u32(&pipe->half.layout->board.closed.value, VINE_TALK_LEFT);
    wake_sleepers(pipe);
}

/* Returns whether it has gone. */
static bool leave_pipe(struct vine__served *pipe)
{
    const bool is_open = pipe->state == VINE__SERVED_OPEN;
    const bool is_greeted = is_open || pipe->is_awaited;

    if (is_to_nobody(pipe->appliance)) {
        vine__loop_end_pipe(pipe, -VINE_EDRAINING, "another appliance serves at its address");
        return true;
    }
    if (send(pipe->appliance, VINE_TALK_PIPE, is_greeted ? VINE_TALK_PIPE_GREETED : 0,
             pipe->link_to.socket_fd) != 0)
        return false;
    if (is_open)
        say_left(pipe);
    vine__served_leave(pipe);
    return true;
}

/* ---- sessions -------------------------------------------------------------------------------- */

bool vine__leave_is_for_next(const struct vine_call *call,
                             const struct vine_wire_submission *submission)
{
    if (submission->session != 0)
        return !vine__session_is_known(call->pipe, submission->session);
    return call->has_after && call->pipe->has_sent_back; /* perhaps that one */
}

static uint64_t less(uint64_t first, uint64_t second)
{
    return first > second ? first - second : 0;
}

/* Of what goes on for long, as much as the time that is over allows. Returns whether it is told to
 * end. */
static bool see_time(struct vine__served *pipe, uint64_t now_ns)
{
    const uint64_t limit_ns = pipe->appliance->options.leave_ns;
    const bool is_nearly_over = now_ns >= less(limit_ns, vine__min_u64(LAST_NS, limit_ns / 2));

    if (pipe->session_count == pipe->sessions_late || is_nearly_over)
        pipe->sends_back = pipe->agreement.waits;
    if (now_ns >= limit_ns && !pipe->is_given_up) {
        pipe->is_given_up = true;
        vine__jobs_give_up(pipe);
        vine__sessions_free(pipe);
    }
    return pipe->is_given_up;
}

/* Whether nothing of the pipe is under way any more. */
static bool is_quiet(struct vine__served *pipe, uint64_t now_ns)
{
    if (!see_time(pipe, now_ns) && pipe->session_count > 0)
        return false;
    pipe->is_frozen = true;
    return pipe->jobs_taken == 0 && pipe->sessions_kept == 0;
}

/* Returns whether anything has gone. */
static bool leave_one(struct vine__served *pipe, uint64_t now_ns)
{
    if (!is_quiet(pipe, now_ns)) {
        if (pipe->is_given_up && now_ns >= pipe->appliance->options.leave_ns + UNHEEDED_NS)
            vine__loop_end_pipe(pipe, -VINE_EPEERLOST,
                                "another appliance takes over, and a task does not end");
        return false;
    }
    if (pipe->agreement.renews)
        return leave_pipe(pipe);
    vine__loop_end_pipe(pipe, -VINE_EDRAINING, "the appliance has shut down");
    return false;
}

static bool leave_pipes(struct vine_appliance *appliance)
{
    const uint64_t now_ns = since_ns(&appliance->common->leave_ticks);
    bool is_busy = false;

    for (struct vine__list *node = appliance->pipes.next; node != &appliance->pipes;) {
        struct vine__served *pipe = PIPE_OF(node);

        node = node->next;
        if (pipe->state == VINE__SERVED_OPEN)
            is_busy |= leave_one(pipe, now_ns);
    }
    return is_busy;
}

/* To ourselves: its application greets us anew. */
static void take_back(struct vine__served *pipe)
{
    struct vine_appliance *appliance = pipe->appliance;
    const int fd = pipe->link_to.socket_fd;

    say_left(pipe);
    vine__epoll_remove(appliance->epoll_fd, fd);
    pipe->link_to.socket_fd = -1;
    vine__served_leave(pipe);
    vine__events_place(appliance, fd, true);
}

static bool take_back_all(struct vine_appliance *appliance)
{
    const uint64_t now_ns = since_ns(&appliance->common->leave_ticks);
    bool is_any_left = false;
    bool is_busy = false;

    for (struct vine__list *node = appliance->pipes.next; node != &appliance->pipes;) {
        struct vine__served *pipe = PIPE_OF(node);

        node = node->next;
        if (pipe->state != VINE__SERVED_OPEN || !pipe->has_sent_back)
            continue;
        is_any_left = true;
        if (!is_quiet(pipe, now_ns))
            continue;
        take_back(pipe);
        is_busy = true;
    }
    appliance->is_returning = is_any_left;
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
        struct vine__served *pipe = PIPE_OF(node);

        pipe->is_frozen = false;
        pipe->is_given_up = false;
        pipe->sends_back = pipe->has_sent_back;
        appliance->is_returning |= pipe->has_sent_back;
        vine__loop_activate(pipe);
    }
    if (appliance->is_listener_left) {
        /* Who connects is to be told of us, not of the one that had it for a while. */
        (void)!vine__peer_listen_again(&appliance->listener);
        appliance->is_deaf =
            vine__epoll_add(appliance->epoll_fd, appliance->listener.fd, &appliance->listener) != 0;
    }
    appliance->is_listener_sent = false;
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
    const struct vine__common *common = appliance->common;
    bool is_busy = false;

    if (is_to_nobody(appliance))
        see_whose(appliance);

    /* F2 pairs with F1. */
    const bool is_asked = vine__load_acquire_u32(&common->leaving) != 0;
    const uint32_t number = vine__load_relaxed_u32(&common->leave_number);

    /* One may have gone, and another one have asked, since we looked. */
    if (appliance->is_leaving && (!is_asked || appliance->leave_number != number))
        thaw(appliance);
    if (!is_asked)
        return appliance->is_returning && take_back_all(appliance);
    appliance->leave_number = number;
    appliance->is_leaving = true;
    if (appliance->has_left || !leave_listener(appliance))
        return false;
    if (is_to_nobody(appliance) && since_ns(&common->lost_ticks) < LOST_NS)
        return false;
    is_busy |= leave_strangers(&appliance->strangers);
    is_busy |= leave_strangers(&appliance->awaited);
    is_busy |= leave_pipes(appliance);
    if (is_all_left(appliance) && (is_to_nobody(appliance) || say_all(appliance) == 0)) {
        appliance->has_left = true;
        vine__appliance_log(appliance, VINE_LOG_INFO, "all pipes are another process's");
        vine_appliance_stop(appliance);
    }
    return is_busy;
}
