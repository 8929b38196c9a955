/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Datagrams on the kernel's sockets: a message for each that is on its way. Messages that are over
 * are kept for the next ones.
 */
#include "core/network/posix_internal.h"

#include <errno.h>
#include <stdlib.h>

#include "arch/guard/closed.h"
#include "arch/net/socket.h"
#include "utils/container_of.h"

struct posix_udp {
    struct vine_udp base;
    int fd;
    uint32_t pending; /* messages that are the kernel's */
    bool is_closing;
    struct vine__list busy;      /* messages, by `link` */
    struct posix_flight *unused; /* by `next` */
    struct vine__operation close;
};

/* A message on its way. */
struct posix_flight {
    struct posix_udp *udp;
    struct vine_datagram *datagram;
    struct posix_flight *next;
    struct vine__list link;
    struct msghdr header;
    struct iovec piece;
    struct vine__operation operation;
};

static struct posix_udp *udp_of(struct vine_udp *base)
{
    return VINE_CONTAINER_OF(base, struct posix_udp, base);
}

/* ---- the end --------------------------------------------------------------------------------- */

static void on_closed(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct posix_udp *const udp = VINE_CONTAINER_OF(operation, struct posix_udp, close);

    (void)flags;
    /* A poller that is going down has not done it. */
    if (result == -ECANCELED)
        vine__socket_close(udp->fd);
    udp->fd = -1;
    vine__udp_let_go(&udp->base);
}

static void look(struct posix_udp *udp)
{
    if (!udp->base.is_aborted || udp->is_closing || udp->pending != 0)
        return;
    udp->is_closing = true;
    udp->close = (struct vine__operation){.fn = on_closed, .kind = VINE__POLL_CLOSE, .fd = udp->fd};
    vine__poller_begin(udp->base.network->poller, &udp->close);
}

static void udp_end_all(struct vine_udp *base)
{
    struct posix_udp *const udp = udp_of(base);

    VINE_LIST_FOR_EACH(node, &udp->busy)
    {
        struct posix_flight *const flight = VINE_LIST_OBJECT(node, struct posix_flight, link);

        if (flight->datagram->wish == 0) {
            flight->datagram->wish = -ECANCELED;
            vine__poller_cancel(base->network->poller, &flight->operation);
        }
    }
    look(udp);
}

static void udp_free(struct vine_udp *base)
{
    struct posix_udp *const udp = udp_of(base);

    for (struct posix_flight *flight = udp->unused, *next; flight != NULL; flight = next) {
        next = flight->next;
        free(flight);
    }
    vine__closed_free(udp);
}

/* ---- datagrams ------------------------------------------------------------------------------- */

static void on_ended(struct vine__operation *operation, int32_t result, uint32_t flags)
{
    struct posix_flight *const flight =
        VINE_CONTAINER_OF(operation, struct posix_flight, operation);
    struct posix_udp *const udp = flight->udp;
    struct vine_datagram *const datagram = flight->datagram;

    (void)flags;
    vine__list_remove(&flight->link);
    flight->next = udp->unused;
    udp->unused = flight;
    udp->pending--;
    if (datagram->is_receive && result >= 0) {
        datagram->address.size_bytes = flight->header.msg_namelen;
        datagram->is_cut = (flight->header.msg_flags & MSG_TRUNC) != 0;
    }
    udp->base.network->counts.datagrams_received += datagram->is_receive && result >= 0;
    udp->base.network->counts.datagrams_sent += !datagram->is_receive && result >= 0;
    if ((result == -ECANCELED || result == -EINTR) && datagram->wish != 0)
        result = datagram->wish;
    vine__datagram_end(datagram, result);
    look(udp);
}

static void begin(struct vine_udp *base, struct vine_datagram *datagram, uint8_t kind,
                  bool has_address)
{
    struct posix_udp *const udp = udp_of(base);
    struct posix_flight *flight = udp->unused;

    if (flight != NULL)
        udp->unused = flight->next;
    else
        flight = malloc(sizeof(*flight));
    if (flight == NULL) {
        vine__datagram_end(datagram, -ENOMEM);
        return;
    }
    flight->udp = udp;
    flight->datagram = datagram;
    flight->piece = (struct iovec){.iov_base = datagram->bytes, .iov_len = datagram->room_bytes};
    flight->header = (struct msghdr){.msg_iov = &flight->piece, .msg_iovlen = 1};
    if (has_address) {
        flight->header.msg_name = &datagram->address.any;
        flight->header.msg_namelen =
            datagram->is_receive ? sizeof(datagram->address.local) : datagram->address.size_bytes;
    }
    flight->operation = (struct vine__operation){.fn = on_ended,
                                                 .kind = kind,
                                                 .fd = udp->fd,
                                                 .flags = datagram->is_receive ? 0 : MSG_NOSIGNAL,
                                                 .message = &flight->header};
    datagram->state = flight;
    udp->pending++;
    vine__list_push_back(&udp->busy, &flight->link);
    vine__poller_begin(base->network->poller, &flight->operation);
}

static void udp_receive(struct vine_udp *base, struct vine_datagram *datagram)
{
    begin(base, datagram, VINE__POLL_RECEIVE_MESSAGE, true);
}

static void udp_send(struct vine_udp *base, struct vine_datagram *datagram, bool has_address)
{
    begin(base, datagram, VINE__POLL_SEND_MESSAGE, has_address);
}

static void udp_cancel(struct vine_udp *base, struct vine_datagram *datagram)
{
    struct posix_flight *const flight = datagram->state;

    vine__poller_cancel(base->network->poller, &flight->operation);
}

static int udp_connect(struct vine_udp *base, const struct vine_address *peer)
{
    return vine__socket_connect_datagrams(udp_of(base)->fd, &peer->any, peer->size_bytes);
}

static const struct vine__udp_ops udp_ops = {
    .connect = udp_connect,
    .receive = udp_receive,
    .send = udp_send,
    .cancel = udp_cancel,
    .end_all = udp_end_all,
    .free = udp_free,
};

int vine__posix_udp_open(struct vine__network *network, const struct vine_address *address,
                         const struct vine_udp_options *options, struct vine_udp **ret_udp)
{
    const struct vine__socket_options wish = {.is_ip6_only = options->is_ip6_only,
                                              .receive_bytes = options->receive_bytes,
                                              .send_bytes = options->send_bytes};
    struct posix_udp *const udp = vine__closed_alloc(sizeof(*udp));
    int error;

    if (udp == NULL)
        return -ENOMEM;
    error = vine__socket_create(address->any.sa_family, SOCK_DGRAM, &wish, &udp->fd);
    if (error != 0) {
        vine__closed_free(udp);
        return error;
    }
    error = vine__socket_bind_datagrams(udp->fd, &address->any, address->size_bytes);
    if (error == 0)
        error = vine__socket_get_address(udp->fd, &udp->base.address.any,
                                         sizeof(udp->base.address.local),
                                         &udp->base.address.size_bytes);
    if (error != 0) {
        vine__socket_close(udp->fd);
        vine__closed_free(udp);
        return error;
    }
    vine__list_init(&udp->busy);
    vine__udp_init(&udp->base, network, &udp_ops);
    *ret_udp = &udp->base;
    return 0;
}
