/* SPDX-License-Identifier: Apache-2.0 */
/* core/poll/outlet.c - the outside of a socket: what its connection receives and sends. */

#include <string.h>

#include "arch/guard/closed.h"
#include "core/network/network.h"
#include "core/poll/poll_internal.h"
#include "utils/atomic.h"

static struct vine__blocks *blocks_of(const struct vine__outlet *outlet)
{
    const struct vine__polling *const polling = vine__polling_of(outlet);

    return &polling->core->blocks[polling->colour];
}

static void look_at_end(struct vine__outlet *outlet);

struct vine_socket *vine__outlet_inside(const struct vine__outlet *outlet)
{
    return (void *)(vine__polling_of(outlet)->heap->region.start + outlet->place);
}

/* ---- receiving ------------------------------------------------------------------------------- */

void vine__outlet_came(struct vine__outlet *outlet, const unsigned char *bytes, int64_t size)
{
    outlet->has_received = true;
    outlet->has_end = size == 0;
    outlet->has_news |= size > 0;
    outlet->was_idle = false;
    outlet->received = (int32_t)size;
    if (size > 0) {
        outlet->received += (int32_t)outlet->kept;
        outlet->view_size = (uint32_t)outlet->received;
        if (outlet->kept == 0) /* else it came behind what was gathered, which is the view */
            outlet->view = bytes;
    }
}

void vine__outlet_lingered(struct vine__outlet *outlet, int64_t size)
{
    outlet->has_end |= size <= 0;
    outlet->lingered += size > 0 ? (uint32_t)size : 0;
    look_at_end(outlet);
}

static void received(struct vine_receive *receive)
{
    struct vine__outlet *const outlet = VINE_CONTAINER_OF(receive, struct vine__outlet, receive);
    struct vine__polling *const polling = vine__polling_of(outlet);

    outlet->is_receiving = false;
    if (outlet->is_over) {
        vine__outlet_lingered(outlet, receive->size);
        return;
    }
    vine__outlet_came(outlet, receive->bytes, receive->size);
    vine__polling_run(polling);
}

/* The block that is the view. */
static unsigned char *gathered_of(const struct vine__outlet *outlet)
{
    return (unsigned char *)(uintptr_t)outlet->view;
}

/* What the inside keeps has to lie in front of what comes: in a block of our own. */
static int gather(struct vine__outlet *outlet, uint32_t kept)
{
    struct vine_socket *const socket = vine__outlet_inside(outlet);
    unsigned char *block;

    if (kept > outlet->view_size || kept >= VINE__BLOCK_BYTES)
        return -EMSGSIZE;
    block = outlet->is_gathered ? gathered_of(outlet) : vine__block_take(blocks_of(outlet));
    if (block == NULL)
        return -ENOMEM;
    memmove(block, outlet->view + outlet->view_size - kept, kept);
    outlet->is_gathered = true;
    outlet->view = block;
    outlet->view_size = kept;
    /* It may go on reading that before more has come. */
    socket->in.bytes = block;
    socket->in.at = 0;
    socket->in.size = kept;
    return 0;
}

void vine__outlet_let_view_go(struct vine__outlet *outlet)
{
    if (outlet->is_gathered)
        vine__block_give(blocks_of(outlet), gathered_of(outlet));
    outlet->is_gathered = false;
    outlet->view = NULL;
    outlet->view_size = 0;
    outlet->kept = 0;
}

void vine__outlet_receive(struct vine__outlet *outlet, uint32_t kept)
{
    if (kept == 0) {
        vine__outlet_let_view_go(outlet);
        outlet->is_receiving = true;
        vine_receive(outlet->connection, &outlet->receive, received);
        return;
    }

    const int error = gather(outlet, kept);

    outlet->kept = error == 0 ? kept : 0;
    if (error != 0) {
        outlet->has_received = true;
        outlet->received = error;
        vine_work_post(&vine__polling_of(outlet)->work);
        return;
    }
    outlet->is_receiving = true;
    vine_receive_into(outlet->connection, &outlet->receive, gathered_of(outlet) + kept,
                      VINE__BLOCK_BYTES - kept, received);
}

void vine__outlet_spliced(struct vine__outlet *outlet)
{
    const bool is_wanted = outlet->is_wanted;

    outlet->is_spliced = false;
    outlet->is_wanted = false;
    if (is_wanted && !outlet->has_received && !outlet->is_over)
        vine__outlet_receive(outlet, 0);
}

/* ---- sending --------------------------------------------------------------------------------- */

int vine__outlet_written(struct vine__outlet *outlet, uint32_t block, uint32_t size)
{
    struct vine__blocks *const blocks = blocks_of(outlet);

    if (size > VINE__BLOCK_BYTES || block > VINE__LENT_MAX)
        return -VINE_ECORRUPT;
    if (block != 0) {
        if (outlet->written != NULL || blocks->lent[block - 1] == NULL)
            return -VINE_ECORRUPT;
        outlet->written = blocks->lent[block - 1];
        outlet->written_size = 0;
        blocks->lent[block - 1] = NULL;
        vine__polling_of(outlet)->core->lent_of = NULL;
    }
    if (outlet->written == NULL || size < outlet->written_size)
        return -VINE_ECORRUPT;
    outlet->written_size = size;
    return 0;
}

/* Most connections send nothing most of the time. */
static struct vine__sender *take_sender(struct vine__outlet *outlet)
{
    struct vine__polling_core *const core = vine__polling_of(outlet)->core;
    struct vine__sender *sender = core->senders;

    if (sender != NULL)
        core->senders = sender->next;
    else
        sender = vine__closed_alloc(sizeof(*sender));
    if (sender != NULL) {
        sender->outlet = outlet;
        sender->block = NULL;
    }
    return sender;
}

void vine__senders_fini(struct vine__polling_core *core)
{
    while (core->senders != NULL) {
        struct vine__sender *const sender = core->senders;

        core->senders = sender->next;
        vine__closed_free(sender);
    }
}

void vine__outlet_sent(struct vine__outlet *outlet)
{
    vine__outlet_send(outlet);
    if (VINE__UNLIKELY(vine__polling_of(outlet)->furthers != NULL))
        vine__splicings_look(outlet);
    if (outlet->is_over)
        look_at_end(outlet);
    else if (outlet->room.place != 0 || outlet->sent.place != 0 ||
             vine__polling_of(outlet)->is_done)
        vine__polling_run(vine__polling_of(outlet));
}

void vine__outlet_send_ended(struct vine_send *send)
{
    struct vine__sender *const sender = VINE_CONTAINER_OF(send, struct vine__sender, send);
    struct vine__outlet *const outlet = sender->outlet;
    struct vine__polling *const polling = vine__polling_of(outlet);
    const int error = send->error;

    if (sender->block != NULL)
        vine__block_give(blocks_of(outlet), sender->block);
    sender->next = polling->core->senders;
    polling->core->senders = sender;

    outlet->is_sending = false;
    if (error != 0) {
        outlet->error = error;
        outlet->is_gone = true;
    }
    if (VINE__UNLIKELY(outlet->has_file))
        vine__opened_sent(outlet, send->sent);
    vine__outlet_sent(outlet);
}

/* Nothing can be sent: there is no memory. */
struct vine__sender *vine__outlet_sender(struct vine__outlet *outlet)
{
    struct vine__sender *const sender = take_sender(outlet);

    outlet->is_sending = sender != NULL;
    if (sender == NULL)
        outlet->error = -ENOMEM;
    return sender;
}

/* Where nobody waits for it: what follows would be for a further run, and who looks at the
 * connection meanwhile is to see that it is on its way. */
static bool is_sent_at_once(struct vine__outlet *outlet, const unsigned char *block)
{
    return outlet->room.place == 0 && outlet->sent.place == 0 &&
           vine__send_at_once(outlet->connection, block, outlet->written_size);
}

static void send_written(struct vine__outlet *outlet)
{
    unsigned char *const block = outlet->written;
    struct vine__sender *sender = NULL;

    outlet->written = NULL;
    outlet->is_gone = true;
    if (outlet->error == 0 && outlet->written_size != 0) {
        if (is_sent_at_once(outlet, block))
            outlet->has_news = false;
        else
            sender = vine__outlet_sender(outlet);
    }
    if (sender == NULL) {
        vine__block_give(blocks_of(outlet), block);
        return;
    }
    outlet->has_news = false;
    sender->block = block;
    vine_send(outlet->connection, &sender->send, block, outlet->written_size,
              vine__outlet_send_ended);
}

void vine__outlet_send(struct vine__outlet *outlet)
{
    struct vine__sender *sender;

    if (outlet->is_sending || outlet->connection == NULL)
        return;
    if (outlet->written != NULL)
        send_written(outlet);
    if (VINE__UNLIKELY(outlet->has_file) && !outlet->is_sending && outlet->error == 0)
        vine__opened_send(outlet);
    if (outlet->is_sending || !outlet->is_shutting || outlet->error != 0)
        return;
    outlet->is_shutting = false;
    sender = vine__outlet_sender(outlet);
    if (sender != NULL)
        vine_shutdown_send(outlet->connection, &sender->send, vine__outlet_send_ended);
}

/* ---- the end --------------------------------------------------------------------------------- */

#define SEND_NS      (30 * VINE_NS_PER_SECOND) /* for what was written last */
#define LINGER_NS    (2 * VINE_NS_PER_SECOND)
#define LINGER_BYTES (256 * 1024U)

/* That of the micro-process has these with it. NULL: there is no memory for it. */
static struct vine_timer *timer_of(struct vine__outlet *outlet)
{
    return outlet->is_further ? &vine__further_of(outlet)->timer
                              : vine__polling_timer(vine__polling_of(outlet));
}

static struct vine_work *closed_of(struct vine__outlet *outlet)
{
    return outlet->is_further ? &vine__further_of(outlet)->closed
                              : &vine__polling_of(outlet)->closed;
}

void vine__outlet_hurry(struct vine__outlet *outlet)
{
    struct vine_connection *const connection = outlet->connection;

    if (connection == NULL)
        return;
    outlet->connection = NULL;
    vine_connection_close(connection, closed_of(outlet));
}

/*
 * The micro-process has ended: once all is sent, close. A socket that is closed with something
 * unread is reset, and the peer may lose what it was sent: so the peer is told that nothing follows
 * and is listened to until it has ended, too, for a while.
 */
static void look_at_end(struct vine__outlet *outlet)
{
    struct vine__sender *sender;

    if (outlet->is_sending)
        return;
    if (outlet->connection == NULL) {
        if (outlet->is_further && vine__further_of(outlet)->is_closed)
            vine_work_post(closed_of(outlet));
        return;
    }
    if (outlet->error != 0 || outlet->has_end || outlet->lingered > LINGER_BYTES ||
        !vine__connection_may_reset(outlet->connection)) {
        vine__outlet_hurry(outlet);
    } else if (!outlet->is_lingering) {
        outlet->is_lingering = true;
        vine_timer_arm_after(timer_of(outlet), LINGER_NS);
        sender = vine__outlet_sender(outlet);
        if (sender == NULL)
            vine__outlet_hurry(outlet);
        else
            vine_shutdown_send(outlet->connection, &sender->send, vine__outlet_send_ended);
    } else if (!outlet->is_receiving) {
        outlet->is_receiving = true;
        vine_receive(outlet->connection, &outlet->receive, received);
    }
}

void vine__outlet_close(struct vine__outlet *outlet, bool at_once)
{
    struct vine_timer *timer;

    outlet->is_over = true;
    if (VINE__UNLIKELY(vine__polling_of(outlet)->furthers != NULL))
        vine__splicings_look(outlet);
    outlet->lingered = 0;
    if (outlet->connection == NULL) {
        vine_work_post(closed_of(outlet));
    } else if (at_once || outlet->has_file) { /* a part of a file is of no use */
        vine__outlet_hurry(outlet);
    } else {
        timer = timer_of(outlet);
        if (timer == NULL) {
            vine__outlet_hurry(outlet);
            return;
        }
        vine_timer_arm_after(timer, SEND_NS);
        look_at_end(outlet);
    }
}

void vine__outlet_fini(struct vine__outlet *outlet)
{
    vine__outlet_let_view_go(outlet);
    if (outlet->written != NULL)
        vine__block_give(blocks_of(outlet), outlet->written);
}
