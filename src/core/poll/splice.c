/* SPDX-License-Identifier: Apache-2.0 */
/*
 * core/poll/splice.c - bytes from one connection of a micro-process to another, without coming
 * into its heap: a block is received into, and sent as it is, one at a time.
 *
 * Whoever asked may be gone, and so may either end, while the kernel has the block: it goes on to
 * the end of that. What has been received is sent then, or, if the other end is gone, is for the
 * next reader; so nothing is lost by being cancelled.
 */

#include "arch/guard/closed.h"
#include "core/poll/poll_internal.h"
#include "utils/assert.h"

struct splicing {
    struct vine__list link; /* of all of the micro-process */
    struct vine__polling *polling;
    struct further *further;        /* whose place it has; NULL: nobody waits for it any more */
    struct vine__outlet *from, *to; /* NULL: closed, and nothing of it is the kernel's for this */
    uint64_t left, moved;
    unsigned char *block;
    uint32_t size; /* of what was received and is to be sent */
    bool is_receiving, is_sending;
    struct vine_send send;
};

static struct vine__blocks *blocks_of(const struct splicing *splicing)
{
    return &splicing->polling->core->blocks[splicing->polling->colour];
}

/* ---- the end --------------------------------------------------------------------------------- */

/* It is over, with an error, or with what was moved. The micro-process may be gone then. */
static void end(struct splicing *splicing, int error)
{
    struct vine__polling *const polling = splicing->polling;
    struct vine__outlet *const from = splicing->from;
    struct further *const further = splicing->further;

    if (splicing->block != NULL)
        vine__block_give(blocks_of(splicing), splicing->block);
    if (from != NULL)
        vine__outlet_spliced(from);
    if (further != NULL) {
        further->splicing = NULL;
        further->answer = error != 0 ? error : (int64_t)splicing->moved;
        further->has_answer = true;
    }
    vine__list_remove(&splicing->link);
    vine__closed_free(splicing);
    if (!polling->has_ended)
        vine_work_post(&polling->work);
}

/* ---- going on -------------------------------------------------------------------------------- */

static void go_on(struct splicing *splicing);

static struct splicing *receiving_of(const struct vine__outlet *from)
{
    VINE_LIST_FOR_EACH(node, &vine__polling_of(from)->furthers->splicings)
    {
        struct splicing *const splicing = VINE_LIST_OBJECT(node, struct splicing, link);

        if (splicing->is_receiving && splicing->from == from)
            return splicing;
    }
    VINE_ASSERT(false); /* it is one of these who asked */
    return NULL;
}

/* Nobody else has what was received: the inside does, as if it had asked. */
static void give_back(struct splicing *splicing)
{
    struct vine__outlet *const from = splicing->from;

    from->is_gathered = true;
    vine__outlet_came(from, splicing->block, splicing->size);
    splicing->block = NULL;
    splicing->size = 0;
    end(splicing, 0);
}

static void received(struct vine_receive *receive)
{
    struct vine__outlet *const from = VINE_CONTAINER_OF(receive, struct vine__outlet, receive);
    struct splicing *const splicing = receiving_of(from);
    const int64_t size = receive->size;

    from->is_receiving = false;
    splicing->is_receiving = false;
    if (from->is_over) {
        splicing->from = NULL;
        end(splicing, 0);
        vine__outlet_lingered(from, size);
        return;
    }
    if (size > 0) {
        from->has_news = true;
        from->was_idle = false;
        splicing->size = (uint32_t)size;
    }
    if (size <= 0) {
        vine__outlet_came(from, NULL, size);
        end(splicing, 0);
    } else if (splicing->to == NULL || splicing->further == NULL) {
        give_back(splicing);
    } else {
        go_on(splicing);
    }
}

static void sent(struct vine_send *send)
{
    struct splicing *const splicing = VINE_CONTAINER_OF(send, struct splicing, send);
    struct vine__outlet *const to = splicing->to;

    splicing->is_sending = false;
    splicing->moved += send->sent;
    splicing->left -= splicing->size;
    splicing->size = 0;
    to->is_sending = false;
    if (send->error != 0) {
        to->error = send->error;
        to->is_gone = true;
    }
    if (to->is_over)
        splicing->to = NULL;
    go_on(splicing);
    vine__outlet_sent(to);
}

static void send_block(struct splicing *splicing)
{
    struct vine__outlet *const to = splicing->to;

    /* What was written before goes first: whoever has sent that comes here again. */
    if (to->is_sending || to->written != NULL)
        return;
    splicing->is_sending = true;
    to->is_sending = true;
    to->has_news = false;
    vine_send(to->connection, &splicing->send, splicing->block, splicing->size, sent);
}

/* Nothing of it is the kernel's. */
static void go_on(struct splicing *splicing)
{
    struct vine__outlet *const from = splicing->from;

    if (splicing->to != NULL && splicing->to->error != 0) {
        end(splicing, splicing->to->error);
    } else if (splicing->size > 0 && splicing->to != NULL) {
        send_block(splicing);
    } else if (splicing->size > 0 && from != NULL && !from->is_over) {
        give_back(splicing);
    } else if (splicing->left == 0 || splicing->further == NULL || from == NULL ||
               splicing->to == NULL) {
        end(splicing, 0);
    } else {
        splicing->is_receiving = true;
        from->is_receiving = true;
        vine_receive_into(from->connection, &from->receive, splicing->block,
                          splicing->left < VINE__BLOCK_BYTES ? (size_t)splicing->left
                                                             : VINE__BLOCK_BYTES,
                          received);
    }
}

/* ---- as it is asked -------------------------------------------------------------------------- */

void vine__splice_begin(struct further *further, struct vine__outlet *from, struct vine__outlet *to,
                        uint64_t bytes)
{
    struct vine__polling *const polling = further->polling;
    struct splicing *const splicing = vine__closed_alloc(sizeof(*splicing));

    if (splicing != NULL) {
        splicing->polling = polling;
        splicing->further = further;
        splicing->left = bytes;
        vine__list_push_back(&polling->furthers->splicings, &splicing->link);
        further->splicing = splicing;
        splicing->block = vine__block_take(blocks_of(splicing));
    }
    /* Who cannot be helped here goes on by itself. */
    if (splicing == NULL || splicing->block == NULL || from->is_receiving || from->has_received ||
        from->is_spliced) {
        further->has_answer = true;
        vine_work_post(&polling->work);
        if (splicing != NULL)
            end(splicing, 0);
        return;
    }
    splicing->from = from;
    splicing->to = to;
    from->is_spliced = true;
    vine__outlet_let_view_go(from);
    go_on(splicing);
}

void vine__splicing_leave(struct splicing *splicing)
{
    splicing->further = NULL;
}

void vine__splicings_look(struct vine__outlet *outlet)
{
    VINE_LIST_FOR_EACH(node, &vine__polling_of(outlet)->furthers->splicings)
    {
        struct splicing *const splicing = VINE_LIST_OBJECT(node, struct splicing, link);
        const bool is_its = splicing->from == outlet || splicing->to == outlet;

        if (outlet->is_over && splicing->from == outlet && !splicing->is_receiving)
            splicing->from = NULL;
        if (outlet->is_over && splicing->to == outlet && !splicing->is_sending)
            splicing->to = NULL;
        if (is_its && !splicing->is_receiving && !splicing->is_sending)
            go_on(splicing);
    }
}
