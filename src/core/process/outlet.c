/* SPDX-License-Identifier: Apache-2.0 */
/* core/process/outlet.c - the outside of a socket: what its connection receives and sends. */

#include <string.h>

#include "arch/guard/closed.h"
#include "core/network/network.h"
#include "core/process/process_internal.h"
#include "utils/assert.h"
#include "utils/atomic.h"

static struct blocks *blocks_of(const struct outlet *outlet)
{
    return &outlet->process->core->blocks[outlet->process->colour];
}

static void look_at_end(struct outlet *outlet);

struct vine_socket *vine__outlet_inside(const struct outlet *outlet)
{
    return (void *)(outlet->process->heap->region.start + outlet->place);
}

/* ---- receiving ------------------------------------------------------------------------------- */

void vine__outlet_came(struct outlet *outlet, const unsigned char *bytes, int64_t size)
{
    outlet->has_received = true;
    outlet->has_end = size == 0;
    outlet->has_news |= size > 0;
    outlet->was_idle = false;
    outlet->received = size;
    outlet->bytes = NULL;
    if (size > 0) {
        outlet->received += outlet->kept;
        outlet->bytes = outlet->kept > 0 ? outlet->gathered : bytes;
        outlet->view = outlet->bytes;
        outlet->view_size = (uint32_t)outlet->received;
    }
}

void vine__outlet_lingered(struct outlet *outlet, int64_t size)
{
    outlet->has_end |= size <= 0;
    outlet->lingered += size > 0 ? (uint32_t)size : 0;
    look_at_end(outlet);
}

static void received(struct vine_receive *receive)
{
    struct outlet *const outlet = VINE_CONTAINER_OF(receive, struct outlet, receive);
    struct vine__process *const process = outlet->process;

    outlet->is_receiving = false;
    if (outlet->is_over) {
        vine__outlet_lingered(outlet, receive->size);
        return;
    }
    vine__outlet_came(outlet, receive->bytes, receive->size);
    vine__process_dispatch(process);
}

/* What the inside keeps has to lie in front of what comes: in a block of our own. */
static int gather(struct outlet *outlet, uint32_t kept)
{
    struct vine_socket *const socket = vine__outlet_inside(outlet);

    if (kept > outlet->view_size || kept >= VINE__BLOCK_BYTES)
        return -EMSGSIZE;
    if (outlet->gathered == NULL)
        outlet->gathered = vine__block_take(blocks_of(outlet));
    if (outlet->gathered == NULL)
        return -ENOMEM;
    memmove(outlet->gathered, outlet->view + outlet->view_size - kept, kept);
    outlet->view = outlet->gathered;
    outlet->view_size = kept;
    /* It may go on reading that before more has come. */
    socket->in.bytes = outlet->gathered;
    socket->in.at = 0;
    socket->in.size = kept;
    return 0;
}

void vine__outlet_let_view_go(struct outlet *outlet)
{
    if (outlet->gathered != NULL)
        vine__block_give(blocks_of(outlet), outlet->gathered);
    outlet->gathered = NULL;
    outlet->view = NULL;
    outlet->view_size = 0;
    outlet->kept = 0;
}

void vine__outlet_receive(struct outlet *outlet, uint32_t kept)
{
    if (kept == 0) {
        vine__outlet_let_view_go(outlet);
        outlet->is_receiving = true;
        vine_receive(outlet->connection, &outlet->receive, received);
        return;
    }

    outlet->kept = kept;

    const int error = gather(outlet, kept);

    if (error != 0) {
        outlet->has_received = true;
        outlet->received = error;
        outlet->bytes = NULL;
        vine_work_post(&outlet->process->work);
        return;
    }
    outlet->is_receiving = true;
    vine_receive_into(outlet->connection, &outlet->receive, outlet->gathered + kept,
                      VINE__BLOCK_BYTES - kept, received);
}

void vine__outlet_spliced(struct outlet *outlet)
{
    const bool is_wanted = outlet->is_wanted;

    outlet->is_spliced = false;
    outlet->is_wanted = false;
    if (is_wanted && !outlet->has_received && !outlet->is_over)
        vine__outlet_receive(outlet, 0);
}

/* ---- sending --------------------------------------------------------------------------------- */

int vine__outlet_written(struct outlet *outlet, uint32_t block, uint32_t size)
{
    struct blocks *const blocks = blocks_of(outlet);

    if (size > VINE__BLOCK_BYTES || block > VINE__LENT_MAX)
        return -VINE_ECORRUPT;
    if (block != 0) {
        if (outlet->written != NULL || blocks->lent[block - 1] == NULL)
            return -VINE_ECORRUPT;
        outlet->written = blocks->lent[block - 1];
        outlet->written_size = 0;
        blocks->lent[block - 1] = NULL;
    }
    if (outlet->written == NULL || size < outlet->written_size)
        return -VINE_ECORRUPT;
    outlet->written_size = size;
    return 0;
}

/* Most connections send nothing most of the time. */
static struct sender *take_sender(struct outlet *outlet)
{
    struct processes *const core = outlet->process->core;
    struct sender *sender = core->senders;

    if (sender != NULL)
        core->senders = sender->next;
    else
        sender = vine__closed_alloc(sizeof(*sender));
    if (sender != NULL)
        sender->outlet = outlet;
    return sender;
}

void vine__senders_fini(struct processes *core)
{
    while (core->senders != NULL) {
        struct sender *const sender = core->senders;

        core->senders = sender->next;
        vine__closed_free(sender);
    }
}

void vine__outlet_sent(struct outlet *outlet)
{
    vine__outlet_send(outlet);
    if (VINE__UNLIKELY(outlet->process->furthers != NULL))
        vine__splicings_look(outlet);
    if (outlet->is_over)
        look_at_end(outlet);
    else if (outlet->room.is_set || outlet->sent.is_set)
        vine__process_dispatch(outlet->process);
}

void vine__outlet_send_ended(struct vine_send *send)
{
    struct sender *const sender = VINE_CONTAINER_OF(send, struct sender, send);
    struct outlet *const outlet = sender->outlet;
    struct vine__process *const process = outlet->process;
    const int error = send->error;

    sender->next = process->core->senders;
    process->core->senders = sender;

    outlet->is_sending = false;
    if (outlet->sending != NULL)
        vine__block_give(blocks_of(outlet), outlet->sending);
    outlet->sending = NULL;
    if (error != 0) {
        outlet->error = error;
        outlet->is_gone = true;
    }
    if (VINE__UNLIKELY(outlet->has_file))
        vine__opened_sent(outlet, send->sent);
    vine__outlet_sent(outlet);
}

/* Nothing can be sent: there is no memory. */
struct sender *vine__outlet_sender(struct outlet *outlet)
{
    struct sender *const sender = take_sender(outlet);

    outlet->is_sending = sender != NULL;
    if (sender == NULL)
        outlet->error = -ENOMEM;
    return sender;
}

static void send_written(struct outlet *outlet)
{
    unsigned char *const block = outlet->written;
    struct sender *const sender =
        outlet->error == 0 && outlet->written_size != 0 ? vine__outlet_sender(outlet) : NULL;

    outlet->written = NULL;
    outlet->is_gone = true;
    if (sender == NULL) {
        vine__block_give(blocks_of(outlet), block);
        return;
    }
    outlet->has_news = false;
    outlet->sending = block;
    vine_send(outlet->connection, &sender->send, block, outlet->written_size,
              vine__outlet_send_ended);
}

void vine__outlet_send(struct outlet *outlet)
{
    struct sender *sender;

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

/* That of the micro-process has these with it. */
static struct vine_timer *timer_of(struct outlet *outlet)
{
    struct vine__process *const process = outlet->process;

    return outlet == &process->io ? &process->timer : &vine__further_of(outlet)->timer;
}

static struct vine_work *closed_of(struct outlet *outlet)
{
    struct vine__process *const process = outlet->process;

    return outlet == &process->io ? &process->closed : &vine__further_of(outlet)->closed;
}

void vine__outlet_hurry(struct outlet *outlet)
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
static void look_at_end(struct outlet *outlet)
{
    struct sender *sender;

    if (outlet->is_sending || outlet->connection == NULL)
        return;
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

bool vine__outlet_farewell(struct outlet *outlet, const char *text)
{
    struct sender *sender;

    /* What was begun to be written may be half of an answer. */
    if (outlet->connection == NULL || !outlet->has_news || outlet->is_sending ||
        outlet->written != NULL || outlet->error != 0)
        return false;
    sender = vine__outlet_sender(outlet);
    if (sender != NULL)
        vine_send(outlet->connection, &sender->send, text, strlen(text), vine__outlet_send_ended);
    return sender != NULL;
}

void vine__outlet_close(struct outlet *outlet, bool at_once)
{
    outlet->is_over = true;
    if (VINE__UNLIKELY(outlet->process->furthers != NULL))
        vine__splicings_look(outlet);
    outlet->lingered = 0;
    if (outlet->connection == NULL) {
        vine_work_post(closed_of(outlet));
    } else if (at_once || outlet->has_file) { /* a part of a file is of no use */
        vine__outlet_hurry(outlet);
    } else {
        vine_timer_arm_after(timer_of(outlet), SEND_NS);
        look_at_end(outlet);
    }
}

bool vine__outlet_is_idle(const struct outlet *outlet)
{
    return outlet->is_receiving && outlet->kept == 0 && !outlet->has_news && !outlet->is_sending &&
           outlet->written == NULL;
}

void vine__outlet_fini(struct outlet *outlet)
{
    struct blocks *const blocks = blocks_of(outlet);

    if (outlet->gathered != NULL)
        vine__block_give(blocks, outlet->gathered);
    if (outlet->written != NULL)
        vine__block_give(blocks, outlet->written);
    if (outlet->sending != NULL)
        vine__block_give(blocks, outlet->sending);
}
