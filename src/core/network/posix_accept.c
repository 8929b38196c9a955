/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Accepting on the kernel's sockets.
 *
 * Of a socket that several accept from each accepts one at a time. With a multishot operation it
 * would stay first in the kernel's queue of those who wait, and get nearly all that come; so it
 * goes to the end of the queue each time, and who is busy is not in it.
 *
 * Where all descriptors are in use, one that was kept is given up, so that the next one who comes
 * can be accepted and told. If it can be taken back then, there was room after all.
 */
#include "core/network/posix_internal.h"

#include <errno.h>

#include "arch/guard/closed.h"
#include "arch/net/socket.h"
#include "utils/atomic.h"
#include "utils/container_of.h"

/* Of those that have come when a part ends: so many are taken in all, and at once. */
#define QUEUED_MAX     4096
#define QUEUED_AT_ONCE 64U

/* A connection on its way to another core. */
struct posix_handed {
    struct vine_core_call call;
    struct posix_part *from;
    struct vine__listener_part *part; /* there */
    int fd;
    bool is_local;
};

static void on_accepted(struct vine__operation *operation, int32_t result, uint32_t flags);

/* ---- connections that have come -------------------------------------------------------------- */

/* Make a connection of it, on the core whose it will be. Returns 0; -VINE_ECLOSED: this core stops,
 * and the descriptor is still the caller's; or another error, with which it is closed. */
static int arrive(struct vine__listener_part *part, int fd, bool is_local)
{
    struct vine__network *network;
    const int error = vine__network_here(&network);

    if (error != 0) {
        if (error != -VINE_ECLOSED)
            vine__socket_close(fd);
        return error;
    }
    struct posix_connection *const connection =
        vine__posix_connection_create(network, fd, is_local, true);

    if (connection == NULL)
        return -ENOMEM;
    part->network = network;
    vine__listener_arrived(part, &connection->base);
    return 0;
}

static int64_t arrive_there(void *argument)
{
    const struct posix_handed *const handed = argument;

    return arrive(handed->part, handed->fd, handed->is_local);
}

static void look_at_end(struct posix_part *posix)
{
    if (posix->part->is_ending && !posix->is_accepting && !posix->takes_queued &&
        posix->handed == 0) {
        if (posix->spare >= 0)
            vine__socket_close(posix->spare);
        posix->spare = -1;
        vine__listener_part_ended(posix->part);
    }
}

static void take(struct posix_part *posix, int fd);

/* Cores stop one after the other, and one that has no connection any more would be the first to be
 * chosen. Whose core stops is chosen no more, and what came back from there goes elsewhere. */
static void see_handed(struct vine_core_call *call)
{
    struct posix_handed *const handed = VINE_CONTAINER_OF(call, struct posix_handed, call);
    struct posix_part *const posix = handed->from;
    const int64_t result = vine_core_call_result(call);
    const int fd = handed->fd;

    if (result != 0)
        vine__listener_unchoose(handed->part->core);
    if (result == -VINE_ECLOSED)
        handed->part->takes_none = true;
    else if (result != 0)
        posix->part->network->counts.refused++;
    posix->handed--;
    vine__closed_free(handed);
    if (result == -VINE_ECLOSED)
        take(posix, fd);
    look_at_end(posix);
}

static int hand_over(struct posix_part *posix, uint32_t core, int fd, bool is_local)
{
    struct posix_handed *const handed = vine__closed_alloc(sizeof(*handed));

    if (handed == NULL) {
        vine__socket_close(fd);
        return -ENOMEM;
    }
    handed->from = posix;
    handed->part = &posix->part->listener->parts[core];
    handed->fd = fd;
    handed->is_local = is_local;
    posix->handed++;
    vine_core_call(&handed->call, core, arrive_there, handed, see_handed);
    return 0;
}

static void take(struct posix_part *posix, int fd)
{
    struct vine__listener_part *const part = posix->part;
    const bool is_local = part->listener->address.any.sa_family == AF_UNIX;

    const uint32_t core = vine__listener_choose(part);
    const int error =
        core == part->core ? arrive(part, fd, is_local) : hand_over(posix, core, fd, is_local);

    if (error == -VINE_ECLOSED)
        vine__socket_close(fd);
    if (error != 0) {
        part->network->counts.refused++;
        vine__listener_unchoose(core);
    }
}

/* ---- accepting ------------------------------------------------------------------------------- */

/* Have one to give up, where that is wished for. Returns whether there was room for it. */
static bool keep_spare(struct posix_part *posix)
{
    if (posix->part->listener->shed == NULL || posix->spare >= 0)
        return true;
    return vine__socket_reserve(&posix->spare) == 0;
}

static void accept_next(struct posix_part *posix, bool is_multishot)
{
    posix->accept = (struct vine__operation){
        .fn = on_accepted,
        .kind = VINE__POLL_ACCEPT,
        .is_multishot = is_multishot,
        .fd = posix->fd,
        .flags = SOCK_CLOEXEC,
    };
    posix->is_accepting = true;
    vine__poller_begin(posix->part->network->poller, &posix->accept);
}

static void begin(struct posix_part *posix)
{
    accept_next(posix, keep_spare(posix) && posix->part->listener->given < 0);
}

/* One that has gone before it was accepted is no reason to rest. */
static bool may_accept_again(int result)
{
    return result >= 0 || result == -ECONNABORTED || result == -EPROTO;
}

/*
 * Who has connected before the end is not to be reset with the socket: those are taken that are
 * there, unless the reactors stop and nobody would look after them.
 */
static void take_queued(struct vine_work *work)
{
    struct posix_part *const posix = VINE_CONTAINER_OF(work, struct posix_part, queue_work);
    bool is_over = posix->part->network->is_stopping;

    for (uint32_t i = 0; i < QUEUED_AT_ONCE && !is_over; i++) {
        int fd;
        const int error = vine__socket_accept_now(posix->fd, &fd);

        if (error == 0)
            take(posix, fd);
        is_over = ++posix->queue_count == QUEUED_MAX || !may_accept_again(error);
    }
    if (!is_over) {
        vine_work_post(work);
        return;
    }
    posix->takes_queued = false;
    look_at_end(posix);
}

static void take_queued_soon(struct posix_part *posix)
{
    posix->takes_queued = true;
    vine_work_init(&posix->queue_work, take_queued);
    vine_work_post(&posix->queue_work);
}

static void rest(struct posix_part *posix)
{
    posix->is_resting = true;
    vine_timer_arm_after(&posix->rest, VINE_ACCEPT_REST_NS);
}

static void go_on(struct vine_timer *timer)
{
    struct posix_part *const posix = VINE_CONTAINER_OF(timer, struct posix_part, rest);

    posix->is_resting = false;
    begin(posix);
}

/* It has come where there is room for nobody. Returns whether its owner has it, who closes it. */
static bool shed(struct posix_part *posix, int fd)
{
    struct vine__network *const network = posix->part->network;
    const bool is_local = posix->part->listener->address.any.sa_family == AF_UNIX;
    struct posix_connection *const connection =
        vine__posix_connection_create(network, fd, is_local, false);

    if (connection == NULL) {
        network->counts.refused++;
        return false;
    }
    connection->base.is_shed = true;
    posix->shed = &connection->base;
    network->counts.shed++;
    vine__listener_arrived(posix->part, &connection->base);
    return true;
}

void vine__posix_shed_ended(struct vine_connection *connection)
{
    VINE_LIST_FOR_EACH(node, &connection->network->parts)
    {
        struct posix_part *const posix =
            VINE_LIST_OBJECT(node, struct vine__listener_part, link)->state;

        if (posix->shed != connection)
            continue;
        posix->shed = NULL;
        if (posix->is_resting && !posix->part->is_ending) {
            (void)vine_timer_cancel(&posix->rest);
            go_on(&posix->rest);
        }
    }
}

static void on_accepted(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct posix_part *const posix = VINE_CONTAINER_OF(operation, struct posix_part, accept);
    struct vine__network *const network = posix->part->network;
    const bool is_full = result == -EMFILE || result == -ENFILE;
    bool is_shed = false;

    if (result >= 0 && VINE__LIKELY(keep_spare(posix)))
        take(posix, result);
    else if (result >= 0)
        is_shed = shed(posix, result);
    if ((flags & VINE__POLL_MORE) != 0)
        return;
    posix->is_accepting = false;
    if (posix->part->is_ending) {
        take_queued_soon(posix);
    } else if (is_shed) {
        rest(posix); /* until it has gone */
    } else if (may_accept_again(result)) {
        begin(posix);
    } else if (is_full && posix->spare >= 0) {
        vine__socket_close(posix->spare);
        posix->spare = -1;
        accept_next(posix, false);
    } else {
        /* Descriptors or memory have run out, or something else may pass. Who connects waits. */
        network->counts.accept_rests++;
        rest(posix);
    }
}

void vine__posix_accept_begin(struct vine__listener_part *part)
{
    struct posix_part *const posix = part->state;

    vine_timer_init(&posix->rest, VINE_CLOCK_COARSE, go_on);
    begin(posix);
}

void vine__posix_accept_end(struct vine__listener_part *part)
{
    struct posix_part *const posix = part->state;

    (void)vine_timer_cancel(&posix->rest);
    if (posix->is_accepting)
        vine__poller_cancel(part->network->poller, &posix->accept);
    else
        take_queued_soon(posix);
}
