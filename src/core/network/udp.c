/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams as their owners see them. Lives and deadlines are as those of connections.
 */
#include "core/network/network_internal.h"

#include <errno.h>
#include <string.h>

#include "utils/container_of.h"

/* ---- life ------------------------------------------------------------------------------------ */

void vine__udp_init(struct vine_udp *udp, struct vine__network *network,
                    const struct vine__udp_ops *ops)
{
    udp->ops = ops;
    udp->network = network;
    vine__list_push_back(&network->udps, &udp->link);
}

static void look(struct vine_udp *udp)
{
    struct vine__network *const network = udp->network;
    struct vine_work *const closed = udp->closed;

    if (!udp->is_closed || !udp->has_let_go || udp->users != 0)
        return;
    vine__list_remove(&udp->link);
    udp->ops->free(udp);
    if (closed != NULL)
        vine_work_post(closed);
    vine__network_look(network);
}

void vine__udp_let_go(struct vine_udp *udp)
{
    VINE_ASSERT(udp->is_aborted && !udp->has_let_go);
    udp->has_let_go = true;
    if (udp->is_closed)
        look(udp);
    else
        vine__network_look(udp->network);
}

void vine__udp_abort(struct vine_udp *udp)
{
    if (udp->is_aborted)
        return;
    udp->is_aborted = true;
    udp->ops->end_all(udp);
}

void vine_udp_close(struct vine_udp *udp, struct vine_work *done)
{
    const bool has_let_go = udp->has_let_go;

    VINE_ASSERT(!udp->is_closed);
    udp->is_closed = true;
    udp->closed = done;
    vine__udp_abort(udp);
    if (has_let_go)
        look(udp);
}

int vine_udp_open(const struct vine_address *address, const struct vine_udp_options *options,
                  struct vine_udp **ret_udp)
{
    struct vine_udp_options wish = {0};
    struct vine__network *network;
    const int error = vine__network_here(&network);

    if (error != 0)
        return error;
    if (options != NULL) {
        if (options->size_bytes < sizeof(size_t) || options->size_bytes > sizeof(wish))
            return -EINVAL;
        memcpy(&wish, options, options->size_bytes);
    }
    if (address->any.sa_family != AF_INET && address->any.sa_family != AF_INET6)
        return -EAFNOSUPPORT;
    return network->stack->udp_open(network, address, &wish, ret_udp);
}

const struct vine_address *vine_udp_address(const struct vine_udp *udp)
{
    return &udp->address;
}

int vine_udp_connect(struct vine_udp *udp, const struct vine_address *peer)
{
    return udp->is_aborted ? -VINE_ECLOSED : udp->ops->connect(udp, peer);
}

/* ---- operations ------------------------------------------------------------------------------ */

static void call(struct vine_work *work)
{
    struct vine_datagram *const datagram = VINE_CONTAINER_OF(work, struct vine_datagram, work);
    struct vine_udp *const udp = datagram->udp;

    if (datagram->has_deadline)
        (void)vine_timer_cancel(&datagram->timer);
    udp->users--;
    look(udp);
    datagram->fn(datagram);
}

static void end_soon(struct vine_datagram *datagram, int wish)
{
    if (datagram->udp == NULL || datagram->has_ended || datagram->wish != 0)
        return;
    datagram->wish = wish;
    datagram->udp->ops->cancel(datagram->udp, datagram);
}

static void time_out(struct vine_timer *timer)
{
    struct vine_datagram *const datagram = VINE_CONTAINER_OF(timer, struct vine_datagram, timer);

    datagram->udp->network->counts.deadlines += !datagram->has_ended && datagram->wish == 0;
    end_soon(datagram, -ETIMEDOUT);
}

void vine_datagram_cancel(struct vine_datagram *datagram)
{
    end_soon(datagram, -ECANCELED);
}

static void prepare(struct vine_udp *udp, struct vine_datagram *datagram, bool is_receive,
                    vine_datagram_fn fn)
{
    VINE_ASSERT(!udp->is_closed);
    datagram->size = 0;
    datagram->is_cut = false;
    datagram->fn = fn;
    datagram->udp = udp;
    datagram->state = NULL;
    datagram->wish = 0;
    datagram->is_receive = is_receive;
    datagram->has_ended = false;
    datagram->has_deadline = datagram->deadline_ns != 0 && !udp->is_aborted;
    vine_work_init(&datagram->work, call);
    udp->users++;
    if (!datagram->has_deadline)
        return;
    vine_timer_init(&datagram->timer, VINE_CLOCK_COARSE, time_out);
    vine_timer_arm_at(&datagram->timer, datagram->deadline_ns);
}

void vine_udp_receive(struct vine_udp *udp, struct vine_datagram *datagram, void *bytes,
                      size_t size, vine_datagram_fn fn)
{
    datagram->bytes = bytes;
    datagram->room_bytes = size;
    memset(&datagram->address, 0, sizeof(datagram->address));
    prepare(udp, datagram, true, fn);
    if (udp->is_aborted)
        vine__datagram_end(datagram, -VINE_ECLOSED);
    else
        udp->ops->receive(udp, datagram);
}

void vine_udp_send(struct vine_udp *udp, struct vine_datagram *datagram, const void *bytes,
                   size_t size, const struct vine_address *to, vine_datagram_fn fn)
{
    datagram->bytes = (void *)(uintptr_t)bytes; /* which is read alone */
    datagram->room_bytes = size;
    if (to != NULL)
        datagram->address = *to;
    prepare(udp, datagram, false, fn);
    if (udp->is_aborted)
        vine__datagram_end(datagram, -VINE_ECLOSED);
    else
        udp->ops->send(udp, datagram, to != NULL);
}
